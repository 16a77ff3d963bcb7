"""The driver on a directory of a POSIX file system.

Blocking calls run in a bounded pool of threads, because a disk may take seconds; only opening and
looking at a file are done directly, which cost 3 µs where a thread costs 25. Directories are made
with mode 0700 and files with 0600: what is in them is nobody else's.
"""

import asyncio
import contextlib
import itertools
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from tidegate.storage import posix
from tidegate.storage.driver import Entry, Writer
from tidegate.storage.errors import PathRefused, StorageError, UploadTruncated
from tidegate.storage.filesystem_writer import FilesystemWriter, hold
from tidegate.storage.fills import FillFile

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_THREADS = 16
"""Several, because threads that sync at once share one commit of the journal: on ext4 eight commit
10 KB files at 1.6 times the rate of one."""
_READ = 1 << 20
_LISTED = 512
"""Entries fetched per visit to a thread."""


class Filesystem:
    """A `Driver` and `LocalFiles` below one directory, all of it on one file system."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.path.abspath(root)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")
        self._settled: set[str] = set()

    async def stat(self, path: str) -> int | None:
        try:
            found = os.stat(self._locate(path), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise posix.storage_error(error, path) from error
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    async def read(self, path: str, offset: int, count: int) -> AsyncIterator[bytes]:
        fd = self.open(path)
        try:
            end = offset + count
            while offset < end:
                piece = await self._blocking(_read, fd, min(_READ, end - offset), offset, path)
                if not piece:
                    raise StorageError(f"{path}: ends at {offset}, {end} expected")
                yield piece
                offset += len(piece)
        finally:
            os.close(fd)

    async def append(self, path: str, offset: int) -> Writer:
        file = self._locate(path)
        opening = asyncio.get_running_loop().run_in_executor(
            self._pool, self._append, file, path, offset
        )
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unclaimed)
            raise

    async def publish(self, writer: Writer, target: str) -> None:
        if not isinstance(writer, FilesystemWriter):
            raise TypeError("a writer of another driver")
        try:
            await self._blocking(self._publish, writer, self._locate(target))
        finally:
            writer.close()  # when cancelled: at once if no thread had begun, else when it has ended

    async def put(self, path: str, content: bytes, target: str) -> None:
        await self._blocking(self._put, self._locate(path), path, content, self._locate(target))

    async def delete(self, path: str) -> bool:
        return await self._blocking(_delete, self._locate(path), path)

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        if not prefix.endswith("/"):
            raise PathRefused(f"{prefix!r}: a prefix ends with /")
        directory = self._locate(prefix[:-1])
        entries = _walk(directory, prefix)
        while batch := await self._blocking(_take, entries, prefix):
            for entry in batch:
                yield entry

    def open(self, path: str) -> int:
        """A descriptor for reading; `BlobMissing` where there is no file, or a symbolic link."""
        try:
            return os.open(self._locate(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise posix.storage_error(error, path) from error

    def grow(self, path: str, target: str, size: int) -> FillFile:
        file, end = self._locate(path), self._locate(target)
        with posix.storage_errors(path):
            self._make_directory(os.path.dirname(file))
            self._make_directory(os.path.dirname(end))
        return FillFile(file, end, size)

    def room(self) -> tuple[int, int]:
        with posix.storage_errors(self._root):
            found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def close(self) -> None:
        """End the pool's threads, after what they are doing."""
        self._pool.shutdown()

    def _locate(self, path: str) -> str:
        if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise PathRefused(f"{path!r} is no path within a store")
        return f"{self._root}/{path}"

    async def _blocking(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    def _append(self, file: str, path: str, offset: int) -> FilesystemWriter:
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        if offset == 0:
            flags |= os.O_CREAT
            with posix.storage_errors(path):
                self._make_directory(os.path.dirname(file))
        try:
            fd = os.open(file, flags, 0o600)
        except FileNotFoundError as error:
            raise UploadTruncated(f"{path}: missing, {offset} bytes expected") from error
        except OSError as error:
            raise posix.storage_error(error, path) from error
        try:
            return hold(fd, file, path, offset)
        except BaseException:
            os.close(fd)
            raise

    def _put(self, file: str, path: str, content: bytes, target: str) -> None:
        writer = self._append(file, path, 0)
        try:
            writer.write(memoryview(content))
            self._publish(writer, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file)
            raise
        finally:
            writer.close()

    def _publish(self, writer: FilesystemWriter, target: str) -> None:
        with posix.storage_errors(target):
            self._make_directory(os.path.dirname(target))
        writer.publish(target)

    def _make_directory(self, directory: str) -> None:
        """Make a directory, and its name durable, unless this process has seen to that before.

        That another process made it does not say that its name is on disk yet.
        """
        if directory in self._settled and os.path.isdir(directory):
            return
        parent = os.path.dirname(directory)
        if directory == self._root:
            os.makedirs(parent, exist_ok=True)
        else:
            self._make_directory(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        posix.sync_directory(parent)
        self._settled.add(directory)


def _close_unclaimed(opening: asyncio.Future[FilesystemWriter]) -> None:
    """The request was cancelled while its file was being opened."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _read(fd: int, count: int, offset: int, path: str) -> bytes:
    with posix.storage_errors(path):
        return os.pread(fd, count, offset)


def _delete(file: str, path: str) -> bool:
    try:
        os.unlink(file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise posix.storage_error(error, path) from error
    return True


def _take(entries: Iterator[Entry], prefix: str) -> list[Entry]:
    with posix.storage_errors(prefix):
        return list(itertools.islice(entries, _LISTED))


def _walk(directory: str, prefix: str) -> Iterator[Entry]:
    try:
        with os.scandir(directory) as found:
            names = sorted(found, key=lambda each: each.name)
    except FileNotFoundError:
        return
    for each in names:
        path = prefix + each.name
        if each.is_dir(follow_symlinks=False):
            yield from _walk(each.path, path + "/")
        elif each.is_file(follow_symlinks=False):
            try:
                status = each.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone since it was listed
                continue
            yield Entry(path, status.st_size, status.st_mtime)
