"""A blob on its way into a stream of this registry: an upload session like that of a push.

    session, found or made -> receive, note, receive, note ... -> commit -> link, the session ends

The session is named by repository and digest, so that whoever copies the same blob next goes on
where a killed process was. What is given up is purged like any other upload.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from tidegate.delivery.mirrors.pieces import gathered
from tidegate.delivery.mirrors.places import Content
from tidegate.images import incoming
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore import projects, uploads
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.uploads import Upload
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestMismatch
from tidegate.oci.name import RepositoryName
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import StorageFull, UploadBusy, UploadTruncated
from tidegate.storage.receiving import Received, Receiving

_SESSIONS = uuid.UUID("8d7c0c5e-6c55-4f43-9f5d-6a5a6c1f5f0e")
"""Sessions of this module are apart from those of clients, whose names are random."""

NOTED = 32 << 20
"""Bytes between two notes of how far an upload is: what a killed process loses at most."""


@dataclass(frozen=True, slots=True)
class Local:
    """What this registry is made of, and how it is called."""

    database: Database
    store: BlobStore
    hosts: Hosts
    clock: Callable[[], float] = time.time


class LocalUpload:
    """One blob for one repository."""

    def __init__(self, local: Local, repository: RepositoryName, digest: Digest, size: int) -> None:
        self._local = local
        self._database = local.database
        self._store = local.store
        self._repository = repository
        self._digest = digest
        self._size = size

    async def run(self, content: Content) -> None:
        """Receive what is missing and link the blob.

        Raises `DigestMismatch`, `UploadBusy`, `StorageFull`, `StreamRefused`, `ProjectGone`.
        """
        upload, receiving = await self._hold(await self._session())
        try:
            async with aclosing(gathered(content(upload.offset))) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(receiving.write, memoryview(piece))
                    if receiving.writer.offset - upload.offset >= NOTED:
                        upload = await self._note(upload, receiving.end())
                        receiving.close()
                        upload, receiving = await self._hold(upload)
            await self._store.commit_held(receiving, self._digest)
        except (DigestMismatch, StorageFull):
            receiving.close()
            await self._drop(upload)
            raise
        except BaseException:
            await self._note(upload, receiving.end())
            raise
        finally:
            receiving.close()
        await self._link(upload)

    async def _session(self) -> Upload:
        """The session of this blob, which somebody may have begun."""
        name = uuid.uuid5(_SESSIONS, f"{self._repository}@{self._digest}").hex
        found = await uploads.find(self._database, name)
        if found is not None and found.offset <= self._size:
            return found
        if found is not None:
            await self._drop(found)
        return await self._make(name)

    async def _make(self, name: str) -> Upload:
        now = self._local.clock()
        made = Upload(name, self._repository, self._digest.algorithm, 0, None, now, now)
        await self._database.write(lambda tx: uploads.create(tx, made), durable=False)
        return made

    async def _hold(self, upload: Upload) -> tuple[Upload, Receiving]:
        """The upload, held where its session says that it is; at its beginning if that is lost."""
        try:
            receiving = await self._store.receive(upload.id, upload.offset, self._digest.algorithm)
        except UploadTruncated:
            await self._drop(upload)
            upload = await self._make(upload.id)
            receiving = await self._store.receive(upload.id, 0, self._digest.algorithm)
        now = await uploads.find(self._database, upload.id)
        if now is None or now.offset != upload.offset:  # another process was quicker
            receiving.close()
            raise UploadBusy(upload.id)
        return upload, receiving

    async def _note(self, upload: Upload, received: Received) -> Upload:
        """Write down how far the upload is, before it is let go of."""
        now = self._local.clock()

        def advance(tx: Transaction) -> bool:
            return uploads.advance(tx, upload, received.offset, received.digest, now)

        if not await self._database.write(advance, durable=False):
            raise UploadBusy(upload.id)
        return upload._replace(offset=received.offset, digest=received.digest, updated=now)

    async def _drop(self, upload: Upload) -> None:
        await self._database.write(lambda tx: uploads.finish(tx, upload.id), durable=False)
        await self._store.discard(upload.id)

    async def _link(self, upload: Upload) -> None:
        now = self._local.clock()

        def link(tx: Transaction) -> None:
            projects.require(tx, self._repository.project)
            uploads.finish(tx, upload.id)
            incoming.link(tx, self._repository, self._digest, self._size, now)

        try:
            await self._database.write(link)
        except Exception:
            await self._database.write(lambda tx: uploads.finish(tx, upload.id), durable=False)
            raise
