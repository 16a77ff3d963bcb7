"""Password hashes: argon2id, computed in a bounded pool.

Invariants: at most `threads` hashes are computed and `queue` wait at any time, so that guessing
passwords costs the guesser, not the server; checking against no user costs what checking against
one does.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tidegate.auth.errors import HashingBusy

MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
"""Argon2id's minimum in OWASP's Password Storage Cheat Sheet: 19 MiB, t=2, p=1; some 20 ms."""

HASH_BYTES, SALT_BYTES = 32, 16
"""RFC 9106 section 4: a 256-bit tag, a 128-bit salt."""

Outcome = TypeVar("Outcome")

QUEUE_LIMIT = 64
"""Hashes that wait: at 20 ms each the last waits little more than a second."""


class PasswordHashes:
    """Makes and checks hashes on `threads` threads; make it after the last fork."""

    def __init__(self, threads: int = 1, queue: int = QUEUE_LIMIT) -> None:
        self._argon2 = PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._room = threads + queue
        self._nobody = _hash_of_nothing()

    async def hash(self, password: str) -> str:
        """The encoded hash to store, with a salt and its parameters."""
        return await self._run(self._argon2.hash, password)

    async def matches(self, encoded: str | None, password: str) -> bool:
        """Whether `encoded` was made of `password`; None, for no such user, never was."""
        return await self._run(self._verify, encoded or self._nobody, password)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._argon2.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., Outcome], *arguments: str) -> Outcome:
        if self._room == 0:
            raise HashingBusy(retry_after=1.0)
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._room += 1


def _hash_of_nothing() -> str:
    """A well-formed hash that no password has, but for a chance of 1 in 2**256."""
    salt, tag = (
        base64.b64encode(os.urandom(size)).rstrip(b"=").decode("ascii")
        for size in (SALT_BYTES, HASH_BYTES)
    )
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${tag}"
