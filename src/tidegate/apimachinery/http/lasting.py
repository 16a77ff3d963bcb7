"""Answers that go on: each ends when it is done, when its client goes, or when the server stops.

One task writes, another waits for the client to go away. Whatever ends the answer, nothing of it
keeps running. The head of the answer has been sent before.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tidegate.apimachinery.http.request import Receive, Send
from tidegate.wire.errors import ClientGone

ENDING = 2.0
"""Seconds for what was sent to leave when an answer ends."""


class LastingAnswers:
    """Those of a process, so that a server that stops can end them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._ended = False

    def end(self) -> None:
        """End every answer, cleanly; later ones end as they begin."""
        self._ended = True
        for each in tuple(self._running):
            each.cancel()

    async def run(self, writes: Coroutine[Any, Any, None], receive: Receive, send: Send) -> None:
        """Let `writes` write the body, as long as it lasts, then complete it.

        What `writes` raises is its own to tell. `ClientGone` where what was written is not read.
        """
        writing = asyncio.create_task(writes)
        leaving = asyncio.create_task(_left(receive))
        self._running.add(writing)
        if self._ended:
            writing.cancel()
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            gone = leaving.done()
        finally:
            self._running.discard(writing)
            writing.cancel()
            leaving.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
        if not gone:
            await _complete(send)


async def _left(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _complete(send: Send) -> None:
    """End the body; a client that does not read what was sent before is cut off."""
    try:
        async with asyncio.timeout(ENDING):
            await send({"type": "http.response.body", "body": b""})
    except TimeoutError as error:
        raise ClientGone("the client does not read its answer") from error
