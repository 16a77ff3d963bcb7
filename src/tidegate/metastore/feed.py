"""Tells a process what was committed: reads the history once for all who follow or watch.

    changed() -> one read after `position` -> followers (callbacks) -> ring -> subscriptions

`Documents` owns one. Who asks `catch_up` runs the same step at once. Knows nothing of objects.
Invariant: steps run one at a time, so that every change after the start is told once and in order
of its revision; a feed that cannot do that says so, to all, and goes on from the newest revision.
Bodies of resources that nobody follows or watches are not read: who comes later finds them in the
database.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from tidegate.apimachinery.errors import Expired
from tidegate.apimachinery.store import Change
from tidegate.metastore import history
from tidegate.metastore.changes import span
from tidegate.metastore.database import Database
from tidegate.metastore.errors import OUTAGES
from tidegate.metastore.ring import CHANGES, Ring
from tidegate.metastore.subscription import PAGE, RingSubscription

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
PAUSE_SECONDS = 0.005
"""Between two readings while others commit without pause: each costs a read that is not cached."""
CANCEL_SECONDS = 0.1

Apply = Callable[[Change], None]
Reset = Callable[[], None]


class Feed:
    """The changes of one database, for one event loop; `start` it, and `close` it in the end."""

    def __init__(self, db: Database, kept: int = CHANGES) -> None:
        self._db = db
        self._kept = kept
        self._ring = Ring(0, kept)
        self._followers: dict[str, list[Apply]] = {}
        self._resets: list[Reset] = []
        self._watched: Counter[str] = Counter()
        self._turn = asyncio.Lock()
        self._token: int | None = None  # as of which the last step has read
        self._begun = 0
        self._done = 0
        self._failed = 0
        self._failure: Exception | None = None
        self._tail: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what is committed from now on."""
        if self._tail is None:
            self._ring = Ring((await span(self._db)).newest, self._kept)
            self._tail = asyncio.create_task(self._follow_database(), name="metastore-feed")

    async def close(self) -> None:
        """Tell no more; subscriptions end."""
        self._ring.end("the server is stopping")
        while self._tail is not None and not self._tail.done():
            self._tail.cancel()  # psycopg swallows one that comes as a query ends: ask again
            await asyncio.wait((self._tail,), timeout=CANCEL_SECONDS)

    def follow(self, resources: Sequence[str], apply: Apply, reset: Reset | None = None) -> None:
        """See `ObjectStore.follow`; what is listed after this call is followed without a gap."""
        self._require_start()
        for resource in resources:
            self._followers.setdefault(resource, []).append(apply)
        if reset is not None:
            self._resets.append(reset)

    async def watch(self, resource: str, after: int) -> RingSubscription:
        """See `ObjectStore.watch`."""
        self._require_start()
        if after > self._ring.position and after > await self.catch_up():
            raise Expired(f"revision {after} was never reached, {self._ring.position} is newest")
        if after < self._ring.reach(resource) and after < (await span(self._db)).compacted:
            raise Expired(f"changes after revision {after} are no longer kept")
        self._watched[resource] += 1
        return RingSubscription(
            self._db, self._ring, resource, after, lambda: self._unwatch(resource)
        )

    def _unwatch(self, resource: str) -> None:
        self._watched[resource] -= 1

    def _wanted(self) -> set[str]:
        """The resources of which somebody is told."""
        return {*self._followers, *(each for each, count in self._watched.items() if count > 0)}

    async def catch_up(self) -> int:
        """Tell everything that was committed before this call; the revision reached.

        Those who wait together share one step, or its failure, if it began after they asked.
        """
        self._require_start()
        if self._db.fresh_is_proof and self._db.fresh() == self._token:
            return self._ring.position
        begun = self._begun
        async with self._turn:
            if self._done <= begun:  # else one who waited as well has asked since
                if self._failure is not None and self._failed > begun:
                    raise self._failure.with_traceback(None)
                await self._step()
        return self._ring.position

    async def _step(self) -> None:
        self._begun += 1
        step = self._begun
        try:
            token = self._db.fresh()
            await self._advance()
        except Exception as error:
            self._failed, self._failure = step, error
            raise
        self._done, self._token, self._failure = step, token, None

    def _require_start(self) -> None:
        if self._tail is None:
            raise RuntimeError("the feed was not started")

    async def _follow_database(self) -> None:
        while True:
            try:
                token = self._db.fresh()
                await self.catch_up()
                await asyncio.sleep(PAUSE_SECONDS)
                await self._db.changed(token)
            except OUTAGES as error:
                log.warning("following the changes failed, will try again: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # the top of a loop: logged, and tried again
                log.exception("following the changes failed, will try again")
                await asyncio.sleep(RETRY_SECONDS)

    async def _advance(self) -> None:
        """Tell what came since the last step, page by page."""
        while True:
            position, wanted = self._ring.position, self._wanted()
            stretch = await history.glance(self._db, position, PAGE, sorted(wanted or {""}))
            if stretch.compacted > position or stretch.newest < position:
                self._lose_place(stretch.newest)
                return
            if not self._wanted() <= wanted:
                continue  # somebody came meanwhile: read it for her, too
            changes = [each for each in stretch.changes if each.key.resource in wanted]
            for each in stretch.changes:
                if each.key.resource not in wanted:
                    self._ring.skip(each.key.resource, each.revision)
            self._tell(changes)
            self._ring.extend(changes, stretch.reached)
            if stretch.reached == stretch.newest:
                return
            await asyncio.sleep(0)  # so that watchers take this page before the next one comes

    def _tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            for apply in self._followers.get(change.key.resource, ()):
                try:
                    apply(change)
                except Exception:  # one follower's fault is not the others'
                    log.exception("a follower failed at revision %d", change.revision)

    def _lose_place(self, newest: int) -> None:
        lost, self._ring = self._ring, Ring(newest, self._kept)
        log.error("changes from %d to %d were missed: all is read anew", lost.position, newest)
        lost.end(f"changes after revision {lost.position} are no longer kept")
        for reset in self._resets:
            try:
                reset()
            except Exception:  # one follower's fault is not the others'
                log.exception("a follower could not be reset")
