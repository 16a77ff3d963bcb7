"""A request's line and header fields, read from bytes as they come and bounded.

httptools (llhttp) parses and validates; it is fed up to the blank line and no further, so that
`framing.py` alone says what the bytes after it are. Strict llhttp ends a head only at CR LF CR LF.
Each request gets a fresh parser (0.6 µs): no state survives from the one before.
"""

import urllib.parse

import httptools

from tidegate.wire.errors import RequestRefused
from tidegate.wire.framing import Counted, Framing, framing_of
from tidegate.wire.limits import Limits

BLANK_LINE = b"\r\n\r\n"
DECISIVE = {b"host", b"content-length", b"transfer-encoding", b"expect"}  # what framing asks for


class RequestHead:
    """One request's head; `complete` once the blank line has been read."""

    __slots__ = (
        "_decisive", "_limits", "_parser", "_size", "_tail", "complete", "headers", "http_version",
        "method", "persistent", "target",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._size = 0
        self._tail = b""
        self.complete = False
        self.headers: list[tuple[bytes, bytes]] = []
        self._decisive: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.method = self.http_version = ""
        self.persistent = False

    @property
    def begun(self) -> bool:
        return self._size > 0

    def feed(self, data: bytes) -> bytes:
        """Read on; returns what lies behind the blank line. Raises `RequestRefused`."""
        while data and not self.complete:
            searched = self._tail + data
            blank = searched.find(BLANK_LINE)
            end = len(data) if blank < 0 else blank + len(BLANK_LINE) - len(self._tail)
            self._tail = searched[-3:] if blank < 0 else b""
            self._size += end
            self._parse(data if end == len(data) else data[:end])
            data = data[end:]
        if self.complete:
            del self._parser  # it refers back to us: no work for the cycle collector
        return data

    def framing(self) -> Framing:
        """Where the body ends. Raises `RequestRefused`."""
        if self.http_version not in ("1.1", "1.0"):
            raise RequestRefused(505, "HTTP version not supported")
        hosts = [name for name, _ in self._decisive].count(b"host")
        if hosts != 1 and (hosts or self.http_version == "1.1"):  # RFC 9112 section 3.2
            raise RequestRefused(400, "exactly one Host is required")
        if hosts == len(self._decisive):
            return Counted(0)
        return framing_of(self._decisive, self.http_version)

    def expects_continue(self) -> bool:
        return self.http_version == "1.1" and any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in self._decisive
        )

    def location(self) -> tuple[str, bytes, bytes]:
        """Decoded path, raw path and query string. Raises `RequestRefused`."""
        if self.target.startswith(b"/") and b"#" not in self.target:
            raw_path, _, query = self.target.partition(b"?")
        else:
            try:
                url = httptools.parse_url(self.target)  # absolute form, as a proxy is sent
            except httptools.HttpParserInvalidURLError as error:
                raise RequestRefused(400, "invalid request target") from error
            raw_path, query = url.path or b"/", url.query or b""
        path = raw_path.decode("ascii")  # llhttp refuses bytes beyond ASCII
        return (urllib.parse.unquote(path) if "%" in path else path), raw_path, query

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an offer that is not taken up: RFC 9110 section 7.8
        except httptools.HttpParserError as error:
            raise RequestRefused(400, "malformed request") from error
        if len(self.target) > self._limits.target_bytes:
            raise RequestRefused(414, "request target too long")
        if self._size > self._limits.header_bytes or len(self.headers) > self._limits.header_fields:
            raise RequestRefused(431, "request header too large")

    # Called by httptools while it parses.

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        field = name.lower(), value
        self.headers.append(field)
        if field[0] in DECISIVE:
            self._decisive.append(field)

    def on_headers_complete(self) -> None:
        self.complete = True
        self.method = self._parser.get_method().decode("ascii")
        self.http_version = self._parser.get_http_version()
        self.persistent = self.http_version != "1.0" and self._parser.should_keep_alive()
