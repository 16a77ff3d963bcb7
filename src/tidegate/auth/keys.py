"""The keys that sign registry tokens, as every process sees them.

    created --ANNOUNCED_FOR--> signs --a newer key signs, or retired--> verifies --> removed

A key is known everywhere before it signs, so that rotation refuses no token; the first key of all
signs at once. Invariant: a key that was removed from the database verifies nothing, remembered
tokens included, after `READ_EVERY` seconds.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tidegate.metastore import keys
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.keys import Key

ANNOUNCED_FOR = 60.0
"""Seconds between a key's creation and its first use: well above `READ_EVERY` and clock drift."""

READ_EVERY = 0.5
"""Seconds that the keys, as read, are relied on."""

SECRET_BYTES = 32
"""RFC 7518 section 3.2: a key as long as the hash at least."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that verify, by their `kid`, and the one that signs."""

    by_kid: dict[str, Key]
    signing: Key


class NoSigningKey(RuntimeError):
    """No key may sign: the database was not set up, or somebody retired the last one."""


class KeyRing:
    """The keys that `read` returns, read again when they are older than `READ_EVERY`."""

    def __init__(self, read: Callable[[], Awaitable[Sequence[Key]]]) -> None:
        self._read = read
        self._keys: Keys | None = None
        self._read_at = 0.0

    async def keys(self, now: float) -> Keys:
        """The keys at `now`, seconds since the epoch."""
        if self._keys is None or not 0 <= now - self._read_at < READ_EVERY:
            found = await self._read()
            self._keys = Keys({key.kid: key for key in found}, _signing(found, now))
            self._read_at = now
        return self._keys


def new_key(now: float) -> Key:
    return Key(os.urandom(8).hex(), os.urandom(SECRET_BYTES), now)


async def ensure_signing_key(database: Database, now: float) -> None:
    """Make the first key, unless one was made: at start, by whichever process comes first."""
    if await keys.signing(database):
        return
    key = new_key(now)

    def unit(tx: Transaction) -> None:
        if not keys.stored(tx):
            keys.put(tx, key)

    await database.write(unit)


def _signing(found: Sequence[Key], now: float) -> Key:
    """The newest that was announced long enough, else the oldest."""
    usable = sorted((key for key in found if key.retired is None), key=lambda key: key.created)
    if not usable:
        raise NoSigningKey("there is no key to sign registry tokens with")
    announced = [key for key in usable if key.created + ANNOUNCED_FOR <= now]
    return announced[-1] if announced else usable[0]
