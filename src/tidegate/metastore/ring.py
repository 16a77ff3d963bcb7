"""The newest changes in memory: one copy for every watcher of the process.

    forgotten ...... reach(A) | A's oldest ............ A's newest        position
                     reach(B)      | B's oldest ... B's newest

A watcher is a revision and nothing else: what comes after it is found here, by resource. Writing
costs the same for one watcher and for a thousand. Invariant: of each resource, every change after
its `reach` and up to `position` is here; what one `extend` brings stays until the next one, so
that only who is slow is overtaken.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import takewhile

from tidegate.apimachinery.store import Change

CHANGES = 8192
BYTES = 32 * 1024 * 1024
"""Bounds of what is kept, whichever is met first."""


class Ring:
    """Changes after `position`, as they are added; for one event loop."""

    def __init__(self, position: int, changes: int = CHANGES, size: int = BYTES) -> None:
        self.position = position
        self.ended = ""
        """Why nothing will come any more; empty while it does."""
        self._start = position
        self._changes = changes
        self._bytes = size
        self._order: deque[Change] = deque()
        self._held = 0
        self._of: dict[str, deque[Change]] = {}
        self._reach: dict[str, int] = {}
        self._growth: dict[str, asyncio.Event] = {}

    def extend(self, changes: Sequence[Change], position: int) -> None:
        """Add the next changes, up to `position`, and wake who waits for them."""
        while changes and (len(self._order) > self._changes or self._held > self._bytes):
            self._drop_oldest()
        for change in changes:
            self._order.append(change)
            self._held += _size(change)
            self._of.setdefault(change.key.resource, deque()).append(change)
        self.position = position
        for resource in {change.key.resource for change in changes}:
            if growth := self._growth.pop(resource, None):
                growth.set()

    def skip(self, resource: str, revision: int) -> None:
        """Say that a change of the resource is not here: nobody watched when it was read."""
        self._reach[resource] = revision

    def end(self, why: str) -> None:
        """Tell every watcher that nothing will come here any more."""
        self.ended = why
        for growth in self._growth.values():
            growth.set()
        self._growth.clear()

    def reach(self, resource: str) -> int:
        """The revision after which every change of the resource is here."""
        return self._reach.get(resource, self._start)

    def newest(self, resource: str) -> int:
        """The revision of the resource's newest change, as far as it is known here."""
        kept, reach = self._of.get(resource), self.reach(resource)
        return max(kept[-1].revision, reach) if kept else reach

    def after(self, resource: str, revision: int) -> list[Change]:
        """Changes after `revision`, which is not before `reach`; costs what it finds."""
        newest_first = reversed(self._of.get(resource, ()))
        found = list(takewhile(lambda change: change.revision > revision, newest_first))
        found.reverse()
        return found

    async def growth(self, resource: str) -> None:
        """Return once there are more changes of the resource, or the end has come."""
        if not self.ended:
            await self._growth.setdefault(resource, asyncio.Event()).wait()

    def _drop_oldest(self) -> None:
        change = self._order.popleft()
        self._held -= _size(change)
        resource = change.key.resource
        self._reach[resource] = max(change.revision, self.reach(resource))
        kept = self._of[resource]
        kept.popleft()
        if not kept:
            del self._of[resource]


def _size(change: Change) -> int:
    return len(change.before or b"") + len(change.after or b"")
