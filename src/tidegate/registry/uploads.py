"""Upload sessions: how a blob comes in (distribution-spec, "Pushing Blobs").

    POST ──> an id ──PATCH*──> session ──PUT──> blob, linked to the repository
      │ ?digest= with the body ─────────────────> blob
      └ ?mount= ──> link, or a session where the mount may not be

An id is all that a session without bytes needs (`upload_ids`). Its row, which comes with the first
bytes, says how many are in and their digest so far; the upload's file may hold
more after a crash and is cut back to that. So any worker continues any upload, a restart loses
none, and two requests never write one upload at a time. Bytes are safe before the row says so.
"""

import asyncio
import time

from tidegate.images import incoming
from tidegate.images.streams.errors import StreamRefused
from tidegate.metastore import projects, uploads
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.uploads import Upload
from tidegate.oci.digest import ALGORITHMS, Digest
from tidegate.oci.errors import DigestInvalid, DigestMismatch, SizeMismatch
from tidegate.oci.name import RepositoryName
from tidegate.oci.range import parse_chunk_range
from tidegate.registry.errors import ChunkOutOfOrder, UploadInUse, UploadUnknown
from tidegate.registry.names import require_pushable
from tidegate.registry.request import Request
from tidegate.registry.response import Headers, Response
from tidegate.registry.upload_ids import AHEAD, BELIEVED_FOR, Opened, UploadIds
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import StorageFull, UploadBusy
from tidegate.storage.receiving import Received, Receiving
from tidegate.wire.body import receive_body
from tidegate.wire.errors import BodyStalled, ClientGone

_PATIENCE, _POLL = 5.0, 0.05
"""Seconds that a request waits for another one to let go of its upload, and between two looks."""

_PURGE_BATCH = 100

_SMALL = 64 * 1024
"""Bytes of a whole blob that are taken in the event loop and stored in one go: most of what a small
push costs is waiting for threads."""


