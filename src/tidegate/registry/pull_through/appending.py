"""Bytes that come in, on their way to a disk: written in a thread while more of them come."""

import asyncio
from collections.abc import Awaitable, Callable

GATHERED = 1 << 20
"""Bytes that come in while others are written; more wait."""


class Appending:
    """Bytes on their way to `append`, which is called with all that came since the last time."""

    def __init__(self, append: Callable[[bytearray], Awaitable[None]]) -> None:
        self._append = append
        self._gathered = bytearray()
        self._writing: asyncio.Future[None] | None = None
        self._error: BaseException | None = None

    async def add(self, chunk: bytes) -> None:
        """Take it; waits while much is waiting. Raises what `append` did."""
        self._gathered += chunk
        self._go_on()
        while self._writing is not None and len(self._gathered) >= GATHERED:
            await asyncio.wait((self._writing,))
        self.check()

    async def settled(self) -> None:
        """Return when nothing is being written, also when cancelled: a thread uses the file."""
        cancelled: asyncio.CancelledError | None = None
        while self._writing is not None:
            try:
                await asyncio.wait((self._writing,))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def _go_on(self) -> None:
        if self._writing is None and self._gathered and self._error is None:
            gathered, self._gathered = self._gathered, bytearray()
            self._writing = asyncio.ensure_future(self._append(gathered))
            self._writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        self._writing = None
        self._error = None if writing.cancelled() else writing.exception()
        self._go_on()
