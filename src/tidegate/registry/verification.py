"""Whether what is stored is what its digest says: the work of `tidegate check`.

Runs beside a serving registry, so every finding is one that a push or a delete in the meantime
does not explain, and every repair is right whatever else happens between its steps:

    corrupt bytes     set aside in quarantine, then the blob's size is forgotten: it reads as
                      missing everywhere, and a push of the digest brings it back everywhere
    bytes missing     the size is forgotten
    bytes are back    they were missed once and are there again, whole: the size is recorded
    size recorded     is not that of bytes which have the digest: corrected
      wrongly
    manifest corrupt  its bytes are set aside; the manifest and its tags go until pushed again
    usage             the bytes counted for a project are not those that it holds: counted again
    incomplete        a manifest names a blob that its repository cannot read: told, as only a push
                      can help
    disagreement      the registry's tags and the streams' events tell different stories: told

Bytes that no row names, and uploads without a session, are no fault: a crash leaves them. They are
counted, and such uploads are removed by a repair once they are as old as a session may get.
"""

import random
from collections.abc import AsyncIterator

from tidegate.images import adoption
from tidegate.metastore import agreement, blobs, recounting, uploads
from tidegate.metastore.agreement import Disagreement
from tidegate.metastore.database import Database
from tidegate.oci.digest import Digest
from tidegate.registry.findings import Fault, Findings, Order, Problem, Progress
from tidegate.storage.blobs import BlobStore, StoredBlob
from tidegate.storage.errors import BlobMissing, StorageError

_FILES = 256
_ROWS = 1000
_CONTENTS = 16
"""Manifests in memory at once, of up to 4 MiB each."""


