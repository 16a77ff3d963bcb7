"""A connection: HTTP/1.1 between a transport and the application, within limits.

    HEAD -> EXCHANGE -> HEAD ...         the next request of a kept connection
                     -> DRAIN -> HEAD    a little of the body was left unread: discarded first
                     -> LINGER           refused or answered early: discard until it was read
                     -> CLOSING          all is said; what is written still leaves

Requests are taken strictly one after the other: bytes that come early wait, with reading paused.
uvicorn keeps what it does well (processes, signals, lifespan, listening sockets). This class stands
in for its HTTP protocol, and needs of it what any `http=` class is given: the loaded application,
the sets of open connections and running tasks, default header fields, and a call of `shutdown`.
"""

import asyncio
import contextlib
import contextvars
import enum
from collections.abc import AsyncIterator
from math import inf
from socket import socket
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tidegate.wire.errors import ClientGone, RequestRefused
from tidegate.wire.exchange import Exchange
from tidegate.wire.head import RequestHead
from tidegate.wire.listener import Listener
from tidegate.wire.offload import cut, duplicate, reset_on_close, unsent
from tidegate.wire.response import render_refusal
from tidegate.wire.tls import TlsTransport

ASGI = {"version": "3.0", "spec_version": "2.4"}  # 2.4: send raises OSError once the client is gone


class Phase(enum.Enum):
    HEAD = enum.auto()
    EXCHANGE = enum.auto()
    DRAIN = enum.auto()
    LINGER = enum.auto()
    CLOSING = enum.auto()


