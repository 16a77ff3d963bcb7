"""One watch of one resource: a place in the ring, or behind it in the database.

    behind: pages of `history` --- caught up with the ring ---> follows the ring --> Expired
                                                                 overtaken, or the ring ended

Holds no change and no task, so that a thousand cost little. Invariant: a change is told once, in
order, and none is left out: the two sources have their revisions in common.
"""

from collections.abc import Callable, Sequence

from tidegate.apimachinery.errors import Expired
from tidegate.apimachinery.store import Change
from tidegate.metastore import history
from tidegate.metastore.database import Database
from tidegate.metastore.ring import Ring

PAGE = 64
"""Changes in one read: a few hundred microseconds of the event loop."""


class RingSubscription:
    """A `Subscription`; `Feed.watch` makes them."""

    def __init__(
        self,
        db: Database,
        ring: Ring,
        resource: str,
        after: int,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        """`closed` is called once, when nothing more is wanted."""
        self._db = db
        self._ring = ring
        self._resource = resource
        self._told = after
        self._behind = after < ring.reach(resource)
        self._closed: Callable[[], None] | None = closed

    async def next(self) -> Sequence[Change]:
        while True:
            if self._ring.ended:
                raise Expired(self._ring.ended)
            found = await self._from_database() if self._behind else await self._from_ring()
            if found:
                return found

    def position(self) -> int:
        if self._behind or self._ring.newest(self._resource) > self._told:
            return self._told
        return max(self._told, self._ring.position)  # what went by was of other resources

    def close(self) -> None:
        """Want nothing more; a second time does nothing."""
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    async def _from_ring(self) -> list[Change]:
        if self._ring.reach(self._resource) > self._told:
            raise Expired(f"changes after revision {self._told} came faster than they were read")
        found = self._ring.after(self._resource, self._told)
        if found:
            self._told = found[-1].revision
        else:
            await self._ring.growth(self._resource)
        return found

    async def _from_database(self) -> list[Change]:
        stretch = await history.read(self._db, self._told, PAGE, self._resource)
        if stretch.compacted > self._told:
            raise Expired(f"changes after revision {self._told} are no longer kept")
        self._told = stretch.reached
        self._behind = self._told < self._ring.reach(self._resource)
        return stretch.changes
