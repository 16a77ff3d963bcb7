"""An answer on its way out: ASGI's send, with zero-copy send of files.

The head is held back until the first of the body, as ASGI asks: most answers are one write, and an
application that fails in between still gets a clean 500. The bytes sent match what the head says,
or the connection ends: nothing is ever appended to a broken answer.
"""

import os
import socket
from typing import Any

from tidegate.wire.errors import ClientGone
from tidegate.wire.link import Link
from tidegate.wire.offload import PATIENCE, reset_on_close, settle, writable
from tidegate.wire.response import ResponseHead, ResponseInvalid, render
from tidegate.wire.sending import FileSending

JOINED = 64 * 1024  # up to here a body is copied behind its head: a second write would be dearer
IN_LOOP = 64 * 1024  # up to here a file is read in the loop, if it is in memory


class Answer:
    """One response; `started` once bytes are out, `complete` once all are."""

    __slots__ = ("_bodiless", "_chunked", "_head", "_length", "_link", "_modern", "complete",
                 "persistent", "started")  # fmt: skip

    def __init__(self, link: Link, method: str, http_version: str, *, persistent: bool) -> None:
        self._link = link
        self._bodiless = method == "HEAD"
        self._modern = http_version == "1.1"
        self._head: ResponseHead | None = None
        self._chunked = False
        self._length: int | None = None  # of the body, still to be sent
        self.persistent = persistent
        self.started = False
        self.complete = False

    def start(self, status: int, headers: Any, *, keep: bool) -> None:
        """Raises ResponseInvalid. `keep`: whether the connection may be kept for a next request."""
        if self._head is not None or self.started:
            raise ResponseInvalid("the answer has already been started")
        head = self._head = render(status, headers, self._link.preset())
        self._length = head.length
        self._bodiless = self._bodiless or status in (204, 304)
        self.persistent = self.persistent and keep and not head.close

    def _take_head(self, size: int, *, more: bool) -> bytes:
        """The head's bytes, now that the body's framing is known; empty when they are out."""
        head = self._head
        if head is None:
            return b""
        framing = b""
        if self._bodiless or head.length is not None:
            pass  # the application's own fields say it
        elif not more and not head.chunked:
            self._length = size
            framing = b"content-length: %d\r\n" % size
        elif self._modern:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            self.persistent = False
        if not self.persistent:
            framing += b"connection: close\r\n"
        self._head = None
        self.started = True
        return head.content + framing + b"\r\n"

    def send(self, body: bytes, *, more: bool) -> None:
        """A part of the body. Raises ResponseInvalid when it cannot be sent."""
        self._check(len(body), more=more)
        head = self._take_head(len(body), more=more)
        if self._bodiless:
            body = b""
        elif self._chunked:
            frame = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = frame if more else frame + b"0\r\n\r\n"
        elif self._length is not None:
            self._length -= len(body)
        if head and len(body) <= JOINED:
            self._link.write(head + body)
        else:
            self._link.write(head)
            self._link.write(body)
        self.complete = not more

    def _check(self, size: int, *, more: bool) -> None:
        if self.complete or (self._head is None and not self.started):
            raise ResponseInvalid("a body before the answer was started, or after its end")
        if self._bodiless or self._length is None:
            return
        if size > self._length:
            raise ResponseInvalid("body longer than its Content-Length")
        if size < self._length and not more:
            raise ResponseInvalid("body shorter than its Content-Length")

    async def send_file(self, fd: int, offset: int, count: int, *, more: bool) -> None:
        """A part of a file as a part of the body. Raises ClientGone and FileEnded."""
        if self._bodiless:
            self.send(b"", more=more)
            return
        content = _read_from_memory(fd, offset, count) if count <= IN_LOOP else None
        if content is not None:
            self.send(content, more=more)
            return
        self._check(count, more=more)
        head = self._take_head(count, more=more)
        if self._chunked:
            head += b"%x\r\n" % count
        await self._move(head, fd, offset, count)
        if self._chunked:
            self._link.write(b"\r\n" if more else b"\r\n0\r\n\r\n")
        elif self._length is not None:
            self._length -= count
        self.complete = not more

    async def _move(self, head: bytes, fd: int, offset: int, count: int) -> None:
        link = self._link
        try:
            async with link.borrowed() as sock:
                sending = FileSending(sock, head, fd, offset, count)
                while not sending.done:
                    if await settle(link.threads, sending, sock):
                        began = link.loop.time()
                        await _until_writable(sock, link.limits.stall_timeout)
                        quick = link.loop.time() - began < PATIENCE
                        sending.patience = PATIENCE if quick else 0.0
        except OSError as error:
            raise ClientGone("the client took no more of the file") from error


async def _until_writable(sock: socket.socket, stall_timeout: float) -> None:
    try:
        await writable(sock, stall_timeout)
    except TimeoutError:
        reset_on_close(sock)
        raise


def _read_from_memory(fd: int, offset: int, count: int) -> bytes | None:
    """The whole part if the kernel has it in memory: the loop must not wait for a disk. Linux."""
    nowait = getattr(os, "RWF_NOWAIT", None)
    if nowait is None:
        return None
    content = bytearray(count)
    try:
        read = os.preadv(fd, [content], offset, nowait)
    except OSError:
        return None
    return bytes(content) if read == count else None
