"""Receiving a request's body, for an application that does not care which server it runs under."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.wire.errors import BodyTooLarge, ClientGone
from tidegate.wire.exchange import RECEIVE_INTO
from tidegate.wire.offload import BUFFER, PLAIN_THREADS, settle
from tidegate.wire.receiving import Sink

Receive = Callable[[], Awaitable[Any]]


async def receive_body(
    scope: dict[str, Any], receive: Receive, sink: Sink, limit: int | None = None
) -> int:
    """Pass the request's body to `sink` and return its length.

    `sink.write` is called in a thread, never twice at once. At most `limit` bytes are given to it.
    Raises BodyTooLarge, BodyStalled, ClientGone (all that arrived has been given before) and what
    the sink raises; the request can still be answered, except after ClientGone.
    """
    receive_into = scope.get("extensions", {}).get(RECEIVE_INTO)
    if receive_into is not None:
        received: int = await receive_into(sink, limit)
        return received
    return await _receive_messages(receive, sink, limit)


async def _receive_messages(receive: Receive, sink: Sink, limit: int | None) -> int:
    """Plain ASGI: gather some messages, write them in a thread, and on; memory stays bounded."""
    received, more = 0, True
    while more:
        batch = bytearray()
        gone = False
        while more and len(batch) < BUFFER:
            message = await receive()
            gone = message["type"] == "http.disconnect"
            batch += message.get("body", b"")
            more = not gone and message.get("more_body", False)
        received += len(batch)
        if limit is not None and received > limit:
            raise BodyTooLarge(limit)
        if batch:
            await settle(PLAIN_THREADS, functools.partial(sink.write, memoryview(batch)))
        if gone:
            raise ClientGone("the connection ended within the body")
    return received
