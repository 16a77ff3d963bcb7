"""Blobs by digest on any driver: received, committed, opened, verified, set aside.

    receive ─> write* ─> end ─> close      bytes arrive in the upload and are hashed on the way
    commit                                 sync, rename to the digest's path, sync the directory

What a session's row says of an upload, `Received`, holds only while the row and the file change
together. So whoever receives reads the row again *after* `receive`, when the upload is held and
nothing has been cut off yet, and writes the new row *before* `close`. Then the bytes that a row
counts never change again, and its digest may stand for them at `commit` without hashing them twice.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestMismatch
from tidegate.storage import layout, posix
from tidegate.storage.driver import Driver, LocalFiles
from tidegate.storage.errors import BlobMissing, StorageError, UploadBusy, UploadTruncated
from tidegate.storage.receiving import Received, Receiving, RunningHashes
from tidegate.storage.rehash import rehash

if TYPE_CHECKING:
    from hashlib import _Hash

_READ = 1 << 20

_IN_LOOP = 64 * 1024
"""Bytes of a blob that is read in the event loop: a thread costs more than reading them."""


class StoredBlob(NamedTuple):
    """A blob on disk; `modified` in epoch seconds."""

    digest: Digest
    size: int
    modified: float


class StoredUpload(NamedTuple):
    """An upload on disk; `modified` in epoch seconds."""

    upload_id: str
    size: int
    modified: float


class OpenBlob:
    """A blob open for reading, also after it has been removed; a context manager."""

    def __init__(self, driver: Driver, path: str, size: int, fd: int | None) -> None:
        self._driver = driver
        self._path = path
        self.size = size
        self.fd = fd
        """The file itself, for the kernel to send from; None where the driver has no files."""

    async def read(self, offset: int, count: int) -> AsyncIterator[bytes]:
        """`count` bytes from `offset` on, in pieces of at most 1 MB."""
        if self.fd is None:
            async for piece in self._driver.read(self._path, offset, count):
                yield piece
            return
        end = offset + count
        while offset < end:
            with posix.storage_errors(self._path):
                piece = await asyncio.to_thread(os.pread, self.fd, min(_READ, end - offset), offset)
            if not piece:
                raise StorageError(f"{self._path}: ends at {offset}, {end} expected")
            yield piece
            offset += len(piece)

    async def whole(self) -> bytes:
        """All of it: for what is known to be small, as a configuration."""
        if self.fd is None or self.size > _IN_LOOP:
            return b"".join([piece async for piece in self.read(0, self.size)])
        with posix.storage_errors(self._path):
            content = os.pread(self.fd, self.size, 0)
        if len(content) < self.size:
            raise StorageError(f"{self._path}: ends at {len(content)}, {self.size} expected")
        return content

    def close(self) -> None:
        """Close the file; may be repeated."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # a request that is cancelled before its answer begins leaves nobody else to do it
        self.close()


