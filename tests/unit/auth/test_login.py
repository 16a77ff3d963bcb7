import asyncio

import pytest

from tests.unit.auth.world import World
from tidegate.auth.accounts import Account
from tidegate.auth.errors import HashingBusy, InvalidCredentials, Throttled
from tidegate.auth.remembered import REMEMBERED_FOR
from tidegate.auth.throttle import PER_USER_AND_NETWORK

HERE, THERE = "192.0.2.1", "198.51.100.7"
PASSWORD = "correct horse"


def login(world: World, name: str = "ann", password: str = PASSWORD, client: str = HERE) -> Account:
    return world.run(world.login.login(name, password, client))


def test_the_right_password_lets_in_and_a_wrong_one_does_not(world: World) -> None:
    world.set_password("ann", PASSWORD)
    assert login(world).user.name == "ann"
    for wrong in ("Correct horse", "correct hors", "correct horse ", "x" * 1000):
        with pytest.raises(InvalidCredentials):
            login(world, password=wrong)


def test_an_unknown_user_is_refused_with_the_same_words_and_the_same_work(world: World) -> None:
    world.set_password("ann", PASSWORD)
    texts = []
    for name in ("ann", "nobody"):
        with pytest.raises(InvalidCredentials) as refusal:
            login(world, name, "wrong password")
        texts.append(str(refusal.value))
    assert texts[0] == texts[1]
    assert world.hashes.checked == 2


def test_an_unknown_user_is_throttled_like_a_known_one(world: World) -> None:
    world.set_password("ann", PASSWORD)
    for name in ("ann", "nobody"):
        for number in range(PER_USER_AND_NETWORK.free):
            with pytest.raises(InvalidCredentials):
                login(world, name, f"guess {number}")
        with pytest.raises(Throttled):
            login(world, name, "guess")


def test_a_success_is_remembered_and_costs_no_further_hash(world: World) -> None:
    world.set_password("ann", PASSWORD)
    for _ in range(5):
        login(world)
    assert world.hashes.checked == 1
    world.now += REMEMBERED_FOR
    login(world)
    assert world.hashes.checked == 2


def test_a_changed_password_voids_what_is_remembered_at_once(world: World) -> None:
    world.set_password("ann", PASSWORD)
    login(world)
    world.set_password("ann", "another one")
    with pytest.raises(InvalidCredentials):
        login(world)
    login(world, password="another one")


def test_a_removed_user_is_not_remembered(world: World) -> None:
    world.set_password("ann", PASSWORD)
    login(world)
    del world.accounts["ann"]
    with pytest.raises(InvalidCredentials):
        login(world)


def test_a_user_who_logged_in_stays_in_while_her_password_is_guessed(world: World) -> None:
    world.set_password("ann", PASSWORD)
    login(world)
    for number in range(PER_USER_AND_NETWORK.free + 1):
        with pytest.raises((InvalidCredentials, Throttled)):
            login(world, password=f"guess {number}")
    with pytest.raises(Throttled):
        login(world, password="guess")
    login(world)
    login(world, client=THERE)


def test_the_right_password_is_not_tried_while_throttled(world: World) -> None:
    world.set_password("ann", PASSWORD)
    for number in range(PER_USER_AND_NETWORK.free):
        with pytest.raises(InvalidCredentials):
            login(world, password=f"guess {number}")
    with pytest.raises(Throttled) as refusal:
        login(world)
    assert world.hashes.checked == PER_USER_AND_NETWORK.free
    world.now += refusal.value.retry_after
    login(world)


def test_equal_logins_at_the_same_time_share_one_hash(world: World) -> None:
    world.set_password("ann", PASSWORD)

    async def many() -> list[Account]:
        return await asyncio.gather(*(world.login.login("ann", PASSWORD, HERE) for _ in range(50)))

    assert len(world.run(many())) == 50
    assert world.hashes.checked == 1


def test_equal_wrong_logins_at_the_same_time_are_one_guess(world: World) -> None:
    world.set_password("ann", PASSWORD)

    async def many() -> list[Account | BaseException]:
        logins = (world.login.login("ann", "stale password", HERE) for _ in range(50))
        return await asyncio.gather(*logins, return_exceptions=True)

    assert all(isinstance(each, InvalidCredentials) for each in world.run(many()))
    assert world.hashes.checked == 1
    login(world)


def test_different_guesses_at_the_same_time_are_throttled(world: World) -> None:
    world.set_password("ann", PASSWORD)

    async def many() -> list[Account | BaseException]:
        logins = (world.login.login("ann", f"guess {number}", HERE) for number in range(50))
        return await asyncio.gather(*logins, return_exceptions=True)

    outcomes = world.run(many())
    tried = [each for each in outcomes if isinstance(each, InvalidCredentials)]
    assert len(tried) == PER_USER_AND_NETWORK.free
    assert len([each for each in outcomes if isinstance(each, Throttled)]) == 50 - len(tried)


def test_a_client_that_goes_away_spoils_no_check_that_others_wait_for(world: World) -> None:
    world.set_password("ann", PASSWORD)

    async def scenario() -> None:
        leaving = asyncio.create_task(world.login.login("ann", PASSWORD, HERE))
        staying = asyncio.create_task(world.login.login("ann", PASSWORD, HERE))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).user.name == "ann"
        with pytest.raises(asyncio.CancelledError):
            await leaving

    world.run(scenario())


def test_a_guess_whose_client_goes_away_counts_all_the_same(world: World) -> None:
    world.set_password("ann", PASSWORD)

    async def scenario() -> None:
        for number in range(PER_USER_AND_NETWORK.free):
            guess = asyncio.create_task(world.login.login("ann", f"guess {number}", HERE))
            await asyncio.sleep(0)
            guess.cancel()
        await asyncio.gather(*world.login._running.values())
        with pytest.raises(Throttled):
            await world.login.login("ann", "guess", HERE)

    world.run(scenario())


def test_a_full_queue_refuses_without_counting_a_failure(world: World) -> None:
    world.set_password("ann", PASSWORD)

    async def scenario() -> None:
        others = [
            asyncio.create_task(world.login.login(f"user{number}", "x", f"203.0.113.{number}"))
            for number in range(9)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(PER_USER_AND_NETWORK.free + 1):
            with pytest.raises(HashingBusy):
                await world.login.login("ann", PASSWORD, HERE)
        await asyncio.gather(*others, return_exceptions=True)
        await world.login.login("ann", PASSWORD, HERE)

    world.run(scenario())


@pytest.mark.parametrize("name", ["", "a" * 2000, "a\nb", "caf\udce9"])
def test_a_name_that_nobody_has_is_not_looked_up(world: World, name: str) -> None:
    with pytest.raises(InvalidCredentials):
        login(world, name)
    assert world.look_ups == 0


def test_the_claimed_name_is_told_to_the_audit_and_the_password_to_nobody(world: World) -> None:
    with pytest.raises(InvalidCredentials) as refusal:
        login(world, "nobody", "a-secret-password")
    assert refusal.value.user == "nobody"
    assert "a-secret-password" not in repr(refusal.value)


@pytest.mark.parametrize("token", ["sha256~" + "a" * 43, "eyJhbGciOi.eyJzdWIi.c2lnbmF0"])
def test_a_token_in_a_names_place_is_not_told_to_the_audit(world: World, token: str) -> None:
    for _ in range(7):  # refused at first, and throttled in the end
        with pytest.raises((InvalidCredentials, Throttled)) as refusal:
            login(world, token, "x-oauth-basic")
        assert getattr(refusal.value, "user", None) == ""
