"""A layout in a tar archive, for reading: nothing is extracted, blobs are read where they lie.

Two files of one name are two answers to one question, so an archive with two `index.json` is
refused; of two blobs of a name either has the digest or is not used.
"""

import os
import stat
from collections.abc import Iterator

from tidegate.delivery.layout import tar_entries
from tidegate.delivery.layout.errors import LayoutInvalid, LayoutMissing
from tidegate.delivery.layout.files import Extent, layout_errors
from tidegate.delivery.layout.index_json import (
    INDEX_JSON,
    INDEX_LIMIT,
    MARK_LIMIT,
    OCI_LAYOUT,
    LayoutIndex,
    blob_digest,
    blob_name,
    check_mark,
)
from tidegate.delivery.layout.tar_entries import TarEntry
from tidegate.oci.digest import Digest


def open_archive(path: str) -> "LayoutArchive":
    """An archive that is there and whole; `LayoutMissing`, `LayoutInvalid`."""
    with layout_errors(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise LayoutMissing(f"{path}: there is no such file") from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise LayoutInvalid(f"{path} is no file: an archive is read in more than one pass")
            return LayoutArchive(path, fd, _found(fd, path))
        except BaseException:
            os.close(fd)
            raise


def _found(fd: int, path: str) -> dict[str, TarEntry]:
    """The files of a layout in the archive, by name."""
    found: dict[str, TarEntry] = {}
    for entry in tar_entries.entries(fd, path):
        if not entry.is_whole:
            raise LayoutInvalid(f"{path} ends in the middle of {entry.name!r}: it was cut off")
        if entry.name in (INDEX_JSON, OCI_LAYOUT) and entry.name in found:
            raise LayoutInvalid(f"{path} has two files {entry.name!r}")
        if entry.name in (INDEX_JSON, OCI_LAYOUT) or entry.name.startswith("blobs/"):
            found[entry.name] = entry
    if OCI_LAYOUT not in found or INDEX_JSON not in found:
        raise LayoutInvalid(
            f"{path} is no OCI archive: it needs the files {OCI_LAYOUT} and {INDEX_JSON}"
            " (a compressed one is to be unpacked first)"
        )
    return found


class LayoutArchive:
    """The files of an archive; see `LayoutFiles`."""

    def __init__(self, path: str, fd: int, found: dict[str, TarEntry]) -> None:
        self._path = path
        self._fd = fd
        self._found = found
        check_mark(self._read(OCI_LAYOUT, MARK_LIMIT), path)
        self._index = LayoutIndex.parse(self._read(INDEX_JSON, INDEX_LIMIT), path)

    @property
    def where(self) -> str:
        return self._path

    def index(self) -> LayoutIndex:
        return self._index

    def open(self, digest: Digest) -> Extent | None:
        entry = self._found.get(blob_name(digest))
        if entry is None:
            return None
        return Extent(os.dup(self._fd), entry.offset, entry.size)

    def digests(self) -> Iterator[Digest]:
        """Of all blobs that are here, unverified."""
        yield from filter(None, map(blob_digest, self._found))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, name: str, limit: int) -> bytes:
        entry = self._found[name]
        if entry.size > limit:
            raise LayoutInvalid(f"{self._path}: {name} has {entry.size} bytes, more than {limit}")
        content = os.pread(self._fd, entry.size, entry.offset)
        if len(content) < entry.size:
            raise LayoutInvalid(f"{self._path} became shorter while it was read")
        return content
