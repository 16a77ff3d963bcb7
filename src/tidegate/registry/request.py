"""A request as the endpoints see it: an ASGI scope read on demand.

Reading is lazy because the pull path looks at two headers and no query.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from tidegate.oci.errors import SizeMismatch
from tidegate.wire.errors import BodyTooLarge, ClientGone

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_PARAMETERS_LIMIT = 200
"""Query parameters in one request; a tag push may carry many `tag=`."""


class Request:
    """One request: method, path, headers, query and the body still to be received."""

    __slots__ = ("_query", "method", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self._query: dict[str, list[str]] | None = None

    @property
    def raw_path(self) -> str:
        """The path as sent, percent-encoding untouched."""
        raw: bytes | None = self.scope.get("raw_path")
        return raw.decode("latin-1") if raw is not None else str(self.scope["path"])

    def header(self, name: bytes) -> str | None:
        """The first header of this (lower-case) name."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value, "latin-1")
        return None

    def headers(self, name: bytes) -> list[str]:
        """Every header of this (lower-case) name, in order."""
        return [str(value, "latin-1") for key, value in self.scope["headers"] if key == name]

    def parameters(self, name: str) -> list[str]:
        """Every value of a query parameter, in order."""
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            self._query = _parse_query(text) if text else {}
        return self._query.get(name, [])

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.parameters(name)
        return values[0] if values else None

    @property
    def content_length(self) -> int | None:
        """Bytes the body is said to have; None with chunked transfer encoding."""
        text = self.header(b"content-length")
        if text is None:
            return None if self.header(b"transfer-encoding") else 0
        if not (text.isascii() and text.isdecimal()) or len(text) > 19:
            raise SizeMismatch(f"Content-Length {text[:40]!r} is no number of bytes")
        return int(text)

    async def body(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes of it: `BodyTooLarge` beyond."""
        if (self.content_length or 0) > limit:
            raise BodyTooLarge(limit)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLarge(limit)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def _parse_query(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_PARAMETERS_LIMIT)
    except ValueError as error:
        raise BodyTooLarge(_PARAMETERS_LIMIT) from error
