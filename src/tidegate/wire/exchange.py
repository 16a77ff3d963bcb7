"""One request and its answer: the application's call, and what is made good after it."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tidegate.wire.answer import Answer
from tidegate.wire.errors import ClientGone, FileEnded, RequestRefused
from tidegate.wire.framing import Framing
from tidegate.wire.link import Link
from tidegate.wire.request_body import RequestBody
from tidegate.wire.response import ResponseInvalid

Application = Callable[[Any, Any, Any], Awaitable[None]]

ZERO_COPY = "http.response.zerocopysend"
RECEIVE_INTO = "tidegate.receive_into"

logger = logging.getLogger("tidegate.wire")


class Carrier(Link, Protocol):
    """Implemented by `connection.Connection`: told how the exchange ends."""

    behind: asyncio.Event | None
    """While the client is behind with reading: set when it has caught up."""

    def finished(self) -> None:
        """The answer is complete."""

    def abort(self) -> None:
        """End the connection at once."""

    def refuse(self, refusal: RequestRefused) -> None:
        """Answer in the application's place, unless an answer has begun; then close."""


class Exchange:
    """Plain ASGI, with `http.response.zerocopysend` and `tidegate.receive_into`."""

    __slots__ = ("_carrier", "answer", "body", "gone", "scope")

    def __init__(
        self,
        carrier: Carrier,
        scope: dict[str, Any],
        framing: Framing,
        *,
        persistent: bool,
        expects_continue: bool,
    ) -> None:
        self._carrier = carrier
        self.scope = scope
        self.body = RequestBody(carrier, framing, expects_continue=expects_continue)
        self.answer = Answer(carrier, scope["method"], scope["http_version"], persistent=persistent)
        self.gone = False
        scope["extensions"] = {ZERO_COPY: {}, RECEIVE_INTO: self.receive_into}

    async def run(self, application: Application) -> None:
        try:
            await application(self.scope, self.body.receive, self.send)
            if not self.answer.complete and not self.gone:
                logger.error("the application returned without completing its answer")
                self._fail()
        except ClientGone:
            self._abandon()
        except Exception:
            logger.exception("exception in the application")
            self._fail()
        except BaseException:  # cancelled: the server ends
            self._abandon()
            raise
        finally:
            del self.scope["extensions"]  # a bound method of ours: a cycle for the collector else

    def _fail(self) -> None:
        self._refuse(RequestRefused(500, "Internal Server Error"))

    # The connection may be with the next request by now: only an open exchange may end it.

    def _refuse(self, refusal: RequestRefused) -> None:
        if not self.answer.complete and not self.gone:
            self._carrier.refuse(refusal)

    def _abandon(self) -> None:
        if not self.answer.complete and not self.gone:
            self.gone = True  # the client's doing: no error of the application that then returns
            self._carrier.abort()

    def lost(self) -> None:
        """The client is gone, or the connection was given up."""
        self.gone = True
        self.body.over()

    async def send(self, message: dict[str, Any]) -> None:
        if self._carrier.behind is not None:
            await self._carrier.behind.wait()
        if self.gone:
            raise ClientGone("the connection is closed")
        answer = self.answer
        match message["type"]:
            case "http.response.start":
                keep = self.body.drainable()
                answer.start(message["status"], message.get("headers", ()), keep=keep)
            case "http.response.body":
                answer.send(message.get("body", b""), more=message.get("more_body", False))
            case "http.response.zerocopysend":
                await self._send_file(message)
            case kind:
                raise ResponseInvalid(f"unknown message {kind}")
        if answer.complete:
            self.body.over()
            self._carrier.finished()

    async def _send_file(self, message: dict[str, Any]) -> None:
        file, offset = message["file"], message.get("offset") or 0
        fd = file if isinstance(file, int) else file.fileno()
        count = message.get("count")
        if count is None:
            count = os.fstat(fd).st_size - offset
        try:
            await self.answer.send_file(fd, offset, count, more=message.get("more_body", False))
        except (ClientGone, FileEnded):
            self._abandon()
            raise

    async def receive_into(self, sink: Any, limit: int | None = None) -> int:
        """See `RequestBody.receive_into`."""
        try:
            return await self.body.receive_into(sink, limit)
        except RequestRefused as refusal:  # the body's framing is broken
            self._refuse(refusal)
            raise ClientGone(refusal.reason) from refusal
        except ClientGone:
            self._abandon()
            raise
