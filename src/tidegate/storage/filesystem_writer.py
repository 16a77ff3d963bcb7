"""A file of the filesystem driver, held for appending, and how it gets its final name.

Its invariant: what `offset` counts is in the file, in order; `publish` is the only way out.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator

from tidegate.storage import posix
from tidegate.storage.errors import StorageError, UploadBusy, UploadTruncated

_WRITE_BACK = 8 << 20
"""Bytes after which write-back is started; 4 to 16 MB measured alike."""


class FilesystemWriter:
    """A file open for appending and locked; see `Writer`.

    The descriptor is closed only while no call is using it: closed earlier, its number could
    already be another file's when a thread goes on writing.
    """

    def __init__(self, fd: int, file: str, path: str, offset: int, size: int) -> None:
        self._fd = fd
        self._file = file
        self._path = path
        self._offset = offset
        self._size = size
        self._written_back = offset
        self._state = threading.Lock()
        self._used = False
        self._closing = False

    @property
    def offset(self) -> int:
        return self._offset

    def write(self, buffer: memoryview) -> None:
        with self._use() as fd:
            self._trim(fd)
            end = self._offset + buffer.nbytes
            try:
                self._size = end  # a failed write leaves a length nobody knows: not `offset`
                posix.write_all(fd, buffer, self._offset)
            except OSError:
                with contextlib.suppress(OSError):
                    self._trim(fd)  # space back at once for those who are still writing
                raise
            self._offset = end
            if end - self._written_back >= _WRITE_BACK:
                posix.start_write_back(fd, self._written_back, end - self._written_back)
                self._written_back = end

    def publish(self, target: str) -> None:
        """Take the name `target`, the bytes synced before and the directory after; blocks."""
        with self._use() as fd:
            self._trim(fd)
            if not posix.names_this_file(self._file, fd):
                raise UploadTruncated(f"{self._path}: removed while it was written")
            if self._file == target:
                posix.sync_file(fd)
            elif _keeps(target, self._offset):
                os.unlink(self._file)
            else:
                self._sync_or_drop(fd)
                os.rename(self._file, target)
            posix.sync_directory(os.path.dirname(target))

    def close(self) -> None:
        with self._state:
            self._closing = True
            self._let_go()

    def _sync_or_drop(self, fd: int) -> None:
        """After a failed sync the kernel may call the lost pages clean: the file is worthless."""
        try:
            posix.sync_file(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(self._file)
            raise

    def _trim(self, fd: int) -> None:
        if self._size != self._offset:
            os.ftruncate(fd, self._offset)
            self._size = self._offset

    @contextlib.contextmanager
    def _use(self) -> Iterator[int]:
        """The descriptor, kept open meanwhile; errors of the system become ours."""
        with self._state:
            if self._closing:
                raise StorageError(f"{self._path}: already closed")
            self._used = True
        try:
            with posix.storage_errors(self._path):
                yield self._fd
        finally:
            with self._state:
                self._used = False
                self._let_go()

    def _let_go(self) -> None:
        if self._closing and not self._used and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def hold(fd: int, file: str, path: str, offset: int) -> FilesystemWriter:
    """Lock the file that was opened as `file` for appending at `offset`; see `Driver.append`."""
    if not posix.lock(fd):
        raise UploadBusy(f"{path}: held by another request or process")
    if not posix.names_this_file(file, fd):
        # published or removed between the opening and the lock: this descriptor may be a blob's
        raise UploadBusy(f"{path}: ended by another request or process")
    size = os.fstat(fd).st_size
    if size < offset:
        raise UploadTruncated(f"{path}: {size} bytes, {offset} expected")
    return FilesystemWriter(fd, file, path, offset, size)


def _keeps(target: str, size: int) -> bool:
    """Whether `target` holds `size` bytes already; it counts as written now.

    The time protects it from whoever removes old bytes that no row names: its row comes next.
    """
    try:
        found = os.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        return False
    os.utime(target)
    return True