class Verification:
    """One run over all that is stored."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        order: Order,
        progress: Progress,
        chance: random.Random,
    ) -> None:
        self._database = database
        self._store = store
        self._order = order
        self._progress = progress
        self._chance = chance
        self._findings = Findings()

    async def run(self) -> Findings:
        """Verify everything that the order asks for."""
        totals = await blobs.totals(self._database)
        self._progress.begin("hashing blobs", totals.bytes)
        async for batch in _batches(self._store.blobs()):
            await self._check_files(batch)
        self._progress.begin("looking for blobs", totals.blobs)
        await self._check_rows()
        self._progress.begin("hashing manifests", totals.contents)
        await self._check_contents()
        newest = await blobs.newest_manifest(self._database)
        self._progress.begin("completeness", newest)
        await self._check_completeness(newest)
        await self._check_uploads()
        await self._check_usage()
        await self._check_agreement()
        return self._findings

    async def _check_files(self, batch: list[StoredBlob]) -> None:
        recorded = await blobs.sizes(self._database, [blob.digest for blob in batch])
        for blob in batch:
            self._findings.blobs += 1
            self._findings.bytes += blob.size
            if blob.digest not in recorded:
                self._findings.unlinked_blobs += 1
                self._findings.unlinked_bytes += blob.size
            await self._check_file(blob, blob.digest in recorded, recorded.get(blob.digest))
            self._progress.advance(blob.size)

    async def _check_file(self, blob: StoredBlob, linked: bool, recorded: int | None) -> None:
        doubtful = linked and recorded != blob.size
        if not doubtful and self._chance.random() * 100 >= self._order.sample:
            return
        try:
            whole = await self._store.verify(blob.digest)
        except BlobMissing:
            return  # deleted since it was listed; `_check_rows` sees whether it should have been
        except StorageError as error:
            await self._corrupt(Fault.UNREADABLE, blob, str(error))
            return
        self._findings.hashed_blobs += 1
        self._findings.hashed_bytes += blob.size
        if not whole:
            detail = f"{blob.size} bytes that have another digest"
            await self._corrupt(Fault.CORRUPT, blob, detail)
        elif doubtful:
            await self._correct_size(blob)

    async def _corrupt(self, fault: Fault, blob: StoredBlob, detail: str) -> None:
        repaired = False
        if self._order.repair:
            try:
                repaired = await self._store.set_aside(blob.digest)
            except BlobMissing:
                return  # another check was quicker
            except StorageError as error:
                detail = f"{detail}; not set aside: {error}"  # but not served either
            else:
                if not repaired:
                    return  # replaced by a push since it was read
            await self._lose(blob.digest)
        self._found(fault, blob.digest, detail, repaired=repaired)

    async def _correct_size(self, blob: StoredBlob) -> None:
        """The bytes are good, so the row is wrong, unless it has been written in the meantime."""
        now = (await blobs.sizes(self._database, [blob.digest])).get(blob.digest, blob.size)
        if now == blob.size:
            return
        if self._order.repair:
            await self._restore(blob.digest, blob.size)
        fault = Fault.BACK if now is None else Fault.WRONG_SIZE
        detail = f"{blob.size} bytes, recorded as {'missing' if now is None else now}"
        self._found(fault, blob.digest, detail, repaired=self._order.repair)

    async def _check_rows(self) -> None:
        after = ""
        while rows := await blobs.page(self._database, after, _ROWS):
            for row in rows:
                if await self._store.size(row.digest) is None:
                    await self._missing(row.digest)
            after = rows[-1].digest
            self._progress.advance(len(rows))

    async def _missing(self, digest: Digest) -> None:
        recorded = (await blobs.sizes(self._database, [digest])).get(digest)
        if recorded is None or await self._store.size(digest) is not None:
            return  # collected or pushed since the row was read
        if self._order.repair:
            await self._lose(digest)
        self._found(
            Fault.MISSING, digest, f"{recorded} bytes are not there", repaired=self._order.repair
        )

    async def _lose(self, digest: Digest) -> None:
        """Forget a blob's size, unless a push has brought its bytes meanwhile.

        A push stores the bytes before it writes the row. So when its row was written before ours,
        the bytes are seen here; when it comes after, it undoes ours.
        """
        await self._database.write(lambda tx: blobs.lose(tx, digest))
        size = await self._store.size(digest)
        if size is None:
            return
        try:
            whole = await self._store.verify(digest)
        except StorageError:
            return
        if whole:
            await self._restore(digest, size)

    async def _restore(self, digest: Digest, size: int) -> None:
        await self._database.write(lambda tx: blobs.restore(tx, digest, size))

    async def _check_contents(self) -> None:
        after = 0
        while contents := await blobs.contents(self._database, after, _CONTENTS):
            for content in contents:
                self._findings.manifests += 1
                if not content.digest.matches(content.content):
                    await self._manifest_corrupt(content)
            after = contents[-1].id
            self._progress.advance(len(contents))

    async def _manifest_corrupt(self, content: blobs.Content) -> None:
        if self._order.repair:
            await self._store.keep_aside(content.digest, content.content)
            await self._database.write(lambda tx: blobs.drop_content(tx, content.digest))
        found = Digest.of(content.content, content.digest.algorithm)
        self._found(
            Fault.MANIFEST_CORRUPT,
            content.digest,
            f"{len(content.content)} bytes with the digest {found}",
            repaired=self._order.repair,
        )

    async def _check_completeness(self, newest: int) -> None:
        for first in range(1, newest + 1, _ROWS):
            for gap in await blobs.gaps(self._database, first, first + _ROWS - 1):
                self._findings.incomplete += 1
                if not self._order.sparse:
                    detail = f"{gap.repository} lacks blob {gap.blob}"
                    self._found(Fault.INCOMPLETE, gap.manifest, detail, repaired=False)
            self._progress.advance(_ROWS)

    async def _check_uploads(self) -> None:
        async for upload in self._store.uploads():
            if upload.modified >= self._order.stale_before:
                continue
            if await uploads.is_open(self._database, upload.upload_id):
                continue
            if self._order.repair and not await self._store.discard_idle(upload.upload_id):
                continue
            self._findings.stale_uploads += 1
            self._findings.stale_bytes += upload.size

    async def _check_agreement(self) -> None:
        await self._disagree(agreement.of_tags(self._database))
        if (await adoption.read_progress(self._database)).stage == adoption.DONE:
            await self._disagree(agreement.of_older(self._database))

    async def _disagree(self, found: AsyncIterator[Disagreement]) -> None:
        async for each in found:
            self._found(Fault.DISAGREEMENT, each.digest, each.detail, repaired=False)

    async def _check_usage(self) -> None:
        """Count what each project holds once more."""
        names = await recounting.projects(self._database)
        self._progress.begin("counting bytes of projects", len(names))
        for name in names:
            wrong = await recounting.miscounted(self._database, name)
            if wrong is not None:
                counted, held = (f"{each.alone} + {each.shared}" for each in wrong)
                detail = f"project {name} holds {held} bytes (alone + shared), counted {counted}"
                if self._order.repair:
                    await recounting.repair(self._database, name)
                self._found(Fault.USAGE, None, detail, repaired=self._order.repair)
            self._progress.advance(1)

    def _found(self, fault: Fault, digest: Digest | None, detail: str, *, repaired: bool) -> None:
        self._findings.problems.append(Problem(fault, digest, detail, repaired))


async def _batches(stored: AsyncIterator[StoredBlob]) -> AsyncIterator[list[StoredBlob]]:
    batch: list[StoredBlob] = []
    async for blob in stored:
        batch.append(blob)
        if len(batch) == _FILES:
            yield batch
            batch = []
    if batch:
        yield batch
