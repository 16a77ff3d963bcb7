"""Many HTTP/1.1 clients in one thread, as cheap as Python can make them.

Client and server share the cores of one machine, so what the client spends is missing from the
server. Therefore: edge-triggered epoll and one generator per client; bodies are sent with
sendfile, and received with MSG_TRUNC, by which the kernel drops them without a copy. Under TLS
only the first response header is decrypted; after it the client reads the five bytes that open
each record and drops the rest, so that encryption is paid for once, by the server.

This module knows no registry.
"""

import mmap
import os
import re
import select
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

Turns = Generator[bool, None, None]
"""A client at work: yields True when it could go on at once, False when it waits for its socket."""

_T = TypeVar("_T")
Waiting = Generator[bool, None, _T]

_AT_ONCE = 4 << 20  # bytes that one client may take before the others have their turn
_RECORD_OVERHEAD = 17  # RFC 8446 section 5.2: content type and authentication tag
_APPLICATION_RECORD = 23


class Refused(Exception):
    """The server answered something else than the row expects."""


@dataclass(frozen=True)
class Response:
    """The header of a response; its body, if any, is still to be received."""

    status: int
    header: bytes
    length: int

    def field(self, name: str) -> str:
        """The value of a header field, empty when it is missing."""
        found = re.search(
            rb"\r\n" + name.encode() + rb":[ \t]*([^\r]*)", self.header, re.IGNORECASE
        )
        return found[1].decode("latin-1") if found else ""


class Clients:
    """The event loop. `received` counts the bytes of bodies as they arrive."""

    def __init__(self) -> None:
        self.received = 0
        self._poll = select.epoll()
        self._working: dict[int, Turns] = {}
        self._ready: list[int] = []

    def add(self, connection: "Connection", turns: Turns) -> None:
        """Let `turns` run whenever the connection's socket is ready."""
        self._working[connection.fileno] = turns
        # the edge of a socket that can be written comes at once and starts the client
        events = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
        self._poll.register(connection.fileno, events)

    def step(self, seconds: float) -> bool:
        """Run the clients that can go on, waiting at most `seconds`; False when all have ended."""
        ready, self._ready = self._ready, []
        turn = {fd for fd, _ in self._poll.poll(0 if ready else seconds)}
        for fd in turn.union(ready):
            turns = self._working.get(fd)
            if turns is None:
                continue
            try:
                if next(turns):
                    self._ready.append(fd)
            except StopIteration:
                del self._working[fd]
        return bool(self._working)


class Connection:
    """One kept-alive connection of one client."""

    def __init__(
        self, clients: Clients, address: tuple[str, int], tls: ssl.SSLContext | None
    ) -> None:
        self._clients = clients
        raw = socket.create_connection(address)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = tls.wrap_socket(raw, server_hostname="localhost") if tls else None
        # wrap_socket takes the descriptor over; a second one reaches below the encryption
        self._raw = socket.socket(fileno=os.dup(self._tls.fileno())) if self._tls else raw
        self._raw.setblocking(False)
        if self._tls:
            self._tls.setblocking(False)
        self._scratch = memoryview(mmap.mmap(-1, _AT_ONCE))  # never touched, so never in memory
        self._header_size = 0  # under TLS, known from the first response
        self._rest = b""

    @property
    def fileno(self) -> int:
        return self._raw.fileno()

    @property
    def cipher(self) -> str:
        """The cipher suite that was agreed on."""
        agreed = self._tls.cipher() if self._tls else None
        return agreed[0] if agreed else ""

    def send(self, content: bytes) -> Turns:
        """Send all of `content`."""
        view = memoryview(content)
        while view:
            try:
                view = view[(self._tls or self._raw).send(view) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                yield False

    def send_file(self, source: int, count: int) -> Turns:
        """Send the first `count` bytes of the open file `source`."""
        offset = 0
        while offset < count:
            try:
                offset += os.sendfile(self._raw.fileno(), source, offset, count - offset)
            except BlockingIOError:
                yield False

    def response(self) -> Waiting[Response]:
        """Receive a response header."""
        header = self._rest
        while b"\r\n\r\n" not in header:
            try:
                part = (self._tls or self._raw).recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield False
                continue
            if not part:
                raise Refused(f"the connection ended within a response header: {header!r}")
            header += part
        header, _, self._rest = header.partition(b"\r\n\r\n")
        self._header_size = len(header) + 4
        found = re.search(rb"\r\ncontent-length:[ \t]*(\d+)", header, re.IGNORECASE)
        return Response(int(header[9:12]), header, int(found[1]) if found else 0)

    def body(self, length: int) -> Waiting[bytes]:
        """Receive a short body and keep it."""
        content = self._rest
        while len(content) < length:
            try:
                content += (self._tls or self._raw).recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield False
        self._rest = content[length:]
        return content[:length]

    def discard(self, length: int) -> Turns:
        """Receive a body and drop it."""
        length -= len(self._rest)
        self._clients.received += len(self._rest)
        self._rest = b""
        if self._tls is None:
            yield from self._discard(length, length)
            return
        if pending := self._tls.pending():  # the record whose beginning was the header
            self._clients.received += len(self._tls.recv(pending))
            length -= pending
        yield from self._discard_records(length)

    def discard_response(self, length: int) -> Turns:
        """Under TLS, a whole response like the first one, without decrypting it."""
        yield from self._discard_records(self._header_size + length)

    def _discard(self, count: int, counted: int) -> Turns:
        """Drop `count` bytes off the wire; `counted` of them, at most, are bytes of a body."""
        taken = 0
        while count:
            try:
                size = self._raw.recv_into(self._scratch, min(count, _AT_ONCE), socket.MSG_TRUNC)
            except BlockingIOError:
                yield False
                continue
            if not size:
                raise Refused(f"the connection ended {count} bytes early")
            count -= size
            taken += size
            self._clients.received += min(size, counted)
            counted -= min(size, counted)
            if taken >= _AT_ONCE:
                taken = 0
                yield True

    def _discard_records(self, length: int) -> Turns:
        """Drop encrypted records until `length` bytes of plain text went by.

        It has to come out even at the end of a record: a response header of another size than
        the first one's would show here.
        """
        taken = 0
        while length > 0:
            opening = b""
            while len(opening) < 5:
                try:
                    opening += self._raw.recv(5 - len(opening))
                except BlockingIOError:
                    yield False
            if opening[0] != _APPLICATION_RECORD:
                raise Refused(f"not a record of application content: {opening!r}")
            size = int.from_bytes(opening[3:])
            yield from self._discard(size, size - _RECORD_OVERHEAD)
            length -= size - _RECORD_OVERHEAD
            taken += size
            if taken >= _AT_ONCE:
                taken = 0
                yield True
        if length:
            raise Refused(f"a response was {-length} bytes longer than the first one")

    def close(self) -> None:
        if self._tls:
            self._tls.close()
        self._raw.close()
