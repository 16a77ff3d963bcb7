"""The keys that sign our tokens, as every process sees them, and how they are replaced.

    created --ANNOUNCED_FOR--> signs --a newer key signs--> retired: verifies --kept--> removed

A key is known everywhere before it signs, and kept until what it signed has expired, so that
rotation refuses no token; the first key of all signs at once. Invariant: a key that was removed
from the database verifies nothing, remembered tokens included, after `READ_EVERY` seconds.
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

ROTATED_EVERY = 30 * 86_400.0
"""Seconds that a key signs before a new one is made."""

KEPT_FOR = 366 * 86_400.0
"""Seconds that a retired key verifies: longer than any token lives, of which service accounts' may
live a year."""

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


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is due: whether to make a key, and the ids of keys to retire and to remove."""

    make: bool
    retire: tuple[str, ...]
    remove: tuple[str, ...]

    @property
    def is_due(self) -> bool:
        return self.make or bool(self.retire) or bool(self.remove)


def plan_rotation(found: Sequence[Key], now: float, every: float, keep: float) -> Rotation:
    """What is due among the keys `found`, the oldest first."""
    usable = [key for key in found if key.retired is None]
    # Twice the announcement: by then the new key signs even where the clock is behind.
    signs = [key for key in usable if key.created + 2 * ANNOUNCED_FOR <= now]
    return Rotation(
        make=not usable or usable[-1].created + every <= now,
        retire=tuple(key.kid for key in signs[:-1]),
        remove=tuple(
            key.kid for key in found if key.retired is not None and key.retired + keep <= now
        ),
    )


async def rotate(
    database: Database, now: float, every: float = ROTATED_EVERY, keep: float = KEPT_FOR
) -> bool:
    """Do what is due; whether anything was. To be called now and then, by any process or all.

    `keep` is how long a retired key verifies: no shorter than the longest life of a token.
    """
    if not plan_rotation(await keys.signing(database), now, every, keep).is_due:
        return False
    made = new_key(now)

    def unit(tx: Transaction) -> bool:
        plan = plan_rotation(keys.stored(tx), now, every, keep)
        if plan.make:
            keys.put(tx, made)
        for kid in plan.retire:
            keys.retire(tx, kid, now)
        for kid in plan.remove:
            keys.remove(tx, kid)
        return plan.is_due

    return await database.write(unit)


def _signing(found: Sequence[Key], now: float) -> Key:
    """The newest that was announced long enough, else the oldest."""
    usable = sorted((key for key in found if key.retired is None), key=lambda key: key.created)
    if not usable:
        raise NoSigningKey("there is no key to sign registry tokens with")
    announced = [key for key in usable if key.created + ANNOUNCED_FOR <= now]
    return announced[-1] if announced else usable[0]