class Uploads:
    """The upload endpoints."""

    def __init__(self, database: Database, store: BlobStore, ids: UploadIds) -> None:
        self._database = database
        self._store = store
        self._ids = ids

    async def start(self, request: Request, repository: RepositoryName) -> Response:
        """POST: a new session, or the whole blob at once where `?digest=` says which."""
        digest = request.parameter("digest")
        algorithm, now = _algorithm(request), time.time()
        project = await projects.find(self._database, repository.project)
        require_pushable(repository.project, project.annotations)
        upload_id = await self._ids.make(repository, project.uid, algorithm, now)
        upload = _unwritten(upload_id, repository, Opened(now, algorithm))
        if digest is not None and _is_small(request):
            size = await self._store.put(Digest.parse(digest), await request.body(_SMALL))
            await self._link(repository, Digest.parse(digest), size)
            return _blob_response(repository, Digest.parse(digest))
        if digest is not None:
            return await self._receive_at_once(request, upload, Digest.parse(digest))
        return _session_response(202, upload, upload.offset)

    async def mount(self, repository: RepositoryName, digest: Digest, size: int) -> Response:
        """The 201 of a mount that has been allowed: the blob is linked here too."""
        await self._link(repository, digest, size)
        return _blob_response(repository, digest)

    async def status(self, repository: RepositoryName, upload_id: str) -> Response:
        """GET: how many bytes are in."""
        upload = await self._find(repository, upload_id)
        return _session_response(204, upload, upload.offset)

    async def append(
        self, request: Request, repository: RepositoryName, upload_id: str
    ) -> Response:
        """PATCH: one chunk, or the whole blob as a stream."""
        upload = await self._find(repository, upload_id)
        upload = await self._receive(request, upload)
        return _session_response(202, upload, upload.offset)

    async def finish(
        self, request: Request, repository: RepositoryName, upload_id: str
    ) -> Response:
        """PUT: the last chunk if any, then the blob under the digest that the client names."""
        upload = await self._find(repository, upload_id)
        claimed = request.parameter("digest")
        if claimed is None:
            raise DigestInvalid("`?digest=` is missing: the last request of an upload names it")
        digest = Digest.parse(claimed)
        if request.content_length == 0:
            _check_range(request, upload)
        elif upload.offset == 0 and _is_small(request):
            return await self._receive_small(request, upload, digest)
        elif upload.offset == 0:
            return await self._receive_whole(request, upload, digest)
        else:
            upload = await self._receive(request, upload)
        return await self._commit(upload, digest)

    async def cancel(self, repository: RepositoryName, upload_id: str) -> Response:
        """DELETE: the session and its bytes go."""
        if not await self._drop(await self._find(repository, upload_id)):
            raise UploadUnknown
        return Response(204)

    async def purge(self, before: float) -> int:
        """Drop every upload that has not moved since `before`, epoch seconds; how many.

        Sessions first, then bytes without a session, which a crash may leave.
        """
        believed = time.time() - BELIEVED_FOR - AHEAD
        while await self._database.write(
            lambda tx: uploads.forget(tx, believed, _PURGE_BATCH), durable=False
        ):
            pass
        dropped = 0
        while expired := await uploads.expired(self._database, before, _PURGE_BATCH):
            ended = [upload for upload in expired if await self._store.discard_idle(upload.id)]
            for upload in ended:
                await self._end(upload)
            dropped += len(ended)
            if not ended:
                break
        async for stored in self._store.uploads():
            if (
                stored.modified < before
                and not await uploads.is_open(self._database, stored.upload_id)
                and await self._store.discard_idle(stored.upload_id)
            ):
                dropped += 1
        return dropped

    async def _end(self, upload: Upload) -> bool:
        now = time.time()
        return await self._database.write(lambda tx: uploads.end(tx, upload, now), durable=False)

    async def _find(self, repository: RepositoryName, upload_id: str) -> Upload:
        upload = await uploads.find(self._database, upload_id)
        if upload is None:
            project = await projects.find(self._database, repository.project)
            opened = await self._ids.read(repository, project.uid, upload_id, time.time())
            if opened is None:
                raise UploadUnknown
            return _unwritten(upload_id, repository, opened)
        if upload.repository != repository or upload.has_ended:
            raise UploadUnknown
        return upload

    async def _drop(self, upload: Upload) -> bool:
        """End a session without a blob: first the row, so that no request finds half of it.

        False when it had ended already.
        """
        ended = await self._end(upload)
        await self._store.discard(upload.id)
        return ended

    async def _receive(self, request: Request, upload: Upload) -> Upload:
        """Append the body to the upload; what came of a broken body is kept for a resume."""
        expected = _check_range(request, upload)
        receiving = await self._hold(upload)
        try:
            await self._fill(request, upload, receiving, expected)
            advanced = await self._advance(upload, receiving.end())
        finally:
            receiving.close()
        _check_length(expected, advanced.offset - upload.offset)
        return advanced

    async def _receive_whole(self, request: Request, upload: Upload, digest: Digest) -> Response:
        """The whole blob in the closing request: the session records nothing in between.

        A crash before the link leaves the session at its beginning, where its client begins too.
        """
        expected = _check_range(request, upload)
        receiving = await self._hold(upload)
        try:
            await self._fill(request, upload, receiving, expected)
            _check_length(expected, receiving.end().offset)
            size = await self._store.commit_held(receiving, digest)
        except (DigestMismatch, StorageFull):
            await self._drop(upload)
            raise
        finally:
            receiving.close()
        await self._link(upload.repository, digest, size, upload)
        return _blob_response(upload.repository, digest)

    async def _receive_small(self, request: Request, upload: Upload, digest: Digest) -> Response:
        """As `_receive_whole`; of a body that breaks off nothing is kept, so little it is."""
        expected = _check_range(request, upload)
        content = await request.body(_SMALL)
        _check_length(expected, len(content))
        try:
            size = await self._store.put(digest, content)
        except (DigestMismatch, StorageFull):
            await self._drop(upload)
            raise
        await self._link(upload.repository, digest, size, upload)
        return _blob_response(upload.repository, digest)

    async def _fill(
        self, request: Request, upload: Upload, receiving: Receiving, expected: int | None
    ) -> None:
        """Put the body into a held upload; what came of a broken one is recorded."""
        if await self._moved(upload):
            raise UploadInUse  # another request was quicker
        try:
            await receive_body(request.scope, request.receive, receiving, expected)
        except (ClientGone, BodyStalled):
            await self._advance(upload, receiving.end())
            raise
        except StorageFull:
            await self._drop(upload)  # a full disk needs the space more than a resume
            raise

    async def _moved(self, upload: Upload) -> bool:
        """Whether another request wrote the upload since it was looked at."""
        found = await uploads.find(self._database, upload.id)
        if found is None and upload.offset == 0:
            return False
        if found is None or found.has_ended:
            raise UploadUnknown
        return found.offset != upload.offset

    async def _hold(self, upload: Upload) -> Receiving:
        """The upload, for this request alone.

        A client that lost its connection comes back before the server has noticed: its old request
        is given `_PATIENCE` seconds to end.
        """
        for _ in range(round(_PATIENCE / _POLL)):
            try:
                return await self._store.receive(upload.id, upload.offset, upload.algorithm)
            except UploadBusy:
                await asyncio.sleep(_POLL)
        raise UploadInUse

    async def _advance(self, upload: Upload, received: Received) -> Upload:
        """Record what the upload holds now; written before the upload is let go of."""
        now = time.time()

        def advance(tx: Transaction) -> bool:
            move = uploads.advance if upload.offset else uploads.begin
            return move(tx, upload, received.offset, received.digest, now)

        if not await self._database.write(advance, durable=False):
            raise UploadUnknown  # cancelled or purged meanwhile
        return upload._replace(offset=received.offset, digest=received.digest, updated=now)

    async def _receive_at_once(self, request: Request, upload: Upload, digest: Digest) -> Response:
        receiving = await self._store.receive(upload.id, 0, digest.algorithm)
        try:
            await receive_body(request.scope, request.receive, receiving, None)
            size = await self._store.commit_held(receiving, digest)
        except BaseException:
            receiving.close()
            await self._store.discard(upload.id)
            raise
        await self._link(upload.repository, digest, size)
        return _blob_response(upload.repository, digest)

    async def _commit(self, upload: Upload, digest: Digest) -> Response:
        received = Received(upload.offset, upload.digest)
        try:
            size = await self._store.commit(upload.id, digest, received)
        except (DigestMismatch, StorageFull):
            await self._drop(upload)
            raise
        await self._link(upload.repository, digest, size, upload)
        return _blob_response(upload.repository, digest)

    async def _link(
        self, repository: RepositoryName, digest: Digest, size: int, upload: Upload | None = None
    ) -> None:
        now = time.time()

        def link(tx: Transaction) -> None:
            require_pushable(repository.project, projects.require(tx, repository.project))
            if upload is not None and not uploads.end(tx, upload, now):
                raise UploadUnknown  # ended meanwhile, maybe with the project of that time
            incoming.link(tx, repository, digest, size, now)

        try:
            await self._database.write(link)
        except StreamRefused:
            if upload is not None:
                await self._end(upload)
            raise


