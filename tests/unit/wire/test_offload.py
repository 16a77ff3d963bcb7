"""A thread that works on a socket, and a task that does not wait for it to end."""

import asyncio
import contextlib
import os
import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tidegate.wire.offload import duplicate, poll_for, settle, writable


def test_a_cancelled_task_cuts_the_socket_and_waits_for_the_thread_that_uses_it() -> None:
    ours, theirs = socket.socketpair()
    working, ended = threading.Event(), threading.Event()

    def work() -> None:
        working.set()
        assert poll_for(ours, select.POLLIN, 10)
        assert ours.recv(10) == b""
        ended.set()

    async def cancel_twice() -> None:
        task = asyncio.create_task(settle(threads, work, ours))
        await asyncio.to_thread(working.wait)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    with ThreadPoolExecutor(1) as threads, ours, theirs:
        asyncio.run(cancel_twice())


def test_what_a_step_raises_reaches_its_caller() -> None:
    def work() -> None:
        raise OSError(28, "No space left on device")

    with ThreadPoolExecutor(1) as threads, pytest.raises(OSError, match="No space"):
        asyncio.run(settle(threads, work))


def test_a_duplicate_outlives_the_descriptor_it_was_made_from() -> None:
    ours, theirs = socket.socketpair()
    with theirs, duplicate(ours) as own:
        ours.close()
        with open(os.devnull, "rb") as other:  # takes the freed number, as a next client would
            assert own.fileno() != other.fileno()
            assert own.send(b"for us") == 6
        assert theirs.recv(10) == b"for us"


def test_a_peer_that_takes_nothing_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"x" * 65536)
        with pytest.raises(TimeoutError):
            asyncio.run(writable(ours, 0.05))
