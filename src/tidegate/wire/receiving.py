"""A request's body on its way into a sink, in steps for a thread (`offload.py`)."""

import select
import socket
from typing import Protocol

from tidegate.wire.errors import BodyTooLarge, ClientGone
from tidegate.wire.framing import Framing
from tidegate.wire.offload import BLOCKED, SHARE, own_buffer, poll_for

LAST_CHUNK = b"0\r\n\r\n"
"""How a chunked body without trailers ends. Payload may end so too: then decoding is only early."""


class Sink(Protocol):
    """Where a body's bytes go."""

    def write(self, buffer: memoryview) -> None:
        """Take all of `buffer`, which is reused afterwards. May block: it is called in a thread.

        What it raises reaches whoever receives the body.
        """


class BodyReceiving:
    """The rest of a body, read from the socket itself; called until the framing is done."""

    def __init__(self, framing: Framing, sink: Sink, limit: int | None) -> None:
        self._framing = framing
        self._sink = sink
        self._limit = limit
        self.received = 0
        self.behind = b""
        """What was read behind the body's end: the beginning of the next request."""

    def give(self, payload: bytes | bytearray | memoryview) -> None:
        """Pass payload to the sink. Raises BodyTooLarge before any byte beyond the limit."""
        self.received += len(payload)
        if self._limit is not None and self.received > self._limit:
            raise BodyTooLarge(self._limit)
        if payload:
            self._sink.write(memoryview(payload))

    def read(self, sock: socket.socket, patience: float) -> bool:
        """Read on; True when the peer must send first.

        Raises what the sink raises, ClientGone (after giving all that arrived), RequestRefused and
        BodyTooLarge.
        """
        share = SHARE
        while share > 0:
            buffer = own_buffer()[: self._framing.expected]
            filled, blocked, ended = _fill(sock, buffer, patience)
            payload, used = self._framing.decode(buffer[:filled])
            self.behind = bytes(buffer[used:filled])
            self.give(payload)
            if self._framing.done:
                return False
            if ended:
                raise ClientGone("the connection ended within the body")
            if blocked:
                return True
            share -= filled
        return False


def _fill(sock: socket.socket, buffer: memoryview, patience: float) -> tuple[int, bool, bool]:
    """How much was read, whether the peer made us wait, whether it has ended."""
    filled = 0
    while filled < len(buffer):
        try:
            count = sock.recv_into(buffer[filled:])
        except BLOCKED:
            if buffer[:filled][-len(LAST_CHUNK) :] == LAST_CHUNK:
                return filled, False, False  # probably the end: waiting would cost the patience
            if not poll_for(sock, select.POLLIN, patience):
                return filled, True, False
        except OSError:
            return filled, False, True
        else:
            if not count:
                return filled, False, True
            filled += count
    return filled, False, False
