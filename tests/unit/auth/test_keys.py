import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tidegate.auth.keys import (
    ANNOUNCED_FOR,
    KEPT_FOR,
    READ_EVERY,
    ROTATED_EVERY,
    KeyRing,
    NoSigningKey,
    Rotation,
    ensure_signing_key,
    new_key,
    plan_rotation,
    rotate,
)
from tidegate.auth.scope import CATALOG
from tidegate.auth.tokens import Tokens
from tidegate.metastore import keys
from tidegate.metastore.keys import Key
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

NOW = 1_767_323_045.0


class Table:
    def __init__(self, *keys: Key) -> None:
        self.keys: Sequence[Key] = keys
        self.reads = 0

    async def read(self) -> Sequence[Key]:
        self.reads += 1
        return self.keys


def key(kid: str, created: float) -> Key:
    return Key(kid, kid.encode() * 16, created)


def signing(now: float, *keys: Key) -> str:
    return asyncio.run(KeyRing(Table(*keys).read).keys(now)).signing.kid


def test_the_first_key_signs_at_once() -> None:
    assert signing(NOW, key("a1", NOW)) == "a1"


def test_a_new_key_signs_only_when_every_process_has_read_it() -> None:
    old, new = key("a1", NOW - 1000), key("a2", NOW)
    assert signing(NOW + ANNOUNCED_FOR - 1, old, new) == "a1"
    assert signing(NOW + ANNOUNCED_FOR, old, new) == "a2"


def test_keys_are_read_again_after_a_moment_and_when_the_clock_went_back() -> None:
    table = Table(key("a1", NOW))
    ring = KeyRing(table.read)

    async def scenario() -> None:
        for now, reads in (
            (NOW, 1),
            (NOW + READ_EVERY / 2, 1),
            (NOW + READ_EVERY, 2),
            (NOW - 3600, 3),
        ):
            await ring.keys(now)
            assert table.reads == reads

    asyncio.run(scenario())


def test_a_retired_key_verifies_but_does_not_sign() -> None:
    retired, old = key("a2", NOW - 1000)._replace(retired=NOW), key("a1", NOW - 2000)
    ring = asyncio.run(KeyRing(Table(old, retired).read).keys(NOW))
    assert ring.signing == old
    assert ring.by_kid["a2"] == retired
    with pytest.raises(NoSigningKey):
        signing(NOW, retired)


def test_a_table_without_keys_is_an_error_that_says_so() -> None:
    with pytest.raises(NoSigningKey):
        signing(NOW)


def test_a_new_key_is_as_long_as_the_hash_and_shows_itself_to_nobody() -> None:
    made = new_key(NOW)
    assert len(made.secret) == 32
    assert made.secret != new_key(NOW).secret
    assert repr(made.secret) not in repr(made)


DAY = 86_400.0


def due(now: float, *found: Key) -> Rotation:
    return plan_rotation(found, now, ROTATED_EVERY, KEPT_FOR)


def test_a_key_is_made_when_the_newest_is_old_and_not_before() -> None:
    old = key("a1", NOW)
    assert not due(NOW + ROTATED_EVERY - 1, old).is_due
    assert due(NOW + ROTATED_EVERY, old) == Rotation(make=True, retire=(), remove=())


def test_the_old_key_is_retired_once_the_new_one_signs_everywhere() -> None:
    old, new = key("a1", NOW), key("a2", NOW + ROTATED_EVERY)
    assert not due(new.created + ANNOUNCED_FOR, old, new).is_due
    assert due(new.created + 2 * ANNOUNCED_FOR, old, new).retire == ("a1",)


def test_a_retired_key_is_removed_when_nothing_that_it_signed_can_live() -> None:
    retired, new = key("a1", NOW)._replace(retired=NOW + 100), key("a2", NOW + 50)
    assert not due(NOW + 101, retired, new).is_due
    later = retired.retired + KEPT_FOR if retired.retired is not None else 0.0
    assert due(later, retired, new) == Rotation(make=True, retire=(), remove=("a1",))


def test_a_key_from_the_future_is_left_alone() -> None:
    """A clock that was wrong for a while."""
    assert not due(NOW, key("a1", NOW + DAY)).is_due
    assert not due(NOW, key("a1", NOW - DAY), key("a2", NOW + DAY)).is_due


def test_where_every_key_was_retired_one_is_made() -> None:
    assert due(NOW, key("a1", NOW - 10)._replace(retired=NOW)).make


def test_a_year_of_rotation_refuses_no_token_that_is_alive(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    migrate(url)
    lifetime = 7 * DAY

    async def scenario() -> None:
        database = await open_database(url)
        try:
            await ensure_signing_key(database, NOW)
            tokens = Tokens(KeyRing(lambda: keys.signing(database)), "tidegate", int(lifetime))
            alive: list[tuple[str, float]] = []
            signers: set[str] = set()
            for hour in range(0, 365 * 24, 6):
                now = NOW + hour * 3600.0
                await asyncio.gather(*(rotate(database, now, keep=lifetime) for _ in range(2)))
                alive = [(token, end) for token, end in alive if end > now]
                for token, _ in alive:
                    verified = await tokens.verify(token, now)
                    assert verified is not None
                    signers.add(verified.kid)
                issued = await tokens.issue("ann", "", (CATALOG,), now)
                alive.append((issued.token, int(now) + lifetime))
            assert len(signers) == 13
            assert len(await keys.signing(database)) <= 3
        finally:
            await database.close()

    asyncio.run(scenario())


def test_rotation_that_is_not_due_writes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    migrate(url)

    async def scenario() -> None:
        database = await open_database(url)
        try:
            await ensure_signing_key(database, NOW)
            fresh = database.fresh()
            assert not await rotate(database, NOW + 1)
            assert database.fresh() == fresh
            assert await rotate(database, NOW + ROTATED_EVERY)
        finally:
            await database.close()

    asyncio.run(scenario())