def _unwritten(upload_id: str, repository: RepositoryName, opened: Opened) -> Upload:
    """A session without bytes, which has no row."""
    created = opened.created
    return Upload(upload_id, repository, opened.algorithm, 0, None, created, created)


def _algorithm(request: Request) -> str:
    """The algorithm that a session hashes with: a hint, the digest at the end decides."""
    hint = request.parameter("digest-algorithm")
    if hint is not None and hint not in ALGORITHMS:
        raise DigestInvalid(f"{hint[:40]!r} is no registered digest algorithm")
    return hint or ALGORITHMS[0]


def _is_small(request: Request) -> bool:
    """Whether the body is a whole blob that is taken at once; one that is chunked tells no size."""
    length = request.content_length
    return length is not None and 0 < length <= _SMALL


def _check_range(request: Request, upload: Upload) -> int | None:
    """Bytes that a chunk says it has, None when it does not; it must continue the upload."""
    header = request.header(b"content-range")
    if header is None:
        return None
    start, count = parse_chunk_range(header)
    if start != upload.offset:
        raise ChunkOutOfOrder(
            f"this upload stands at {upload.offset}, the chunk starts at {start}",
            _session_headers(upload, upload.offset),
        )
    length = request.content_length
    if length is not None and length != count:
        raise SizeMismatch(f"Content-Range speaks of {count} bytes, Content-Length of {length}")
    return count


def _check_length(expected: int | None, came: int) -> None:
    if expected is not None and came != expected:
        raise SizeMismatch(f"Content-Range speaks of {expected} bytes, {came} came")


def _session_headers(upload: Upload, offset: int) -> Headers:
    """Where an upload goes on. `0-0` also stands for no byte at all, as Docker's registry says."""
    location = f"/v2/{upload.repository}/blobs/uploads/{upload.id}"
    return [
        (b"location", location.encode()),
        (b"range", f"0-{max(offset - 1, 0)}".encode()),
        (b"docker-upload-uuid", upload.id.encode()),
    ]


def _session_response(status: int, upload: Upload, offset: int) -> Response:
    return Response(status, _session_headers(upload, offset))


def _blob_response(repository: RepositoryName, digest: Digest) -> Response:
    location = f"/v2/{repository}/blobs/{digest}".encode()
    return Response(201, [(b"location", location), (b"docker-content-digest", digest.encode())])
