import asyncio
from collections.abc import Sequence

import pytest

from tidegate.auth.keys import (
    ANNOUNCED_FOR,
    READ_EVERY,
    KeyRing,
    NoSigningKey,
    new_key,
)
from tidegate.metastore.keys import Key

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
