"""A layout in a tar archive, being written: straight into the tar, beside its final name.

    FILE.partial   oci-layout, blobs as they come          finish: index.json, sync, rename
    FILE           there only when all of it is

A killed process leaves the first part of an archive. The next one hashes what is in it, cuts off
what is wrong or unfinished but for the bytes of the blob that it is to go on with, and appends.
Only the blob that was begun last may write: what was given up meanwhile writes no more, even if a
thread of it is still on its way.
"""

import fcntl
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from tidegate.delivery.layout import tar_entries
from tidegate.delivery.layout.errors import LayoutBusy, LayoutError, LayoutInvalid
from tidegate.delivery.layout.files import Extent, hash_extent, layout_errors, mismatch
from tidegate.delivery.layout.index_json import (
    INDEX_JSON,
    MARK,
    OCI_LAYOUT,
    LayoutIndex,
    blob_digest,
    blob_name,
)
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor
from tidegate.storage import posix

if TYPE_CHECKING:
    from hashlib import _Hash

PARTIAL = ".partial"
"""What the name of an archive ends with until it is complete."""


class _Torn(NamedTuple):
    """The blob at the end whose bytes are not all there."""

    name: str
    size: int
    offset: int
    came: int


def make_archive(path: str) -> "ArchiveWriter":
    """A new archive, or the rest of one that was begun; `LayoutError`, `LayoutBusy`."""
    with layout_errors(path):
        if os.path.lexists(path):
            raise LayoutError(f"{path} is there already: remove it, or write another archive")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(path + PARTIAL, flags, 0o666)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LayoutBusy(f"{path}: another process writes this archive") from error
            if not posix.names_this_file(path + PARTIAL, fd):
                raise LayoutBusy(f"{path}: another process has just finished this archive")
            return ArchiveWriter(path, fd)
        except BaseException:
            os.close(fd)
            raise


class ArchiveWriter:
    """The files of an archive that is being written; see `WritableFiles`."""

    one_at_a_time = True

    def __init__(self, path: str, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._found: dict[str, Extent] = {}
        self._index = LayoutIndex()
        self._end = 0
        self._torn: _Torn | None = None
        self._turn = threading.Lock()
        self._current: ArchiveIncoming | None = None
        self._resume()
        if not self._end:
            self._append(OCI_LAYOUT, MARK)

    @property
    def where(self) -> str:
        return self._path

    def index(self) -> LayoutIndex:
        return self._index

    def open(self, digest: Digest) -> Extent | None:
        found = self._found.get(blob_name(digest))
        return None if found is None else found._replace(fd=os.dup(self._fd))

    def receive(self, digest: Digest, size: int) -> "ArchiveIncoming":
        name = blob_name(digest)
        running = digest.hasher()
        with self._turn, layout_errors(self._path):
            torn, self._torn = self._torn, None
            if torn is not None and (torn.name, torn.size) == (name, size):
                hash_extent(self._fd, torn.offset, torn.came, running)
            else:
                torn = _Torn(name, size, self._begin(name, size), 0)
            self._current = ArchiveIncoming(self, digest, torn, running)
            return self._current

    def name(self, name: str, descriptor: Descriptor, image_name: str) -> None:
        self._index = self._index.with_image(name, descriptor, image_name)

    def finish(self) -> None:
        """Give the archive its name; when this returns, no power cut undoes it."""
        with layout_errors(self._path):
            self._append(INDEX_JSON, self._index.encode())
            os.ftruncate(self._fd, self._end)
            posix.write_all(self._fd, memoryview(tar_entries.END), self._end)
            posix.sync_file(self._fd)
            os.rename(self._path + PARTIAL, self._path)
            posix.sync_directory(os.path.dirname(os.path.abspath(self._path)))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def add(self, incoming: "ArchiveIncoming", position: int, piece: bytes) -> None:
        """Write bytes of the blob that is coming in."""
        with self._turn, layout_errors(self._path):
            self._check(incoming)
            posix.write_all(self._fd, memoryview(piece), position)

    def keep(self, incoming: "ArchiveIncoming", torn: _Torn) -> None:
        """Let a blob that is complete count."""
        with self._turn, layout_errors(self._path):
            self._check(incoming)
            self._current = None
            self._count(torn)

    def _check(self, incoming: "ArchiveIncoming") -> None:
        if self._current is not incoming:
            raise LayoutError(f"{self._path}: another blob is being written by now")

    def _count(self, torn: _Torn) -> None:
        self._found[torn.name] = Extent(-1, torn.offset, torn.size)
        self._end = torn.offset + torn.size + -torn.size % tar_entries.BLOCK
        if os.fstat(self._fd).st_size < self._end:
            os.ftruncate(self._fd, self._end)  # the padding

    def _begin(self, name: str, size: int) -> int:
        """Write a header, and give the place of what follows it."""
        os.ftruncate(self._fd, self._end)
        header = tar_entries.header(name, size)
        posix.write_all(self._fd, memoryview(header), self._end)
        return self._end + len(header)

    def _append(self, name: str, content: bytes) -> None:
        start = self._begin(name, len(content))
        posix.write_all(self._fd, memoryview(content), start)
        self._count(_Torn(name, len(content), start, len(content)))

    def _resume(self) -> None:
        """Find what an earlier process left; the first thing that is wrong ends it."""
        length = os.fstat(self._fd).st_size
        try:
            for entry in tar_entries.entries(self._fd, self._path):
                torn = _Torn(
                    entry.name, entry.size, entry.offset, min(entry.size, length - entry.offset)
                )
                if not entry.is_whole:
                    self._torn = torn if torn.came >= 0 and blob_digest(entry.name) else None
                    return
                if not self._is_good(torn):
                    return
                self._count(torn)
        except LayoutInvalid:
            return  # a header that was never written completely

    def _is_good(self, torn: _Torn) -> bool:
        if torn.name == OCI_LAYOUT:
            return self._end == 0 and os.pread(self._fd, torn.size, torn.offset) == MARK
        digest = blob_digest(torn.name)
        if digest is None:
            return False
        running = digest.hasher()
        hash_extent(self._fd, torn.offset, torn.size, running)
        return running.hexdigest() == digest.encoded


class ArchiveIncoming:
    """A blob on its way into an archive; see `Incoming`."""

    def __init__(
        self, archive: ArchiveWriter, digest: Digest, torn: _Torn, running: "_Hash"
    ) -> None:
        self._archive = archive
        self._digest = digest
        self._torn = torn
        self._running = running

    @property
    def offset(self) -> int:
        return self._torn.came

    def write(self, piece: bytes) -> None:
        torn = self._torn
        if torn.came + len(piece) > torn.size:
            raise mismatch(self._archive.where, self._digest)
        self._archive.add(self, torn.offset + torn.came, piece)
        self._running.update(piece)
        self._torn = torn._replace(came=torn.came + len(piece))

    def publish(self) -> None:
        torn = self._torn
        if torn.came != torn.size or self._running.hexdigest() != self._digest.encoded:
            raise mismatch(self._archive.where, self._digest)
        self._archive.keep(self, torn)

    def close(self) -> None:
        """What came in stays at the end of the file, until something else is to be there."""
