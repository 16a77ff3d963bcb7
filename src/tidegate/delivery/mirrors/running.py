"""Many images, several at a time; one that fails keeps no other from being copied.

When a side stops answering, or refuses who asks, the same would be said of every image that is
left: after some failures of that sort in a row the rest is not tried.
"""

import asyncio
from collections.abc import Callable, Sequence

from tidegate.delivery.layout.errors import LayoutError
from tidegate.delivery.mirrors.closure import together
from tidegate.delivery.mirrors.copying import Copier, Order
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.receipt import Outcome
from tidegate.images.streams.errors import StreamRefused
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

IMAGES = 4
"""Images at a time; their blobs wait for the lines of the copier."""

Done = Callable[[Outcome], None]


async def run(copier: Copier, orders: Sequence[tuple[Order, str]], done: Done) -> list[Outcome]:
    """Copy all of these, each with what its target is called; the outcomes in their order."""
    return await _Runner(copier, done).run(orders)


class _Runner:
    def __init__(self, copier: Copier, done: Done) -> None:
        self._copier = copier
        self._done = done
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
            copied = await self._copier.copy(order)
        except FAILURES as error:
            if isinstance(error, _OF_A_SIDE):
                self._failed += 1
                self._why = str(error)
            return Outcome(order.origin, target, error=str(error))
        self._failed = 0
        return Outcome(order.origin, target, copied)
