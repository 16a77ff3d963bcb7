"""A layout in a directory: blobs come in beside, are synced, and are renamed to their digest.

A killed process leaves a part of a blob in `ingest/`, which the next one hashes and goes on with.
`index.json` is replaced as a whole under a lock on the directory, after everything that it names is
on disk. Invariant: whoever reads the directory at any moment finds a valid layout.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidegate.delivery.layout.errors import LayoutBusy, LayoutInvalid, LayoutMissing
from tidegate.delivery.layout.files import Extent, hash_extent, layout_errors, mismatch
from tidegate.delivery.layout.index_json import (
    INDEX_JSON,
    INDEX_LIMIT,
    MARK,
    MARK_LIMIT,
    OCI_LAYOUT,
    LayoutIndex,
    blob_digest,
    blob_name,
    check_mark,
)
from tidegate.oci.digest import ALGORITHMS, Digest
from tidegate.oci.manifest import Descriptor
from tidegate.storage import posix
from tidegate.storage.errors import UploadBusy
from tidegate.storage.filesystem_writer import FilesystemWriter, hold

if TYPE_CHECKING:
    from hashlib import _Hash

_INGEST = "ingest"


def open_directory(path: str) -> "LayoutDirectory":
    """A layout that is there; `LayoutMissing`, `LayoutInvalid`."""
    with layout_errors(path):
        mark = _read(f"{path}/{OCI_LAYOUT}", MARK_LIMIT)
    if mark is None:
        raise LayoutMissing(f"{path} is no OCI image layout: it has no file {OCI_LAYOUT}")
    check_mark(mark, path)
    return LayoutDirectory(path)


def make_directory(path: str) -> "LayoutDirectory":
    """A layout that is there, or an empty one in a directory that is made or has nothing in it."""
    with layout_errors(path):
        os.makedirs(path, exist_ok=True)
        if not os.path.lexists(f"{path}/{OCI_LAYOUT}"):
            if set(os.listdir(path)) - {INDEX_JSON}:
                raise LayoutInvalid(f"{path} has other files in it: choose another directory")
            _replace(path, INDEX_JSON, LayoutIndex().encode())
            _replace(path, OCI_LAYOUT, MARK)
    return open_directory(path)


class LayoutDirectory:
    """The files of a layout below `path`; see `WritableFiles`."""

    one_at_a_time = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._index = LayoutIndex()
        self._read_at: tuple[int, ...] | None = None

    @property
    def where(self) -> str:
        return self._path

    def index(self) -> LayoutIndex:
        with layout_errors(self._path):
            mark = _mark(f"{self._path}/{INDEX_JSON}")
            if mark is None or mark != self._read_at:
                content = _read(f"{self._path}/{INDEX_JSON}", INDEX_LIMIT)
                found = LayoutIndex.parse(content, self._path) if content else LayoutIndex()
                self._index, self._read_at = found, mark
        return self._index

    def open(self, digest: Digest) -> Extent | None:
        # a link is not followed, and a pipe that nobody writes to is not waited for
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with layout_errors(self._path):
            try:
                fd = os.open(f"{self._path}/{blob_name(digest)}", flags)
            except (FileNotFoundError, NotADirectoryError):
                return None
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise LayoutInvalid(f"{self._path}: {blob_name(digest)} is no file")
        return Extent(fd, 0, found.st_size)

    def digests(self) -> Iterator[Digest]:
        """Of all blobs that are here, unverified."""
        for algorithm in ALGORITHMS:
            with layout_errors(self._path):
                try:
                    names = os.listdir(f"{self._path}/blobs/{algorithm}")
                except FileNotFoundError:
                    continue
            yield from filter(None, (blob_digest(f"blobs/{algorithm}/{each}") for each in names))

    def receive(self, digest: Digest, size: int) -> "DirectoryIncoming":
        name = f"{_INGEST}/{digest.algorithm}-{digest.encoded}"
        file, target = f"{self._path}/{name}", f"{self._path}/{blob_name(digest)}"
        with layout_errors(self._path):
            for each in (file, target):
                os.makedirs(os.path.dirname(each), exist_ok=True)
            fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                there = os.fstat(fd).st_size
                offset = there if there <= size else 0
                writer = hold(fd, file, name, offset)
            except UploadBusy as error:
                os.close(fd)
                raise LayoutBusy(f"{self._path}: another process receives {digest}") from error
            except BaseException:
                os.close(fd)
                raise
            running = digest.hasher()
            hash_extent(fd, 0, offset, running)
        return DirectoryIncoming(self._path, digest, writer, running, size)

    def name(self, name: str, descriptor: Descriptor, image_name: str) -> None:
        with layout_errors(self._path), _locked(self._path):
            before = self.index()
            after = before.with_image(name, descriptor, image_name)
            if after != before:
                _replace(self._path, INDEX_JSON, after.encode())

    def finish(self) -> None:
        """Names were given as they came; what is left to do is to leave no empty directory."""
        with contextlib.suppress(OSError):
            os.rmdir(f"{self._path}/{_INGEST}")

    def close(self) -> None:
        """No file is kept open."""


class DirectoryIncoming:
    """A blob on its way into a directory; see `Incoming`."""

    def __init__(
        self, path: str, digest: Digest, writer: FilesystemWriter, running: "_Hash", size: int
    ) -> None:
        self._path = path
        self._digest = digest
        self._writer = writer
        self._running = running
        self._size = size

    @property
    def offset(self) -> int:
        return self._writer.offset

    def write(self, piece: bytes) -> None:
        with layout_errors(self._path):
            self._writer.write(memoryview(piece))
        self._running.update(piece)

    def publish(self) -> None:
        digest = self._digest
        with layout_errors(self._path):
            if self.offset != self._size or self._running.hexdigest() != digest.encoded:
                os.unlink(f"{self._path}/{_INGEST}/{digest.algorithm}-{digest.encoded}")
                raise mismatch(self._path, digest)
            self._writer.publish(f"{self._path}/{blob_name(digest)}")

    def close(self) -> None:
        self._writer.close()


def _mark(file: str) -> tuple[int, ...] | None:
    """What differs once a file was replaced; None where there is no file."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(file: str, limit: int) -> bytes | None:
    try:
        with open(file, "rb") as found:
            content = found.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(content) > limit:
        raise LayoutInvalid(f"{file} has more than {limit} bytes")
    return content


def _replace(path: str, name: str, content: bytes) -> None:
    handle, beside = tempfile.mkstemp(dir=path, prefix=f".{name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # a layout is carried to others
            posix.sync_file(file.fileno())
        os.replace(beside, f"{path}/{name}")
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    posix.sync_directory(path)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """One process at a time changes the index."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
