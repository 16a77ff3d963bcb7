import asyncio
from collections.abc import Iterator

import pytest
from argon2 import extract_parameters

from tidegate.auth.errors import HashingBusy
from tidegate.auth.passwords import MEMORY_KIB, PASSES, PasswordHashes


@pytest.fixture
def hashes() -> Iterator[PasswordHashes]:
    made = PasswordHashes(queue=2)
    yield made
    made.close()


def test_a_hash_matches_its_password_and_no_other(hashes: PasswordHashes) -> None:
    async def scenario() -> None:
        encoded = await hashes.hash("correct horse")
        assert "correct horse" not in encoded
        assert await hashes.matches(encoded, "correct horse")
        assert not await hashes.matches(encoded, "correct horsf")
        assert not await hashes.matches(encoded, "")

    asyncio.run(scenario())


def test_equal_passwords_have_different_hashes(hashes: PasswordHashes) -> None:
    async def scenario() -> None:
        assert await hashes.hash("same") != await hashes.hash("same")

    asyncio.run(scenario())


def test_hashes_cost_what_owasp_asks_for(hashes: PasswordHashes) -> None:
    parameters = extract_parameters(asyncio.run(hashes.hash("x")))
    assert parameters.type.name == "ID"
    assert (parameters.memory_cost, parameters.time_cost) == (MEMORY_KIB, PASSES) == (19456, 2)


def test_checking_against_no_user_does_the_work_of_checking_against_one(
    hashes: PasswordHashes,
) -> None:
    real = asyncio.run(hashes.hash("x"))
    assert extract_parameters(hashes._nobody) == extract_parameters(real)
    assert len(hashes._nobody) == len(real)
    assert not asyncio.run(hashes.matches(None, "x"))


@pytest.mark.parametrize("stored", ["x", "$argon2id$", "plain text", "$2b$12$abcdefghijk"])
def test_a_stored_hash_that_is_none_matches_nothing(hashes: PasswordHashes, stored: str) -> None:
    assert not asyncio.run(hashes.matches(stored, stored))


def test_more_checks_than_the_queue_holds_are_refused_and_room_comes_back(
    hashes: PasswordHashes,
) -> None:
    async def scenario() -> None:
        checks = [asyncio.create_task(hashes.matches(None, "x")) for _ in range(10)]
        outcomes = await asyncio.gather(*checks, return_exceptions=True)
        refused = [each for each in outcomes if isinstance(each, HashingBusy)]
        assert len(refused) == 10 - 3
        assert all(each.retry_after >= 1 for each in refused)
        assert await hashes.matches(None, "x") is False

    asyncio.run(scenario())
