"""Blobs: pull whole or by range, ask after, delete (distribution-spec, end-2 and end-10).

A blob is readable only through a repository it is linked to, whether or not its bytes are on disk.
"""

import time

from tidegate.metastore import links, manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.errors import RangeInvalid
from tidegate.oci.name import RepositoryName
from tidegate.oci.range import parse_range
from tidegate.registry.conditions import etag, none_match, range_applies
from tidegate.registry.errors import BlobUnknown, MethodNotAllowed, RangeUnsatisfiable
from tidegate.registry.request import Request
from tidegate.registry.response import Headers, Response, Window
from tidegate.storage.blobs import BlobStore

IMMUTABLE = (b"cache-control", b"max-age=31536000, immutable")


class Blobs:
    """The blob endpoint."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    async def pull(self, request: Request, repository: RepositoryName, digest: Digest) -> Response:
        """GET and HEAD: 200, 206 for a range, 304 for a known digest, 416 past the end."""
        size = await links.size(self._database, repository, digest)
        if size is None:
            raise BlobUnknown
        headers = _headers(digest)
        if none_match(request, digest):
            return Response(304, headers)
        headers.append((b"content-type", b"application/octet-stream"))
        window = _range(request, digest, size)
        status, (offset, count) = (200, (0, size)) if window is None else (206, window)
        headers.append((b"content-length", str(count).encode()))
        if window is not None:
            span = f"bytes {offset}-{offset + count - 1}/{size}"
            headers.append((b"content-range", span.encode()))
        if request.method == "HEAD":
            return Response(status, headers)
        blob = await self._store.open(digest)
        return Response(status, headers, window=Window(blob, offset, count))

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


def _headers(digest: Digest) -> Headers:
    return [
        (b"docker-content-digest", digest.encode()),
        (b"etag", etag(digest)),
        (b"accept-ranges", b"bytes"),
        IMMUTABLE,
    ]


def _range(request: Request, digest: Digest, size: int) -> tuple[int, int] | None:
    header = request.header(b"range")
    if header is None or not range_applies(request, digest):
        return None
    try:
        return parse_range(header, size)
    except RangeInvalid as error:
        span = (b"content-range", f"bytes */{size}".encode())  # RFC 9110, 14.4
        raise RangeUnsatisfiable(str(error), [span]) from error
