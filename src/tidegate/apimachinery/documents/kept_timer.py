"""A timeout for somebody who waits again and again, and is hardly ever kept waiting so long.

`asyncio.timeout` sets a timer for each wait and takes it back: of a change for which a thousand
watchers wait, that was a fifth of what it costs to tell them. Here the timer stays set, and when it
rings, it looks how much is left of the wait that there is then. Invariant: a wait ends by itself no
sooner than it should, and one that is cancelled from outside stays cancelled.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class KeptTimer:
    """For one wait at a time; `close` it in the end."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._rings = 0.0
        self._due = 0.0
        self._waiting: asyncio.Task[Any] | None = None
        self._expired = False

    async def within(self, seconds: float, coming: Coroutine[Any, Any, T]) -> T:
        """What is coming; `TimeoutError` when it took longer, and was cancelled."""
        loop = asyncio.get_running_loop()
        waiting = asyncio.current_task(loop)
        if waiting is None:
            raise RuntimeError("only a task can wait")
        self._due, self._waiting, self._expired = loop.time() + seconds, waiting, False
        if self._timer is None or self._due < self._rings:
            self._set(loop)
        cancelled = waiting.cancelling()
        try:
            return await coming
        except asyncio.CancelledError as error:
            if self._expired and waiting.cancelling() - 1 <= cancelled:
                raise TimeoutError from error
            raise
        finally:
            self._waiting = None
            if self._expired:
                waiting.uncancel()

    def close(self) -> None:
        """Take the timer back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._rings = self._due
        self._timer = loop.call_at(self._due, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if loop.time() < self._due:
            self._set(loop)
        else:
            self._expired = True
            self._waiting.cancel()
