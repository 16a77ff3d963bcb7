"""A blob of another registry, as a test has it come: in pieces, broken off, wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from tidegate.oci.digest import Digest
from tidegate.registry.pull_through.orders import Order
from tidegate.remote.errors import RemoteError, Unavailable

PIECE = 64 * 1024

T = TypeVar("T")


@dataclass
class OtherRegistry:
    """Gives `content`; `sent` counts its bytes, `asked` the offsets and tries of each request.

    It waits at `gate`, an offset, until that is raised; breaks off once at each of `cuts`.
    """

    content: bytes
    claimed: bytes | None = None
    cuts: list[int] = field(default_factory=list)
    failure: RemoteError | None = None
    gate: int = 1 << 60
    sent: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def order(self, *, keep: bool = True) -> Order:
        """An order for the blob."""
        told = self.content if self.claimed is None else self.claimed
        return Order(Digest.of(told), len(told), "quay.io", self.fetch, keep)

    def open_to(self, offset: int) -> None:
        """Let bytes up to there go."""
        self.gate = offset
        self.moved.set()

    @asynccontextmanager
    async def fetch(self, offset: int, tries: int) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append((offset, tries))
        if self.failure is not None:
            raise self.failure
        yield self._pieces(offset)

    async def _pieces(self, offset: int) -> AsyncIterator[bytes]:
        while offset < len(self.content):
            while offset >= self.gate:
                self.moved.clear()
                await self.moved.wait()
            end = min(offset + PIECE, len(self.content), max(self.gate, offset))
            cut = min((each for each in self.cuts if each > offset), default=end)
            piece = self.content[offset : min(end, cut)]
            self.sent += len(piece)
            yield piece
            offset += len(piece)
            if offset in self.cuts:
                self.cuts.remove(offset)
                raise Unavailable("the connection broke")


async def eventually(condition: Callable[[], T]) -> T:
    """What `condition` gives once that is true."""
    async with asyncio.timeout(20):
        while not (found := condition()):  # noqa: ASYNC110  what it waits for has no event
            await asyncio.sleep(0.005)
    return found
