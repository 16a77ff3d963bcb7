"""Many images, several at a time; one that fails keeps no other from being copied.

A side that asks to wait a moment is waited for. When one stops answering, or refuses who asks, the
same would be said of all images that are left: after some failures of that sort in a row they are
not tried.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from tidegate.delivery.layout.errors import LayoutError
from tidegate.delivery.mirrors.closure import together
from tidegate.delivery.mirrors.copying import Copied, Copier, Order
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.receipt import Outcome
from tidegate.images.streams.errors import StreamRefused
from tidegate.kinds.durations import written
from tidegate.metastore.projects import ProjectGone
from tidegate.remote.errors import (
    AccessDenied,
    AddressRefused,
    InsecureOnly,
    RateLimited,
    RegistryBlocked,
    RemoteError,
    Unavailable,
)
from tidegate.storage.errors import StorageError

FAILURES = (NotCopied, RemoteError, LayoutError, StreamRefused, StorageError, ProjectGone)
"""What can go wrong with an image; the text of each is for people."""

_OF_A_SIDE = (
    AccessDenied,
    AddressRefused,
    InsecureOnly,
    RateLimited,
    RegistryBlocked,
    Unavailable,
    LayoutError,
    StorageError,
    ProjectGone,
)

GIVE_UP = 5
"""Failures in a row after which a side is taken to have failed as a whole."""

WAITS, LONGEST_WAIT = 5, 60.0
"""Times that an image is tried again where a registry asks to wait no longer than these seconds."""

IMAGES = 4
"""Images at a time; their blobs wait for the lines of the copier."""

Done = Callable[[Outcome], None]
Sleep = Callable[[float], Awaitable[None]]


async def run(
    copier: Copier,
    orders: Sequence[tuple[Order, str]],
    done: Done,
    sleep: Sleep = asyncio.sleep,
) -> list[Outcome]:
    """Copy all of these, each with what its target is called; the outcomes in their order."""
    return await _Runner(copier, done, sleep).run(orders)


class _Runner:
    def __init__(self, copier: Copier, done: Done, sleep: Sleep) -> None:
        self._copier = copier
        self._done = done
        self._sleep = sleep
        self._turns = asyncio.Semaphore(IMAGES)
        self._failed = 0
        self._why = ""

    async def run(self, orders: Sequence[tuple[Order, str]]) -> list[Outcome]:
        return await together(self._one(*each) for each in orders)

    async def _one(self, order: Order, target: str) -> Outcome:
        async with self._turns:
            outcome = await self._outcome(order, target)
        self._done(outcome)
        return outcome

    async def _outcome(self, order: Order, target: str) -> Outcome:
        if self._failed >= GIVE_UP:
            return Outcome(order.origin, target, error=f"not tried any more: {self._why}")
        try:
            copied = await self._patiently(order)
        except FAILURES as error:
            why = _said(error)
            if isinstance(error, _OF_A_SIDE):
                self._failed += 1
                self._why = why
            return Outcome(order.origin, target, error=why)
        self._failed = 0
        return Outcome(order.origin, target, copied)

    async def _patiently(self, order: Order) -> Copied:
        for _ in range(WAITS):
            try:
                return await self._copier.copy(order)
            except RateLimited as error:
                if error.retry_after > LONGEST_WAIT:
                    raise
                # those who were told the same do not come back together
                await self._sleep(error.retry_after + random.uniform(0, 1))  # noqa: S311
        return await self._copier.copy(order)


def _said(error: Exception) -> str:
    if isinstance(error, RateLimited):
        return f"{error}; it asks to wait {written(error.retry_after)}"
    return str(error)
