"""Copies of blobs that other registries have, kept as long as there is room.

    grow ─> FillFile ─> open ─> remove        (in one process or another)

They lie apart from what was pushed, since nothing is lost with them. Who may read a copy, and which
one is to go, is decided above; a copy that is removed while it is read is read to its end. Without
files (a store in memory, or afar) there is no cache, and everything is passed on as it comes.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tidegate.oci.digest import Digest
from tidegate.storage import layout, posix
from tidegate.storage.blobs import OpenBlob, StoredBlob
from tidegate.storage.driver import Driver, LocalFiles
from tidegate.storage.errors import BlobMissing, StorageError
from tidegate.storage.fills import FillFile
from tidegate.storage.rehash import rehash

_THREADS = 4
"""Fills that write at one moment: SHA-256 takes most of it, on as many cores as there are."""


class StoredFill(NamedTuple):
    """A copy that has not come in whole; `modified` in epoch seconds."""

    path: str
    size: int
    modified: float


class BlobCache:
    """The copies in one directory, which the processes of a server share."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._local = driver if isinstance(driver, LocalFiles) else None
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fill")
        """For what a fill does on the disk."""

    @property
    def is_there(self) -> bool:
        """Whether anything can be kept at all."""
        return self._local is not None

    def open(self, digest: Digest) -> OpenBlob | None:
        """A copy, open for reading; None when there is none, or none that can be opened."""
        if self._local is None:
            return None
        path = layout.cache_path(digest)
        try:
            fd = self._local.open(path)
        except StorageError:
            return None
        return OpenBlob(self._driver, path, os.fstat(fd).st_size, fd)

    def opened(self, fd: int, size: int) -> OpenBlob:
        """A blob of `size` bytes that is in an open file, which it closes."""
        return OpenBlob(self._driver, "", size, fd)

    async def grow(self, digest: Digest, source: str, size: int) -> FillFile:
        """The file of a copy that comes in from `source`, begun here or by others.

        `StorageFull`, `StorageError`.
        """
        if self._local is None:
            raise StorageError("there is no cache")
        path, target = layout.fill_path(digest, source), layout.cache_path(digest)
        opening = asyncio.get_running_loop().run_in_executor(
            self.threads, self._local.grow, path, target, size
        )
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unclaimed)
            raise

    async def remove(self, digest: Digest) -> bool:
        """Remove a copy; False when there was none."""
        return await self._driver.delete(layout.cache_path(digest))

    def room(self) -> tuple[int, int]:
        """Bytes that are free on the disk, and bytes that it has."""
        return (0, 0) if self._local is None else self._local.room()

    async def copies(self) -> AsyncIterator[StoredBlob]:
        """Every copy on disk."""
        async for entry in self._driver.list(layout.CACHE):
            digest = layout.cached_digest(entry.path)
            if digest is not None:
                yield StoredBlob(digest, entry.size, entry.modified)

    async def fills(self) -> AsyncIterator[StoredFill]:
        """Every copy that has not come in whole."""
        async for entry in self._driver.list(layout.FILLS):
            yield StoredFill(*entry)

    async def discard_idle(self, fill: StoredFill) -> bool:
        """Remove what is left of a fill, unless somebody is writing to it; whether it went."""
        if self._local is None:
            return False
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, _discard, self._local, fill
        )

    async def verify(self, digest: Digest) -> bool:
        """Whether a copy has its digest; `BlobMissing`, `StorageError` if unreadable."""
        if self._local is None:
            raise BlobMissing(digest)
        return await asyncio.to_thread(_has_digest, self._local, digest)

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self.threads.shutdown()


def _close_unclaimed(opening: asyncio.Future[FillFile]) -> None:
    """The request was cancelled while its file was being opened."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _discard(local: LocalFiles, fill: StoredFill) -> bool:
    file = local.grow(fill.path, fill.path, fill.size + 1)
    try:
        if not file.take():
            return False
        file.drop()
        return True
    finally:
        file.close()


def _has_digest(local: LocalFiles, digest: Digest) -> bool:
    path = layout.cache_path(digest)
    fd = local.open(path)
    try:
        with posix.storage_errors(path):
            size = os.fstat(fd).st_size
            running = digest.hasher()
            return rehash(fd, size, running) == size and running.hexdigest() == digest.encoded
    finally:
        os.close(fd)
