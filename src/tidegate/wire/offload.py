"""Work on a socket in a thread, for as long as bytes flow.

A step runs in a pool thread and returns when it is done, when it has had its share, or when the
peer would make it wait longer than its patience: then the loop waits instead, so that any number
of slow peers hold no thread. The invariant: a descriptor that a thread uses is not closed before
the thread has ended, whatever is cancelled.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 0.020  # seconds; a reader on a fast network is back within 1 ms
SHARE = 128 * 1024 * 1024  # bytes moved before transfers that wait for a thread get their turn
BUFFER = 256 * 1024  # bytes, one per pool thread

BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

PLAIN_THREADS = ThreadPoolExecutor(8, "plain-asgi")
"""For servers without our extensions; threads start when one is first needed."""

_own = threading.local()


def own_buffer() -> memoryview:
    """This thread's buffer, reused by each step that runs in it."""
    if not hasattr(_own, "buffer"):
        _own.buffer = memoryview(bytearray(BUFFER))
    view: memoryview = _own.buffer
    return view


async def settle(threads: Executor, work: Callable[[], T], sock: socket.socket | None = None) -> T:
    """`work()`, run in a thread; a cancelled caller cuts `sock`, if it is used there, and waits."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    future = threads.submit(work)
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    cancelled: asyncio.CancelledError | None = None
    while not ended.is_set():
        try:
            await ended.wait()
        except asyncio.CancelledError as error:
            cancelled = error
            if sock is not None:
                cut(sock)
    if cancelled is not None:
        raise cancelled
    return future.result()


def duplicate(transport_socket: socket.socket) -> socket.socket:
    """The same connection under a descriptor of our own.

    The transport may close its descriptor at any time, and the number may then name another
    client's connection.
    """
    own = socket.socket(
        transport_socket.family,
        transport_socket.type,
        transport_socket.proto,
        fileno=os.dup(transport_socket.fileno()),
    )
    own.setblocking(False)
    return own


def cut(sock: socket.socket) -> None:
    """End the connection under whoever uses it: their next call fails, their poll wakes.

    The plain socket's method, for an `SSLSocket`'s own would turn its later sends into clear text.
    """
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def reset_on_close(transport_socket: socket.socket) -> None:
    """Let the connection's end be a reset, so that the kernel drops what the peer did not take.

    Else it keeps some megabytes for minutes for each peer that stopped reading.
    """
    with contextlib.suppress(OSError), duplicate(transport_socket) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def poll_for(sock: socket.socket, event: int, patience: float) -> bool:
    """Whether `sock` gets ready within `patience` seconds. For threads."""
    if not patience:
        return False
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(patience * 1000))


def unsent(sock: socket.socket) -> int:
    """Bytes the kernel holds that the peer has not acknowledged; constant where it cannot tell."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
    except OSError:
        return 0
    return int(count)


async def writable(sock: socket.socket, stall_timeout: float) -> None:
    """Wait in the loop until the peer has made room. TimeoutError when it takes nothing at all.

    The kernel reports room only once a third of its buffer is free, which a slow but living
    reader may not reach in time: it is told from a stalled one by the queue getting shorter.
    """
    loop = asyncio.get_running_loop()
    room = asyncio.Event()
    descriptor = sock.fileno()
    loop.add_writer(descriptor, room.set)
    try:
        before = -1
        while not room.is_set():
            after = unsent(sock)
            if after == before:
                raise TimeoutError
            before = after
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(room.wait(), stall_timeout)
    finally:
        loop.remove_writer(descriptor)
