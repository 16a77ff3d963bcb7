"""One request and its answer: the application's call, and what is made good after it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tidegate.wire.answer import ZERO_COPY, Answer
from tidegate.wire.errors import ClientGone, FileEnded, RequestRefused
from tidegate.wire.framing import Framing
from tidegate.wire.link import Link
from tidegate.wire.request_body import RequestBody

Application = Callable[[Any, Any, Any], Awaitable[None]]

RECEIVE_INTO = "tidegate.receive_into"

logger = logging.getLogger("tidegate.wire")


class Carrier(Link, Protocol):
    """Implemented by `connection.Connection`: told how the exchange ends."""

    async def drained(self) -> None:
        """Wait while the client is behind with reading."""

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

    def _fail(self) -> None:
        self._refuse(RequestRefused(500, "Internal Server Error"))

    # The connection may be with the next request by now: only an open exchange may end it.

    def _refuse(self, refusal: RequestRefused) -> None:
        if not self.answer.complete and not self.gone:
            self._carrier.refuse(refusal)

    def _abandon(self) -> None:
        if not self.answer.complete and not self.gone:
            self._carrier.abort()

    def lost(self) -> None:
        """The client is gone, or the connection was given up."""
        self.gone = True
        self.body.over()

    async def send(self, message: dict[str, Any]) -> None:
        await self._carrier.drained()
        if self.gone:
            raise ClientGone("the connection is closed")
        if not self.body.drainable():
            self.answer.persistent = False
        try:
            await self.answer.send(message)
        except (ClientGone, FileEnded):
            self._abandon()
            raise
        if self.answer.complete:
            self.body.over()
            self._carrier.finished()

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
