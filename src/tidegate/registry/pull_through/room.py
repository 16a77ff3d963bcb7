"""How much may be kept of what other registries have, and what goes when there is no room.

    a size is set     copies have no more bytes than that together
    none is set       they leave a tenth of the disk free, for what is pushed

What was used the longest ago goes first. Uses are written down in batches and some minutes late.
Each process decides by what all of them know, so that several may go a little over, and the next
look makes up for it. A copy that is being read may go: its reader has the file.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from tidegate.metastore import cached
from tidegate.metastore.cached import Copy
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.remote.memory import Memory
from tidegate.storage.blobs import StoredBlob
from tidegate.storage.cache import BlobCache

_LOG = logging.getLogger(__name__)

FREE = 0.10
"""Part of the disk that copies leave free where no size is set."""
FREE_ANYWAY = 0.02
"""Part of the disk that they leave free where one is."""
SLACK = 0.95
"""Down to this part of the size there is room made, so that not each blob has to make some."""

USES_EVERY = 300.0
"""Seconds between two notes that a copy is in use."""
_USES = 65536

_AT_ONCE = 50
"""Copies that go in one unit of work, and are looked at in one batch."""

ABANDONED = 3600.0
"""Seconds after which a fill that nobody goes on with is removed."""

COUNTED_EVERY = 60.0
"""Seconds between counts of all copies; what this process keeps and lets go of is known at once."""


class Room:
    """The room for copies, as one process sees it; `size` in bytes, 0 for none set."""

    def __init__(
        self,
        database: Database,
        cache: BlobCache,
        size: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._cache = cache
        self._size = size
        self._clock = clock
        self._total: int | None = None
        self._counted = 0.0
        self._coming = 0  # bytes of copies that are not whole yet
        self._turn = asyncio.Lock()
        self._used: set[Digest] = set()
        self._noted: Memory[Digest, bool] = Memory(_USES, clock)

    async def fits(self, size: int) -> bool:
        """See `RoomForCopies`; nothing goes for the asking."""
        if not self._cache.is_there or (self._size and size > self._size):
            return False
        return self._excess(size, 1.0) <= await self._known()

    async def make(self, size: int) -> bool:
        """See `RoomForCopies`."""
        async with self._turn:
            kept = await self._known()
            if 0 < self._excess(size, 1.0) <= kept:
                await self._evict(size, 1.0)
            if self._excess(size, 1.0) > 0:
                return False
            self._coming += size
            return True

    def give_back(self, size: int) -> None:
        """See `RoomForCopies`."""
        self._coming -= size

    def taken(self, size: int) -> None:
        """A copy of so many bytes is kept."""
        if self._total is not None:
            self._total += size

    async def _known(self) -> int:
        """Bytes of the copies, as they were some seconds ago."""
        if self._total is None or self._clock() - self._counted >= COUNTED_EVERY:
            self._counted = self._clock()
            self._total = (await cached.totals(self._database)).bytes
        return self._total

    def use(self, digest: Digest) -> None:
        """A copy is read."""
        if self._noted.get(digest) is None:
            self._noted.put(digest, True, USES_EVERY)
            self._used.add(digest)

    async def tidy(self) -> int:
        """Write down what was used, and let go of what is too much; how many copies went."""
        await self._note_uses()
        await self._discard_abandoned()
        async with self._turn:
            await self._known()
            return await self._evict(0, SLACK) if self._excess(0, 1.0) > 0 else 0

    async def reconcile(self) -> None:
        """Let rows and files agree again, after a crash between the two."""
        rows: dict[Digest, Copy] = {}
        after = ""
        while page := await cached.page(self._database, after, 1000):
            rows.update((each.digest, each) for each in page)
            after = page[-1].digest
        copies = self._cache.copies()
        unknown = [each async for each in copies if rows.pop(each.digest, None) is None]
        for start in range(0, len(unknown), _AT_ONCE):
            await self._adopt(unknown[start : start + _AT_ONCE])
        lost = [digest for digest in rows if not self._is_there(digest)]
        for start in range(0, len(lost), _AT_ONCE):
            await self._forget(lost[start : start + _AT_ONCE])

    def _is_there(self, digest: Digest) -> bool:
        copy = self._cache.open(digest)
        if copy is not None:
            copy.close()
        return copy is not None

    async def _adopt(self, copies: list[StoredBlob]) -> None:
        def unit(tx: Transaction) -> None:
            for each in copies:
                cached.store(tx, each.digest, each.size, each.modified, each.modified)

        await self._database.write(unit, durable=False)

    def _excess(self, size: int, part: float) -> int:
        """Bytes that have to go before a copy of `size` bytes has room."""
        free, total = self._cache.room()
        floor = FREE_ANYWAY if self._size else FREE
        excess = int(total * floor) + size - free
        if self._size:
            held = (self._total or 0) + self._coming
            excess = max(excess, held + size - int(self._size * part))
        return excess

    async def _evict(self, size: int, part: float) -> int:
        gone = 0
        while self._excess(size, part) > 0:
            victims = await cached.longest_unused(self._database, _AT_ONCE)
            if not victims:
                break
            excess, chosen = self._excess(size, part), []
            for victim in victims:
                chosen.append(victim)
                excess -= victim.size
                if excess <= 0:
                    break
            await self._forget([each.digest for each in chosen])
            for each in chosen:
                await self._cache.remove(each.digest)
                self._total = max(0, (self._total or 0) - each.size)
            gone += len(chosen)
        return gone

    async def _forget(self, digests: list[Digest]) -> None:
        """Rows first: a file without a row is found at the next start, a row misleads nobody."""

        def unit(tx: Transaction) -> None:
            for digest in digests:
                cached.forget(tx, digest)

        await self._database.write(unit, durable=False)

    async def _note_uses(self) -> None:
        used, self._used = sorted(self._used), set()
        now = self._clock()
        for start in range(0, len(used), _AT_ONCE):
            unit = partial(_use, used[start : start + _AT_ONCE], now)
            await self._database.write(unit, durable=False)

    async def _discard_abandoned(self) -> None:
        before = self._clock() - ABANDONED
        async for fill in self._cache.fills():
            if fill.modified < before and await self._cache.discard_idle(fill):
                _LOG.info("removed what had come of a blob that nobody wants any more")


def _use(digests: list[Digest], now: float, tx: Transaction) -> None:
    cached.use(tx, digests, now)
