"""Sending a part of a file, for an application that does not care which server it runs under."""

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.wire.errors import FileEnded
from tidegate.wire.exchange import ZERO_COPY
from tidegate.wire.offload import BUFFER, PLAIN_THREADS, settle

Send = Callable[[Any], Awaitable[None]]


async def send_file(
    scope: dict[str, Any], send: Send, fd: int, offset: int, count: int, *, more: bool = False
) -> None:
    """Send `count` bytes of the file from `offset` as the answer's body, or `more` of it follows.

    `http.response.start` has been sent, with Content-Length. The descriptor stays the caller's.
    Raises ClientGone and FileEnded; the connection is then closed, and there is nothing to answer.
    """
    if ZERO_COPY in scope.get("extensions", {}):
        message = {"type": ZERO_COPY, "file": fd, "offset": offset, "count": count}
        await send({**message, "more_body": True} if more else message)
        return
    left = 0 if scope["method"] == "HEAD" else count
    while left:
        size, at = min(left, BUFFER), offset + count - left
        content = await settle(PLAIN_THREADS, functools.partial(os.pread, fd, size, at))
        if not content:
            raise FileEnded(f"{left} bytes before the promised end")
        left -= len(content)
        await send({"type": "http.response.body", "body": content, "more_body": more or left > 0})
    if not more and (not count or scope["method"] == "HEAD"):
        await send({"type": "http.response.body", "body": b""})
