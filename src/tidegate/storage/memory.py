"""The driver in memory: for tests and for trying things out, gone with the process.

The same promises as the filesystem's, but for durability. `capacity` makes it a disk of that many
bytes, which fills up as a real one does.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tidegate.storage.driver import Entry, Writer
from tidegate.storage.errors import (
    BlobMissing,
    PathRefused,
    StorageError,
    StorageFull,
    UploadBusy,
    UploadTruncated,
)

_READ = 1 << 20


@dataclass(slots=True, eq=False)
class _File:
    content: bytearray = field(default_factory=bytearray)
    modified: float = field(default_factory=time.time)
    held: bool = False


class MemoryWriter:
    """A file held for appending; see `Writer`."""

    def __init__(self, driver: "Memory", path: str, file: _File, offset: int) -> None:
        self._driver = driver
        self._path = path
        self._file = file
        self._offset = offset
        self._closed = False

    @property
    def offset(self) -> int:
        return self._offset

    def write(self, buffer: memoryview) -> None:
        self._trim()
        self._driver.reserve(self._path, buffer.nbytes)
        self._file.content += buffer
        self._file.modified = time.time()
        self._offset += buffer.nbytes

    def publish(self, target: str) -> None:
        """Take the name `target`."""
        self._trim()
        files = self._driver.files
        if files.get(self._path) is not self._file:
            raise UploadTruncated(f"{self._path}: removed while it was written")
        if self._path == target:
            return
        del files[self._path]
        kept = files.get(target)
        if kept is None or len(kept.content) != self._offset:
            files[target] = self._file

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._file.held = False

    def _trim(self) -> None:
        if self._closed:
            raise StorageError(f"{self._path}: already closed")
        del self._file.content[self._offset :]


class Memory:
    """A `Driver` of one process, without file descriptors to hand out."""

    def __init__(self, capacity: int | None = None) -> None:
        self.files: dict[str, _File] = {}
        self._capacity = capacity

    async def stat(self, path: str) -> int | None:
        file = self.files.get(_checked(path))
        return len(file.content) if file is not None else None

    async def read(self, path: str, offset: int, count: int) -> AsyncIterator[bytes]:
        file = self.files.get(_checked(path))
        if file is None:
            raise BlobMissing(path)
        end = offset + count
        while offset < end:
            piece = bytes(file.content[offset : min(offset + _READ, end)])
            if not piece:
                raise StorageError(f"{path}: ends at {offset}, {end} expected")
            yield piece
            offset += len(piece)

    async def append(self, path: str, offset: int) -> Writer:
        file = self.files.get(_checked(path))
        if file is None and offset == 0:
            file = self.files[path] = _File()
        if file is None or len(file.content) < offset:
            raise UploadTruncated(f"{path}: less than {offset} bytes")
        if file.held:
            raise UploadBusy(path)
        file.held = True
        return MemoryWriter(self, path, file, offset)

    async def publish(self, writer: Writer, target: str) -> None:
        if not isinstance(writer, MemoryWriter):
            raise TypeError("a writer of another driver")
        try:
            writer.publish(_checked(target))
        finally:
            writer.close()

    async def put(self, path: str, content: bytes, target: str) -> None:
        writer = await self.append(path, 0)
        try:
            writer.write(memoryview(content))
            await self.publish(writer, target)
        except BaseException:
            self.files.pop(path, None)
            raise
        finally:
            writer.close()

    async def delete(self, path: str) -> bool:
        return self.files.pop(_checked(path), None) is not None

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        if not prefix.endswith("/"):
            raise PathRefused(f"{prefix!r}: a prefix ends with /")
        _checked(prefix[:-1])
        for path, file in sorted(self.files.items()):
            if path.startswith(prefix):
                yield Entry(path, len(file.content), file.modified)

    def reserve(self, path: str, count: int) -> None:
        """`StorageFull` when `count` more bytes would not fit."""
        if self._capacity is None:
            return
        used = sum(len(file.content) for file in list(self.files.values()))
        if used + count > self._capacity:
            raise StorageFull(f"{path}: {used} of {self._capacity} bytes used")


def _checked(path: str) -> str:
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise PathRefused(f"{path!r} is no path within a store")
    return path
