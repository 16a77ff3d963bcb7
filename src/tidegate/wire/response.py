"""A response's status line and header fields as bytes.

Pure. Nothing leaves with a CR, LF or NUL that is not ours: field names are checked once and
remembered, values are checked all together by counting line ends.
"""

import http
import re
from collections.abc import Iterable
from dataclasses import dataclass

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REMEMBERED = 1024  # names; an application has some dozens

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in http.HTTPStatus
}
CONTENT_LENGTH = b"content-length: "
TRANSFER_ENCODING = b"transfer-encoding: "
CONNECTION = b"connection: "

_prefixes: dict[bytes, bytes] = {
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
}


class ResponseInvalid(Exception):
    """The application's answer cannot be put on the wire."""


@dataclass(slots=True)
class ResponseHead:
    """Rendered, without the blank line, so that framing and connection fields can follow."""

    content: bytes
    length: int | None = None
    chunked: bool = False
    close: bool = False


def render(status: int, headers: Iterable[tuple[bytes, bytes]], preset: bytes) -> ResponseHead:
    """The head for `status`; `preset` is rendered fields that every answer has."""
    head = ResponseHead(b"")
    fields: list[bytes] = []
    for name, value in headers:
        prefix = _prefixes.get(name) or _remember(name)
        if prefix is CONTENT_LENGTH:
            if head.length is not None or not value.isdigit():
                raise ResponseInvalid(f"invalid Content-Length {value!r}")
            head.length = int(value)
        elif prefix is TRANSFER_ENCODING:
            head.chunked = value.lower() == b"chunked"
            continue  # written with the framing
        elif prefix is CONNECTION:
            head.close = b"close" in value.lower()
            continue
        fields += (prefix, value, b"\r\n")
    rendered = b"".join(fields)
    count = len(fields) // 3
    if rendered.count(b"\n") != count or rendered.count(b"\r") != count or b"\0" in rendered:
        raise ResponseInvalid("line break or NUL in a header field")
    head.content = _status_line(status) + preset + rendered
    return head


def render_fields(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Fields the server itself adds to every answer, such as Date."""
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)


def render_refusal(status: int, reason: str) -> bytes:
    """A whole short answer that ends the connection."""
    text = f"{reason}\n".encode("ascii")
    return b"%scontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (
        _status_line(status), len(text), text,
    )  # fmt: skip


def _status_line(status: int) -> bytes:
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _remember(name: bytes) -> bytes:
    if not TOKEN.fullmatch(name):
        raise ResponseInvalid(f"invalid header name {name!r}")
    lowered = name.lower()
    prefix = _prefixes.get(lowered) or lowered + b": "
    if len(_prefixes) < REMEMBERED:
        _prefixes[bytes(name)] = prefix
    return prefix
