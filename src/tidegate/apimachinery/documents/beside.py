"""Work on one object that is too much for the event loop, in a thread beside it.

What a request makes of an object costs up to 0.3 ms of the interpreter per element (server-side
apply), so that a megabyte of small elements is a dozen seconds. Knows no object. Invariant: no more
than `THREADS` such works run at a time and no more than `BYTES` wait, so that however much somebody
asks for, the loop and with it everybody else gets its share of the interpreter and the memory.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tidegate.apimachinery.errors import TooManyRequests

T = TypeVar("T")

IN_LOOP = 8 * 1024
"""Bytes of JSON that are worked on in the event loop; a thread costs some 0.1 ms."""

THREADS = 2
"""One more than one, so that a long work does not hold up all others that are not short."""

BYTES = 16 * 1024 * 1024
"""What may wait or be worked on, before others are told to come again: five of the largest."""


class Beside:
    """The threads, and what waits for them; of one process."""

    def __init__(self, threads: int = THREADS, size: int = BYTES) -> None:
        self._executor = ThreadPoolExecutor(threads, "apimachinery-beside")
        self._size = size
        self._taken = 0

    async def do(self, weight: int, work: Callable[..., T], *args: Any) -> T:
        """Do `work` on so many bytes in its turn, in a thread that sees the request's context."""
        if self._taken and self._taken + weight > self._size:
            raise TooManyRequests(
                "too many large objects are being worked on, please try again later", retry_after=1
            )
        self._taken += weight
        context, loop = contextvars.copy_context(), asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, context.run, work, *args)
        finally:
            self._taken -= weight


beside = Beside().do


async def weighed(weight: int, work: Callable[..., T], *args: Any) -> T:
    """Do `work` on so many bytes where it belongs: at once, or beside the event loop."""
    return await beside(weight, work, *args) if weight > IN_LOOP else work(*args)
