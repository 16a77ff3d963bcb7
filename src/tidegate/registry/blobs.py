"""Blobs: pull whole or by range, ask after, delete (distribution-spec, end-2 and end-10).

A blob is readable only through a repository it is linked to, whether or not its bytes are on disk;
what an imported image names is read from where that came from (`pull_through`).
"""

import time
from collections.abc import Awaitable, Callable

from tidegate.metastore import links, manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.registry.blob_answers import answered, unchanged
from tidegate.registry.errors import BlobUnknown, MethodNotAllowed
from tidegate.registry.request import Request
from tidegate.registry.response import Response, Window
from tidegate.storage.blobs import BlobStore

Elsewhere = Callable[[Request, RepositoryName, Digest], Awaitable[Response]]


class Blobs:
    """The blob endpoint."""

    def __init__(
        self, database: Database, store: BlobStore, elsewhere: Elsewhere | None = None
    ) -> None:
        """`elsewhere` answers pulls of what is not linked to the repository."""
        self._database = database
        self._store = store
        self._elsewhere = elsewhere or _nowhere

    async def pull(self, request: Request, repository: RepositoryName, digest: Digest) -> Response:
        """GET and HEAD: 200, 206 for a range, 304 for a known digest, 416 past the end."""
        size = await links.size(self._database, repository, digest)
        if size is None:
            return await self._elsewhere(request, repository, digest)
        known = unchanged(request, digest)
        if known is not None:
            return known

        async def open_part(offset: int, count: int) -> Window:
            return Window(await self._store.open(digest), offset, count)

        return await answered(request, digest, size, open_part)

    async def delete(
        self, repository: RepositoryName, digest: Digest, *, pruning: bool
    ) -> Response:
        """DELETE: the link goes at once, unless a manifest of the repository needs the blob.

        Then it is refused. Who prunes the registry is told 202 all the same, and the link goes once
        it is not needed: `oc adm prune images` asks before it lets go of the image, as in OpenShift
        an image's blobs are read without a link, and takes a refusal for a failure.
        """
        now = time.time()

        def unlink(tx: Transaction) -> list[Digest]:
            holders = manifests.users_of(tx, repository, digest)
            if not holders and not links.unlink(tx, repository, digest, now):
                raise BlobUnknown
            return holders

        holders = await self._database.write(unlink)
        if holders and not pruning:
            raise MethodNotAllowed(
                f"manifest {holders[0]} of {repository} needs this blob: delete that first"
            )
        return Response(202)

    async def prune(self, digest: Digest) -> Response:
        """DELETE /admin/blobs/: give up the bytes of a blob that no image needs.

        As in OpenShift, 204 also when there are none. A blob that an image needs, or a push that is
        under way, is refused, whoever asks: `oc adm prune images` does not see what came since it
        looked. The bytes go when garbage is collected.
        """
        now = time.time()
        holder = await self._database.write(lambda tx: links.give_up(tx, digest, now))
        if holder is not None:
            raise MethodNotAllowed(f"{holder} holds this blob: it is not to be pruned")
        return Response(204)


async def _nowhere(_request: Request, _repository: RepositoryName, _digest: Digest) -> Response:
    raise BlobUnknown
