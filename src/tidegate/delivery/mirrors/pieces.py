"""Bytes on their way, in pieces that are worth a visit to a thread."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

ENOUGH = 1 << 20
"""Bytes: a thread costs as much as writing and hashing some ten thousand of them."""


async def gathered(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of about `ENOUGH`."""
    waiting: list[bytes] = []
    size = 0
    async with aclosing(pieces):
        async for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= ENOUGH:
                yield b"".join(waiting)
                waiting, size = [], 0
    if size:
        yield b"".join(waiting)
