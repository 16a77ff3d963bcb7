"""Where a request's body ends: RFC 9112 section 6, decided once, from the headers alone.

Pure: no I/O. This module, not the header parser, is the only judge of where the next request
begins, so there are no two opinions for a smuggled request to slip between. A body is decoded in
place and can be continued at any byte, in the loop or in a thread.
"""

import re
from collections.abc import Iterable
from typing import Protocol

from tidegate.wire.errors import RequestRefused

MAX_LENGTH = 2**63 - 1
MAX_LINE = 4096  # a chunk-size line or a trailer field; the bound of Go's net/http
MAX_OVERHEAD = 16 * 1024  # bytes around the data beyond what honest chunks need; likewise

# RFC 9112 section 7.1. No space before CRLF, no bare CR or LF anywhere.
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class Framing(Protocol):
    """The rest of one request's body."""

    @property
    def done(self) -> bool: ...

    @property
    def expected(self) -> int | None:
        """Payload bytes still to come, None when only the body itself will tell."""

    def decode(self, buffer: memoryview) -> tuple[memoryview, int]:
        """The payload within `buffer` and how many of its bytes belong to this body.

        A writable buffer is rewritten and the payload is a view of it. Raises `RequestRefused`.
        """


class Counted:
    """A body of known length; without a body the length is 0."""

    __slots__ = ("expected",)

    def __init__(self, length: int) -> None:
        self.expected = length

    @property
    def done(self) -> bool:
        return not self.expected

    def decode(self, buffer: memoryview) -> tuple[memoryview, int]:
        payload = buffer[: self.expected]
        self.expected -= len(payload)
        return payload, len(payload)


class Chunked:
    """A body in chunks: `size [;extension] CRLF data CRLF`, ended by size 0 and trailer fields."""

    __slots__ = ("_ending", "_left", "_line", "_overhead", "_trailing", "done")

    expected: int | None = None

    def __init__(self) -> None:
        self.done = False
        self._left = 0  # data of the current chunk still to come
        self._ending = False  # the CRLF after a chunk's data is due
        self._trailing = False  # the last chunk was seen
        self._line = b""  # the beginning of a line that the last buffer cut
        self._overhead = 0

    def decode(self, buffer: memoryview) -> tuple[memoryview, int]:
        if buffer.readonly:
            buffer = memoryview(bytearray(buffer))
        at = kept = 0
        while at < len(buffer) and not self.done:
            if self._left:
                count = min(self._left, len(buffer) - at)
                if kept != at:
                    buffer[kept : kept + count] = buffer[at : at + count]
                at += count
                kept += count
                self._left -= count
                self._ending = not self._left
            else:
                line, at = self._read_line(buffer, at)
                if line is not None:
                    self._accept(line)
        return buffer[:kept], at

    def _read_line(self, buffer: memoryview, at: int) -> tuple[bytes | None, int]:
        window = bytes(buffer[at : at + MAX_LINE])
        end = window.find(b"\n") + 1
        self._line += window[:end] if end else window
        if len(self._line) > MAX_LINE:
            raise RequestRefused(400, "line in chunked body too long")
        if self._ending and self._line not in (b"\r", b"\r\n"):
            raise RequestRefused(400, "chunk longer than its size")
        if not end:
            return None, at + len(window)
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise RequestRefused(400, "bare LF in chunked body")
        return line[:-2], at + end

    def _accept(self, line: bytes) -> None:
        if self._ending:
            self._ending = False
        elif not self._trailing:
            self._accept_size(line)
        elif not line:
            self.done = True
        elif not TRAILER.fullmatch(line):
            raise RequestRefused(400, "malformed trailer")
        else:
            self._count_overhead(len(line))

    def _accept_size(self, line: bytes) -> None:
        size = CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise RequestRefused(400, "malformed chunk size")
        self._left = int(size[1], 16)
        self._trailing = not self._left
        self._count_overhead(len(line) - 16 - 2 * self._left)

    def _count_overhead(self, excess: int) -> None:
        """A few long extensions are fine; a body that is mostly extensions is an attack."""
        self._overhead = max(0, self._overhead + excess)
        if self._overhead > MAX_OVERHEAD:
            raise RequestRefused(400, "chunked body with too little data")


def framing_of(headers: Iterable[tuple[bytes, bytes]], http_version: str) -> Framing:
    """RFC 9112 section 6.3, strictly: what two servers could read differently is refused."""
    lengths = [value.strip(b" \t") for name, value in headers if name == b"content-length"]
    codings = [value.strip(b" \t") for name, value in headers if name == b"transfer-encoding"]
    if not codings:
        return Counted(_length(lengths))
    if lengths or len(codings) > 1 or http_version == "1.0":
        raise RequestRefused(400, "conflicting body length")
    if codings[0].lower() != b"chunked":
        raise RequestRefused(501, "transfer encoding not supported")
    return Chunked()


def _length(values: list[bytes]) -> int:
    if not values:
        return 0
    if len(values) > 1 or not values[0].isdigit() or len(values[0]) > 19:
        raise RequestRefused(400, "invalid Content-Length")
    length = int(values[0])
    if length > MAX_LENGTH:
        raise RequestRefused(400, "invalid Content-Length")
    return length
