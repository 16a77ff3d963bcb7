"""Password checks that succeeded a moment ago, so that Basic on each request stays affordable.

What is remembered is a keyed hash over the user's name, stored hash and password, under a key that
this process draws at its start. Invariant: an entry holds only for the stored hash that it was made
with, so that a changed password voids it at once and in every process, with nobody to tell.
"""

import hashlib
import os
from collections.abc import Callable

REMEMBERED_FOR = 60.0
"""Seconds; the time that clients keep Basic credentials in one burst of requests."""

CAPACITY = 10_000


class RememberedLogins:
    """A bounded set of marks that expire; `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._key = os.urandom(32)
        self._expiries: dict[bytes, float] = {}  # in the order of their expiry

    def mark(self, name: str, encoded: str, password: str) -> bytes:
        """What stands for this name, stored hash and password; useless outside this process."""
        message = "\0".join((name, encoded, password)).encode()
        return hashlib.blake2b(message, key=self._key, digest_size=32).digest()

    def holds(self, mark: bytes) -> bool:
        return self._expiries.get(mark, 0.0) > self._clock()

    def add(self, mark: bytes) -> None:
        now = self._clock()
        self._expiries.pop(mark, None)
        self._expiries[mark] = now + REMEMBERED_FOR
        while len(self._expiries) > self._capacity or self._oldest() <= now:
            del self._expiries[next(iter(self._expiries))]

    def _oldest(self) -> float:
        return next(iter(self._expiries.values()))
