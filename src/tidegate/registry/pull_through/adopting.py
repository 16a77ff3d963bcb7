"""A blob of another registry becomes one of the store, because somebody pushes what needs it.

Clients push a manifest without a layer that the repository says it has, and mount layers of images
that were imported. What is pushed has to last as long as it is named here, whatever becomes of the
other registry and of copies: so the blob is put into the store, and linked as any that was pushed.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence

from tidegate.images import incoming
from tidegate.metastore import cached, projects
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestMismatch
from tidegate.oci.name import RepositoryName
from tidegate.registry.pull_through.blobs import RemoteBlobs
from tidegate.registry.request import Request
from tidegate.storage.blobs import BlobStore, OpenBlob
from tidegate.storage.errors import StorageError

_LOG = logging.getLogger(__name__)


class Adopting:
    """Puts blobs that are elsewhere into the store."""

    def __init__(self, database: Database, store: BlobStore, blobs: RemoteBlobs) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs

    async def has_copy(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether there is a copy that readers of the repository may read."""
        if not await cached.may_read(self._database, repository, digest):
            return False
        copy = self._blobs.copy(digest)
        if copy is None:
            return False
        copy.close()
        return True

    async def store_copy(self, digest: Digest) -> int | None:
        """Put a copy into the store; how many bytes it has, None when it cannot be."""
        copy = self._blobs.copy(digest)
        if copy is None:
            return None
        try:
            return await self._put(copy, digest)
        except (StorageError, DigestMismatch) as error:
            _LOG.warning("the copy of %s is not taken over: %s", digest, error)
            return None

    async def adopt(
        self, request: Request, repository: RepositoryName, digests: Sequence[Digest]
    ) -> bool:
        """Let the repository have blobs that its images name and other registries have.

        False when it cannot have all. Raises `LimitExceeded` and `QuotaExceeded`.
        """
        for digest in digests:
            if await cached.may_read(self._database, repository, digest) is None:
                return False  # before anything is fetched for the others
        for digest in digests:
            found = await self._blobs.bring(request, repository, digest)
            if found is None:
                return False
            try:
                size = await self._put(found, digest)
            except (StorageError, DigestMismatch) as error:
                _LOG.warning("the copy of %s is not taken over: %s", digest, error)
                return False
            await self._link(repository, digest, size)
        return True

    async def _put(self, found: OpenBlob, digest: Digest) -> int:
        upload_id = uuid.uuid4().hex
        with found:
            receiving = await self._store.receive(upload_id, 0, digest.algorithm)
            try:
                async for piece in found.read(0, found.size):
                    await asyncio.to_thread(receiving.write, memoryview(piece))
                return await self._store.commit_held(receiving, digest)
            except BaseException:
                receiving.close()
                await self._store.discard(upload_id)
                raise

    async def _link(self, repository: RepositoryName, digest: Digest, size: int) -> None:
        now = time.time()

        def link(tx: Transaction) -> None:
            projects.require(tx, repository.project)
            incoming.link(tx, repository, digest, size, now)

        await self._database.write(link)
