"""Byte ranges: `Range` on a blob pull (RFC 9110, 14.1) and `Content-Range` on an upload's chunk."""

import re

from tidegate.oci.errors import RangeInvalid

_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII)
_CHUNK = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Read a `Range` header over `size` bytes as `(offset, count)`.

    None when it is to be ignored, as RFC 9110 asks for other units, malformed text and several
    ranges at once, which no registry client sends. `RangeInvalid` when no byte of it is there.
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    offset = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if offset >= size or end < offset:
        raise RangeInvalid(f"{header!r} lies outside the {size} bytes of this blob")
    return offset, end - offset + 1


def _suffix(last: str, size: int) -> tuple[int, int] | None:
    if not last:
        return None
    count = min(int(last), size)
    if count == 0:
        raise RangeInvalid(f"the last {last} bytes of {size} are none")
    return size - count, count


def parse_chunk_range(header: str) -> tuple[int, int]:
    """Read a chunk's `Content-Range` as `(offset, count)`.

    The specification's form is `<start>-<end>`, both inclusive, without `bytes ` and `/size`.
    """
    match = _CHUNK.fullmatch(header)
    if match is None:
        raise RangeInvalid(f"{header[:80]!r} is no chunk range: write <start>-<end>")
    start, end = int(match[1]), int(match[2])
    if end < start:
        raise RangeInvalid(f"{header!r} ends before it starts")
    return start, end - start + 1
