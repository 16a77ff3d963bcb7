"""Whether copies of other registries' blobs are what their digests say: a part of `tidegate check`.

A damaged copy is removed by a repair, and nothing is lost with it: the next pull fetches the blob
anew. Runs beside a serving registry, which may let go of copies meanwhile.
"""

import random

from tidegate.metastore import cached
from tidegate.metastore.database import Database
from tidegate.registry.findings import Fault, Findings, Order, Problem, Progress
from tidegate.storage.blobs import StoredBlob
from tidegate.storage.cache import BlobCache
from tidegate.storage.errors import BlobMissing, StorageError


class CopyVerification:
    """One run over all copies, which adds to what else was found."""

    def __init__(
        self,
        database: Database,
        cache: BlobCache,
        order: Order,
        progress: Progress,
        chance: random.Random,
    ) -> None:
        self._database = database
        self._cache = cache
        self._order = order
        self._progress = progress
        self._chance = chance

    async def run(self, findings: Findings) -> None:
        """Hash the copies, or the part of them that the order asks for."""
        totals = await cached.totals(self._database)
        self._progress.begin("hashing copies", totals.bytes)
        async for copy in self._cache.copies():
            findings.copies += 1
            findings.copy_bytes += copy.size
            if self._chance.random() * 100 < self._order.sample:
                await self._check(copy, findings)
            self._progress.advance(copy.size)

    async def _check(self, copy: StoredBlob, findings: Findings) -> None:
        try:
            if await self._cache.verify(copy.digest):
                return
            detail = f"a copy of {copy.size} bytes that have another digest"
        except BlobMissing:
            return  # it was let go of
        except StorageError as error:
            detail = f"a copy that cannot be read: {error}"
        if self._order.repair:
            await self._database.write(lambda tx: cached.forget(tx, copy.digest), durable=False)
            await self._cache.remove(copy.digest)
        problem = Problem(Fault.COPY, copy.digest, detail, repaired=self._order.repair)
        findings.problems.append(problem)