class Connection(asyncio.Protocol):
    """One client's connection."""

    transport: asyncio.Transport

    def __init__(
        self,
        listener: Listener,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._listener = listener
        self.limits = listener.limits
        self.threads = listener.threads
        self.loop = loop
        self._app = config.loaded_app
        self._root_path = config.root_path
        self._server_state = server_state
        self._app_state = app_state
        self._context = contextvars.copy_context()  # so that no request sees another's variables
        self._phase = Phase.HEAD
        self._head = RequestHead(self.limits)
        self._exchange: Exchange | None = None
        self._early = b""  # came behind the current request
        self._reading = True
        self.behind: asyncio.Event | None = None
        self._borrowed: socket | None = None
        self._unsent = 0
        self.deadline = inf

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream
        self.transport = transport
        self._server = _address(transport.get_extra_info("sockname"))
        self._client = _address(transport.get_extra_info("peername"))
        self._scheme = "https" if isinstance(transport, TlsTransport) else "http"
        self.deadline = self.loop.time() + self.limits.headers_timeout
        self._listener.add(self, self.loop)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # it lists its own
        if self._listener.crammed():
            transport.abort()
        elif self._listener.full():
            self.refuse(RequestRefused(503, "too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._phase = Phase.CLOSING
        self._listener.open.discard(self)
        self._server_state.connections.discard(self)
        self.resume_writing()
        if self._borrowed is not None:
            cut(self._borrowed)
        if self._exchange is not None:
            self._exchange.lost()

    def data_received(self, data: bytes) -> None:
        try:
            if self._phase is Phase.HEAD:
                self._read_head(data)
            elif self._phase is Phase.EXCHANGE or self._phase is Phase.DRAIN:
                self._read_body(data)
        except RequestRefused as refusal:
            self.refuse(refusal)

    def pause_writing(self) -> None:
        self.behind = asyncio.Event()
        self._unsent = self._unsent_bytes()
        self.deadline = self.loop.time() + self.limits.stall_timeout

    def resume_writing(self) -> None:
        if self.behind is not None:
            self.behind.set()
            self.behind = None
            if self._phase is Phase.EXCHANGE:
                self.deadline = inf

    # Requests.

    def _read_head(self, data: bytes) -> None:
        head = self._head
        if not head.begun:
            self.deadline = self.loop.time() + self.limits.headers_timeout
        behind = head.feed(data)
        if head.complete:
            self._begin(head)
            if behind:
                self._read_body(behind)

    def _begin(self, head: RequestHead) -> None:
        framing = head.framing()
        path, raw_path, query = head.location()
        scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": head.http_version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "root_path": self._root_path,
            "method": head.method,
            "path": self._root_path + path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": head.headers,
            "state": self._app_state.copy(),
        }
        self._head = RequestHead(self.limits)
        self._phase = Phase.EXCHANGE
        self.deadline = inf
        self._exchange = Exchange(
            self,
            scope,
            framing,
            persistent=head.persistent,
            expects_continue=not framing.done and head.expects_continue(),
        )
        task = self.loop.create_task(self._exchange.run(self._app), context=self._context.copy())
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def _read_body(self, data: bytes) -> None:
        body = self._current().body
        if body.framing.done:
            self.follow(data)
            return
        framing = body.framing
        payload, used = framing.decode(memoryview(data))
        if self._phase is Phase.EXCHANGE:
            if self.deadline != inf:
                self.expect_body(waiting=True)
            body.arrived(payload)
        if framing.done:
            self.follow(data[used:])
            if self._phase is Phase.DRAIN:
                self._await_request()

    def follow(self, behind: bytes) -> None:
        """The body has ended: keep what is behind it, or listen to notice a client that leaves."""
        self._early += behind
        if self._early:
            self.pause_reading()
        else:
            self.resume_reading()

    def expect_body(self, *, waiting: bool) -> None:
        if self._phase is Phase.EXCHANGE:
            self.deadline = self.loop.time() + self.limits.stall_timeout if waiting else inf

    def finished(self) -> None:
        """The answer is complete."""
        self._server_state.total_requests += 1
        exchange = self._current()
        if self._phase is not Phase.EXCHANGE:
            return
        if exchange.answer.persistent:
            if exchange.body.framing.done:
                self._await_request()
            else:
                self._phase = Phase.DRAIN
                self.deadline = self.loop.time() + self.limits.stall_timeout
                self.resume_reading()
        elif exchange.body.framing.done and not self._early:
            self._close()
        else:
            self._linger()

    def _await_request(self) -> None:
        self._phase = Phase.HEAD
        self._exchange = None
        self.deadline = self.loop.time() + self.limits.idle_timeout
        behind, self._early = self._early, b""
        self.resume_reading()
        if behind:
            self.data_received(behind)

    def _current(self) -> Exchange:
        if self._exchange is None:
            raise RuntimeError(f"no exchange in {self._phase}")
        return self._exchange

    # Endings.

    def refuse(self, refusal: RequestRefused) -> None:
        """Answer in the application's place and close. A broken answer is only closed."""
        exchange = self._exchange
        if self._phase in (Phase.LINGER, Phase.CLOSING):
            return
        if exchange is not None and exchange.answer.started:
            self.abort()
        else:
            self.write(render_refusal(refusal.status, refusal.reason))
            self._linger()
        if exchange is not None:
            exchange.lost()

    def abort(self) -> None:
        self._phase = Phase.CLOSING
        self.transport.abort()

    def _linger(self) -> None:
        """Close our half and discard what comes, for closing at once could erase the answer."""
        self._phase = Phase.LINGER
        self.deadline = self.loop.time() + self.limits.linger_timeout
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.resume_reading()

    def _close(self) -> None:
        self._phase = Phase.CLOSING
        self._unsent = self._unsent_bytes()
        self.deadline = self.loop.time() + self.limits.stall_timeout
        self.transport.close()

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        if self._phase is Phase.HEAD and self.behind is None:
            if self._head.begun:
                self.refuse(RequestRefused(408, "request header too slow"))
            else:
                self._close()
        elif self._phase is Phase.EXCHANGE and self.behind is None:
            self.deadline = inf
            self._current().body.stall()
        elif self._phase in (Phase.DRAIN, Phase.LINGER) or self._unsent_bytes() == self._unsent:
            reset_on_close(self.transport.get_extra_info("socket"))
            self.abort()
        else:  # a slow reader, but it reads
            self._unsent = self._unsent_bytes()
            self.deadline = now + self.limits.stall_timeout

    def shutdown(self) -> None:
        """uvicorn is ending: what runs may end, nothing new begins."""
        if self._phase is Phase.EXCHANGE:
            self._current().answer.persistent = False
        elif self._phase is Phase.LINGER:
            self.deadline = min(self.deadline, self.loop.time() + 1.0)
        else:
            self._close()

    # What an exchange calls.

    def preset(self) -> bytes:
        return self._listener.preset(self._server_state.default_headers)

    def write(self, data: bytes) -> None:
        if self._phase is not Phase.CLOSING and self._phase is not Phase.LINGER:
            self.transport.write(data)

    def pause_reading(self) -> None:
        if self._reading and self._phase is not Phase.LINGER and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[socket]:
        """The socket itself, for one thread, with nothing left in the transport to be written."""
        transport = self.transport
        if transport.get_write_buffer_size() and not transport.is_closing():
            transport.set_write_buffer_limits(0)  # behind until the last byte has left
            try:
                if self.behind is not None:
                    await self.behind.wait()
            finally:
                if not transport.is_closing():
                    transport.set_write_buffer_limits()
        if transport.is_closing():
            raise ClientGone("the connection is closed")
        if isinstance(transport, TlsTransport):
            own, release = transport.borrow(), transport.give_back
        else:
            own = duplicate(transport.get_extra_info("socket"))
            release = own.close
        self._borrowed = own
        try:
            yield own
        finally:
            self._borrowed = None
            release()

    def _unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size() + unsent(
            self.transport.get_extra_info("socket")
        )


def _address(name: Any) -> tuple[str, int] | tuple[str, None] | None:
    """As ASGI wants it: host and port, or the path of a Unix socket."""
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    return (name, None) if isinstance(name, str) and name else None