class BlobStore:
    """Blobs and uploads of one driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._local = driver if isinstance(driver, LocalFiles) else None
        self._hashes = RunningHashes()
        self._inherited: frozenset[str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether blobs are files of this machine, which are read at little cost."""
        return self._local is not None

    async def receive(self, upload_id: str, offset: int, algorithm: str) -> Receiving:
        """Hold an upload for appending at `offset`, the recorded end of what came before.

        Nothing is cut off before the first write: read the session's row again now, and close
        without writing if it has moved. `UploadBusy`, `UploadTruncated`, `StorageFull`.
        """
        await self._inherited_uploads()
        writer = await self._driver.append(layout.upload_path(upload_id), offset)
        return Receiving(self._hashes, upload_id, writer, algorithm)

    async def commit(self, upload_id: str, digest: Digest, received: Received) -> int:
        """Make the upload's first `received.offset` bytes the blob `digest`; that many bytes.

        When this returns they survive a power cut. `DigestMismatch` leaves the upload as it is. An
        upload whose commit went through before, without its row, is committed once more.
        """
        path, target = layout.upload_path(upload_id), layout.blob_path(digest)
        try:
            writer = await self._driver.append(path, received.offset)
        except UploadTruncated:
            # only who sent these very bytes may find that they are stored already
            if received.digest != digest or await self._driver.stat(target) != received.offset:
                raise
            writer = await self._driver.append(target, received.offset)
        else:
            try:
                await self._check(upload_id, path, digest, received)
            except BaseException:
                writer.close()
                raise
        await self._driver.publish(writer, target)
        self._hashes.drop(upload_id, received)
        return received.offset

    async def commit_held(self, receiving: Receiving, digest: Digest) -> int:
        """As `commit`, by whoever holds the upload, of all that came in; it is let go of.

        `DigestMismatch` leaves the upload as it is, and held.
        """
        received = receiving.end()
        upload_id = receiving.upload_id
        await self._check(upload_id, layout.upload_path(upload_id), digest, received)
        await self._driver.publish(receiving.writer, layout.blob_path(digest))
        receiving.close()
        self._hashes.drop(upload_id, received)
        return received.offset

    async def put(self, digest: Digest, content: bytes) -> int:
        """Make `content` the blob `digest`, as `commit` does, for what is small; its size in bytes.

        Hashed in the event loop: 64 KB take less time than another thread would. `DigestMismatch`
        before anything is written, `StorageFull` with nothing left behind.
        """
        if not digest.matches(content):
            actual = Digest.of(content, digest.algorithm)
            raise DigestMismatch(f"the bytes received have the digest {actual}, not {digest}")
        await self._driver.put(
            layout.upload_path(uuid.uuid4().hex), content, layout.blob_path(digest)
        )
        return len(content)

    async def discard(self, upload_id: str) -> None:
        """Remove an upload's bytes, if there are any."""
        await self._driver.delete(layout.upload_path(upload_id))

    async def discard_idle(self, upload_id: str) -> bool:
        """Remove an upload's bytes, unless somebody is writing to it; whether they went."""
        path = layout.upload_path(upload_id)
        try:
            writer = await self._driver.append(path, 0)
        except UploadBusy:
            return False
        try:
            return await self._driver.delete(path)
        finally:
            writer.close()

    async def size(self, digest: Digest) -> int | None:
        """Size of a blob's bytes, None when they are not there."""
        return await self._driver.stat(layout.blob_path(digest))

    async def open(self, digest: Digest) -> OpenBlob:
        """Open a blob for reading; `BlobMissing`."""
        path = layout.blob_path(digest)
        if self._local is not None:
            fd = self._local.open(path)
            return OpenBlob(self._driver, path, os.fstat(fd).st_size, fd)
        size = await self._driver.stat(path)
        if size is None:
            raise BlobMissing(path)
        return OpenBlob(self._driver, path, size, None)

    async def verify(self, digest: Digest) -> bool:
        """Whether a blob's bytes have its digest; `BlobMissing`, `StorageError` if unreadable."""
        return await self._has_digest(layout.blob_path(digest), digest)

    async def set_aside(self, digest: Digest) -> bool:
        """Move corrupt bytes to quarantine, so that the digest can be pushed again.

        False when they are good, or have been replaced or set aside by others in the meantime.
        """
        path = layout.blob_path(digest)
        size = await self._driver.stat(path)
        if size is None:
            raise BlobMissing(path)
        try:
            writer = await self._driver.append(path, size)
            try:
                if await self._is_whole(path, digest):
                    return False
                await self._driver.publish(writer, layout.quarantine_path(digest))
            finally:
                writer.close()
        except (BlobMissing, UploadBusy, UploadTruncated):
            return False
        return True

    async def keep_aside(self, digest: Digest, content: bytes) -> None:
        """Put corrupt bytes that were kept elsewhere, such as a manifest's, into quarantine."""
        writer = await self._driver.append(layout.upload_path(uuid.uuid4().hex), 0)
        try:
            await asyncio.to_thread(writer.write, memoryview(content))
            await self._driver.publish(writer, layout.quarantine_path(digest))
        finally:
            writer.close()

    async def blobs(self) -> AsyncIterator[StoredBlob]:
        """Every blob on disk."""
        async for entry in self._driver.list(layout.BLOBS):
            digest = layout.blob_digest(entry.path)
            if digest is not None:
                yield StoredBlob(digest, entry.size, entry.modified)

    async def uploads(self) -> AsyncIterator[StoredUpload]:
        """Every upload on disk."""
        async for entry in self._driver.list(layout.UPLOADS):
            upload_id = layout.upload_id(entry.path)
            if upload_id is not None:
                yield StoredUpload(upload_id, entry.size, entry.modified)

    async def _check(self, upload_id: str, path: str, digest: Digest, received: Received) -> None:
        """`DigestMismatch` unless the upload's bytes have the digest."""
        found = received.digest
        if (
            found is None
            or found.algorithm != digest.algorithm
            or not await self._vouches(upload_id, received)
        ):
            running = digest.hasher()
            if await self._rehash(path, received.offset, running) != received.offset:
                raise UploadTruncated(f"{path}: less than {received.offset} bytes")
            found = Digest(f"{digest.algorithm}:{running.hexdigest()}")
        if found != digest:
            raise DigestMismatch(f"the bytes received have the digest {found}, not {digest}")

    async def _vouches(self, upload_id: str, received: Received) -> bool:
        """Whether the bytes that a row counts cannot have been lost since.

        A power cut loses bytes that were not synced, while the row may survive. What came while
        this process lived, through whichever process, is there; of an upload that is older, only
        what this process hashed from the first byte on.
        """
        return upload_id not in await self._inherited_uploads() or self._hashes.has(
            upload_id, received
        )

    async def _inherited_uploads(self) -> frozenset[str]:
        """Uploads that are older than this process's first."""
        if self._inherited is None:
            found = frozenset([upload.upload_id async for upload in self.uploads()])
            if self._inherited is None:
                self._inherited = found
        return self._inherited

    async def _is_whole(self, path: str, digest: Digest) -> bool:
        """Whether the bytes can be read and have the digest."""
        try:
            return await self._has_digest(path, digest)
        except BlobMissing:
            raise
        except StorageError:
            return False

    async def _has_digest(self, path: str, digest: Digest) -> bool:
        size = await self._driver.stat(path)
        if size is None:
            raise BlobMissing(path)
        running = digest.hasher()
        await self._rehash(path, size, running)
        return running.hexdigest() == digest.encoded

    async def _rehash(self, path: str, size: int, running: "_Hash") -> int:
        if self._local is not None:
            return await asyncio.to_thread(_rehash_file, self._local, path, size, running)
        async for piece in self._driver.read(path, 0, size):
            await asyncio.to_thread(running.update, piece)
        return size


def _rehash_file(local: LocalFiles, path: str, size: int, running: "_Hash") -> int:
    fd = local.open(path)
    try:
        with posix.storage_errors(path):
            return rehash(fd, size, running)
    finally:
        os.close(fd)
