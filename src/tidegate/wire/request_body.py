"""A request's body as the application asks for it: in messages, or into a sink off the loop."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from tidegate.wire.errors import BodyStalled, BodyTooLarge, ClientGone
from tidegate.wire.framing import Framing
from tidegate.wire.link import Link
from tidegate.wire.offload import PATIENCE, settle
from tidegate.wire.receiving import BodyReceiving, Sink

HIGH_WATER = 64 * 1024  # decoded and not yet taken: reading pauses; gathered for a thread: enough
DRAINED = 64 * 1024  # left unread by the application: discarded, to keep the connection


class RequestBody:
    """What arrives is decoded at once, in the loop or in a thread, with the one `framing`."""

    __slots__ = ("_arrival", "_delivered", "_expects_continue", "_link", "_over", "_payload",
                 "_stalled", "framing")  # fmt: skip

    def __init__(self, link: Link, framing: Framing, *, expects_continue: bool) -> None:
        self.framing = framing
        self._link = link
        self._expects_continue = expects_continue
        self._payload = bytearray()  # arrived, not yet taken
        self._delivered = False  # the application has been told of the end
        self._over = False  # answered, or the client is gone
        self._stalled = False
        self._arrival: asyncio.Event | None = None

    def arrived(self, payload: memoryview) -> None:
        """More of the body, or its end."""
        self._payload += payload
        if len(self._payload) > HIGH_WATER:
            self._link.pause_reading()
        self._wake()

    def over(self) -> None:
        """Nobody needs the rest: the request is answered, or the client is gone."""
        self._over = True
        self._wake()

    def stall(self) -> None:
        """The client was waited for and sent nothing for too long."""
        self._stalled = True
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set()

    def drainable(self) -> bool:
        """Whether so little is unread that it can be discarded and the connection kept.

        A client that was not told to continue may send its body or not (RFC 9110 section 10.1.1):
        nobody could tell its first bytes from the next request.
        """
        expected = self.framing.expected
        if self._expects_continue or self._stalled or expected is None:
            return self.framing.done
        return expected <= DRAINED

    async def receive(self) -> dict[str, Any]:
        """ASGI's receive."""
        self._tell_to_continue()
        await self._arrivals(lambda: self.framing.done or bool(self._payload))
        if self._delivered:
            await self._arrivals(lambda: False)
        if self._over or not (self.framing.done or self._payload):
            return {"type": "http.disconnect"}
        body, self._payload = bytes(self._payload), bytearray()
        self._delivered = self.framing.done
        return {"type": "http.request", "body": body, "more_body": not self._delivered}

    async def receive_into(self, sink: Sink, limit: int | None = None) -> int:
        """Pass the rest of the body to `sink`, in threads; returns its length.

        Raises BodyTooLarge, BodyStalled, ClientGone (the sink then has all that arrived) and what
        `sink.write` raises; the application can still answer, except after ClientGone.
        """
        expected = self.framing.expected
        if limit is not None and expected is not None and expected > limit:
            raise BodyTooLarge(limit)
        self._tell_to_continue()
        receiving = BodyReceiving(self.framing, sink, limit)
        patience = PATIENCE
        while True:
            self._link.pause_reading()  # before taking what is there: nothing may overtake it
            early, self._payload = self._payload, bytearray()
            if early:
                await settle(self._link.threads, functools.partial(receiving.give, early))
            if self.framing.done:
                self._delivered = True
                self._link.follow(receiving.behind)
                return receiving.received
            if self._stalled:
                raise BodyStalled
            if self._over:
                raise ClientGone("the connection ended within the body")
            if await self._read_directly(receiving, patience):
                patience = await self._gather()

    async def _read_directly(self, receiving: BodyReceiving, patience: float) -> bool:
        async with self._link.borrowed() as sock:
            read = functools.partial(receiving.read, sock, patience)
            return await settle(self._link.threads, read, sock)

    async def _gather(self) -> float:
        """Let the loop collect from a slow sender; how patient a thread shall be with it then."""
        began = self._link.loop.time()
        await self._arrivals(lambda: self.framing.done or len(self._payload) >= HIGH_WATER)
        return PATIENCE if self._link.loop.time() - began < PATIENCE else 0.0

    def _tell_to_continue(self) -> None:
        if self._expects_continue and not self._over:
            self._expects_continue = False
            self._link.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _arrivals(self, enough: Callable[[], bool]) -> None:
        """Read until `enough()`, the end, or too long a silence."""
        if self._arrival is None:
            self._arrival = asyncio.Event()
        while not (enough() or self._over or self._stalled):
            self._arrival.clear()
            if not self.framing.done:
                self._link.resume_reading()
                self._link.expect_body(waiting=True)
            await self._arrival.wait()
        self._link.expect_body(waiting=False)
