"""Entries of a tar archive, found without extracting anything, and the headers of new ones.

Headers alone are read, the contents are skipped. Names that lead out of the archive, links, devices
and lengths that the file does not have are refused: an OCI archive has none of them.
"""

import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from tidegate.delivery.layout.errors import LayoutInvalid

BLOCK = 512
END = bytes(2 * BLOCK)
"""What a tar archive ends with."""

ENTRIES_LIMIT = 200_000
_EXTENSION_LIMIT = 64 * 1024
"""Bytes of an extended header: it has a name and a size of us."""

_EXTENDED, _GLOBAL, _LONG_NAME = tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME
_EXTENSIONS = (_EXTENDED, _GLOBAL, _LONG_NAME)


class TarEntry(NamedTuple):
    """A file in the archive: its bytes are `size` from `offset` on.

    `is_whole` is False where the file ends before them: an archive that was cut off.
    """

    name: str
    offset: int
    size: int
    is_whole: bool


def entries(fd: int, where: str) -> Iterator[TarEntry]:
    """Every regular file, in order; blocks. `LayoutInvalid` for what no archive should have.

    Ends without complaint where the file does: whether it is whole is the caller's to judge.
    """
    length = os.fstat(fd).st_size
    position, named, sized = 0, "", -1
    for _ in range(ENTRIES_LIMIT):
        block = os.pread(fd, BLOCK, position)
        if len(block) < BLOCK or not any(block):
            return
        header = _header(block, where)
        position += BLOCK
        size = header.size if sized < 0 or header.type in _EXTENSIONS else sized
        if size < 0:
            raise LayoutInvalid(f"{where}: an entry of {size} bytes")
        if header.type in _EXTENSIONS:
            if header.type != _GLOBAL:
                named, sized = _extended(fd, position, header, named, sized, where)
        else:
            name = _checked(named or header.name, where)
            if header.isreg():
                yield TarEntry(name, position, size, position + size <= length)
            elif not header.isdir():
                raise LayoutInvalid(f"{where}: {name!r} is a link or a device, not a file")
            named, sized = "", -1
        position += size + (-size % BLOCK)
    raise LayoutInvalid(f"{where}: more than {ENTRIES_LIMIT} entries")


def header(name: str, size: int) -> bytes:
    """What stands before a file; the same for the same name and size, whoever writes it when."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _header(block: bytes, where: str) -> tarfile.TarInfo:
    try:
        found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise LayoutInvalid(f"{where} is no tar archive, or is damaged: {error}") from error
    if found.type == tarfile.GNUTYPE_SPARSE:
        raise LayoutInvalid(f"{where}: {found.name!r} is a sparse file")
    return found


def _extended(
    fd: int, position: int, header: tarfile.TarInfo, named: str, sized: int, where: str
) -> tuple[str, int]:
    """Name and size that an extended header gives to the next entry."""
    if header.size > _EXTENSION_LIMIT:
        raise LayoutInvalid(f"{where}: an extended header of {header.size} bytes")
    content = os.pread(fd, header.size, position)
    if header.type == _LONG_NAME:
        return content.rstrip(b"\0").decode("utf-8", "surrogateescape"), sized
    for keyword, value in _records(content, where):
        if keyword == b"path":
            named = value.decode("utf-8", "surrogateescape")
        elif keyword == b"size":
            if not value.isdigit() or len(value) > 20:
                raise LayoutInvalid(f"{where}: an entry whose size is no number")
            sized = int(value)
        elif keyword.startswith(b"GNU.sparse"):
            raise LayoutInvalid(f"{where}: a sparse file")
    return named, sized


def _records(content: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    """`LENGTH KEYWORD=VALUE\\n`, again and again (POSIX.1-2001, pax)."""
    while content:
        length, blank, _ = content.partition(b" ")
        size = int(length) if length.isdigit() and len(length) < 8 else 0
        record = content[len(length) + 1 : size]
        if not blank or size > len(content) or not record.endswith(b"\n") or b"=" not in record:
            raise LayoutInvalid(f"{where}: an extended header that cannot be read")
        keyword, _, value = record[:-1].partition(b"=")
        yield keyword, value
        content = content[size:]


def _checked(name: str, where: str) -> str:
    """The name without a leading `./`; one that leads elsewhere is refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise LayoutInvalid(f"{where}: the entry {name!r} leads out of the archive")
    return "/".join(parts)
