"""TLS on a socket of our own, which a thread can borrow to encrypt and decrypt a whole transfer.

uvloop's TLS keeps its buffers to itself: each byte passes through the loop, with two more copies.
This transport drives an `SSLSocket` without blocking; what is small stays in the loop. It knows no
HTTP. The invariant: the loop does not touch the `SSLSocket` while it is borrowed.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tidegate.wire.limits import Limits
from tidegate.wire.offload import BLOCKED, cut, duplicate

logger = logging.getLogger("tidegate.wire")

RECORD = 16 * 1024  # the longest plaintext of a record: one read leaves nothing inside OpenSSL
READS_PER_TURN = 8
HIGH_WATER = 64 * 1024  # bytes waiting to be written that pause the protocol


class TlsTransport(asyncio.Transport):
    """The server's side of a TLS connection; tells `protocol` once the handshake is done."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        context: ssl.SSLContext,
        protocol: asyncio.Protocol,
        on_settled: Callable[[], None],
    ) -> None:
        """`on_settled` is called once, when the handshake has succeeded or failed."""
        super().__init__()
        self._loop = loop
        with contextlib.ExitStack() as failure:
            failure.callback(sock.close)
            self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            failure.pop_all()
        self._fd = self._sock.fileno()
        self._context = context
        self._protocol = protocol
        self._on_settled = on_settled
        self._connected = False
        self._reading = True
        self._borrowed = False
        self._closing = self._ended = self._eof = self._said_goodbye = False
        self._unwritten: deque[memoryview] = deque()
        self._high_water = HIGH_WATER
        self._write_paused = False
        loop.add_reader(self._fd, self._shake)

    def _shake(self) -> None:
        self._loop.remove_writer(self._fd)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._loop.add_writer(self._fd, self._shake)
            return
        except OSError:
            self.abort()
            return
        self._connected = True
        self._on_settled()
        self._protocol.connection_made(self)
        self._listen()

    # Reading.

    def _listen(self) -> None:
        if self._reading and not self._borrowed and not self._closing:
            self._loop.add_reader(self._fd, self._read)
            self._loop.call_soon(self._read)  # a borrower may have left bytes inside OpenSSL

    def _read(self) -> None:
        for _ in range(READS_PER_TURN):
            if not self._reading or self._borrowed or self._closing:
                return
            try:
                # After our goodbye what comes is not decrypted any more, only taken off the socket.
                receive = socket.socket.recv if self._said_goodbye else ssl.SSLSocket.recv
                data = receive(self._sock, RECORD)
            except BLOCKED:
                return
            except OSError as error:
                self._end(error)
                return
            if not data:
                self._protocol.eof_received()
                self.close()
                return
            self._protocol.data_received(data)

    def pause_reading(self) -> None:
        self._reading = False
        if not self._ended:
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._listen()

    def is_reading(self) -> bool:
        return self._reading

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._ended or self._eof or not data:
            return
        self._unwritten.append(memoryview(bytes(data)))  # a blocked record must not change
        if len(self._unwritten) == 1 and not self._borrowed:
            self._flush()
        if self._unwritten and not self._write_paused:
            self._pause_if_full()

    def _flush(self) -> None:
        try:
            while self._unwritten:
                first = self._unwritten[0]
                sent = self._sock.send(first)
                if sent < len(first):
                    self._unwritten[0] = first[sent:]
                else:
                    self._unwritten.popleft()
        except BLOCKED:
            self._loop.add_writer(self._fd, self._flush)
            return
        except OSError as error:
            self._end(error)
            return
        self._loop.remove_writer(self._fd)
        if self._write_paused:
            self._write_paused = False
            self._protocol.resume_writing()
        if self._eof:
            self._say_goodbye()
        if self._closing:
            self._end(None)

    def _pause_if_full(self) -> None:
        if self.get_write_buffer_size() > self._high_water:
            self._write_paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._unwritten))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002
        """Above `high` the protocol is paused, until all is written (`low` is not looked at)."""
        self._high_water = HIGH_WATER if high is None else high
        if not self._write_paused:
            self._pause_if_full()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say goodbye once all is written. What still comes is passed on as it is, encrypted."""
        self._eof = True
        if not self._unwritten:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self._said_goodbye = True
        with contextlib.suppress(OSError, ValueError):
            self._sock.unwrap()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_WR)

    # Lending.

    def borrow(self) -> socket.socket:
        """The socket, for one thread, until `give_back`. All must be written before."""
        self._borrowed = True
        self._loop.remove_reader(self._fd)
        return self._sock

    def give_back(self) -> None:
        self._borrowed = False
        if self._unwritten:
            self._flush()
        elif self._closing:
            self._end(None)
        else:
            self._listen()

    # Closing.

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.remove_reader(self._fd)
            if not self._unwritten and not self._borrowed:
                self._end(None)

    def abort(self) -> None:
        self._closing = True
        if self._borrowed:
            cut(self._sock)
        else:
            self._end(ConnectionAbortedError())

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._closing = self._ended = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._unwritten.clear()
        if error is None and not self._said_goodbye:
            self._say_goodbye()
        self._sock.close()
        if self._connected:
            self._loop.call_soon(self._protocol.connection_lost, error)
        else:
            self._on_settled()

    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        with contextlib.suppress(OSError):
            match name:
                case "socket" | "ssl_object":
                    return self._sock
                case "sslcontext":
                    return self._context
                case "peername":
                    return self._sock.getpeername()
                case "sockname":
                    return self._sock.getsockname()
        return default

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol


class Handshaking(Protocol):
    """Where connections are counted and their deadlines looked at."""

    limits: Limits
    open: set[Any]

    def add(self, connection: Any, loop: asyncio.AbstractEventLoop) -> None: ...
    def crammed(self) -> bool: ...


class TlsAcceptor(asyncio.Protocol):
    """Takes a socket from the plain transport that accepted it and starts TLS on it.

    Counted among the open connections, with a deadline, until the handshake has ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        protocol: asyncio.Protocol,
        handshaking: "Handshaking",
    ) -> None:
        self._loop = loop
        self._context = context
        self._protocol = protocol
        self._handshaking = handshaking
        self.deadline = loop.time() + handshaking.limits.headers_timeout
        self._transport: TlsTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            if not self._handshaking.crammed():
                sock = duplicate(transport.get_extra_info("socket"))
                self._transport = TlsTransport(
                    self._loop, sock, self._context, self._protocol, self._settled
                )
                self._handshaking.add(self, self._loop)
        except OSError:  # gone already, or no descriptor left
            logger.debug("a connection could not be taken over", exc_info=True)
        finally:
            transport.abort()  # type: ignore[attr-defined]  # asyncio calls this with a Transport

    def _settled(self) -> None:
        self._handshaking.open.discard(self)

    def expire(self, now: float) -> None:  # noqa: ARG002  # the sweep's call
        self.shutdown()

    def shutdown(self) -> None:
        if self._transport is not None:
            self._transport.abort()
