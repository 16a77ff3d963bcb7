"""A request as the endpoints see it: an ASGI scope read on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

from tidegate.apimachinery.decoding.decoder import BODY_LIMIT
from tidegate.apimachinery.errors import BadRequest, RequestTooLarge
from tidegate.wire.errors import BodyStalled, ClientGone

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

BODY_PATIENCE = 60.0
"""Seconds in which a body has to be here, as in Kubernetes: what was decided about a request holds
until it is done, so that nobody may keep one open by sending it a byte at a time."""

PARAMETERS_LIMIT = 200
"""Query parameters in one request."""


class Request:
    """Method, path, headers, query, and the body still to be received."""

    __slots__ = ("_query", "method", "path", "receive", "scope", "size")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        path: str = scope["path"]
        self.path = path.encode("utf-8", "replace").decode()  # lone surrogates are no text
        self.size = 0  # bytes of the body, once it was received
        self._query: dict[str, list[str]] | None = None

    @property
    def headers(self) -> Headers:
        return self.scope["headers"]  # type: ignore[no-any-return]  # ASGI says so

    def header(self, name: bytes) -> str:
        """The first header of this (lower-case) name, empty when there is none."""
        for key, value in self.headers:
            if key == name:
                return value.decode("utf-8", "replace")
        return ""

    def header_values(self, name: bytes) -> list[str]:
        """Every header of this name, in order."""
        return [value.decode("utf-8", "replace") for key, value in self.headers if key == name]

    def parameters(self, name: str) -> list[str]:
        """Every value of a query parameter, in order."""
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            self._query = _parsed(text) if text else {}
        return self._query.get(name, [])

    def parameter(self, name: str) -> str:
        """The first value of a query parameter, empty when there is none."""
        values = self.parameters(name)
        return values[0] if values else ""

    async def body(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body; `RequestTooLarge` beyond the limit, `ClientGone` when it breaks off."""
        announced = self.header(b"content-length")
        if announced.isascii() and announced.isdecimal() and int(announced[:20]) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(BODY_PATIENCE):
                return await self._received(limit)
        except TimeoutError as error:
            raise BodyStalled from error

    async def _received(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            self.size = size
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"Request entity too large: limit is {limit}")


def _parsed(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(
            text, keep_blank_values=True, max_num_fields=PARAMETERS_LIMIT, errors="replace"
        )
    except ValueError as error:
        raise BadRequest(f"more than {PARAMETERS_LIMIT} query parameters") from error
