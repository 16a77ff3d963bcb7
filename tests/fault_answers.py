"""How the fault proxy answers one request: as the registry did, as a test says, or in between."""

import asyncio
import http
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

from tests.faults import Answer, Ask, Corrupt, Cut, Drip, Fault, Hang, Pass
from tests.http_messages import chunk, head


class Answering:
    """The answer to one request; `whole` as long as the connection can be used after it."""

    def __init__(
        self,
        ask: Ask,
        writer: asyncio.StreamWriter,
        hang: Callable[[], Awaitable[None]],
        count: Callable[[str, int], None],
    ) -> None:
        self._ask, self._writer, self._hang, self._count = ask, writer, hang, count
        self._position = 0  # in the body
        self.whole = True

    async def own(self, answer: Answer) -> None:
        """What a test wrote."""
        headers = {name.lower(): value for name, value in answer.headers.items()}
        chunked = not isinstance(answer.body, bytes)
        if isinstance(answer.body, bytes):
            headers.setdefault("content-length", str(len(answer.body)))
            self.whole = headers["content-length"] == str(len(answer.body))
        pieces = [answer.body] if isinstance(answer.body, bytes) else answer.body
        await self._begin(answer.status, headers, chunked=chunked)
        if self._ask.method != "HEAD":
            for piece in pieces:
                await self._write(piece, chunked=chunked)
            await self._end(chunked=chunked)

    async def relay(
        self, status: int, headers: Mapping[str, str], body: AsyncIterator[bytes], fault: Fault
    ) -> None:
        """What the registry said, and what is to go wrong about it."""
        kept = {name: value for name, value in headers.items() if name != "connection"}
        if isinstance(fault, Pass):
            changed = {name.lower(): value for name, value in fault.headers.items()}
            self.whole = "content-length" not in changed
            kept = {name: value for name, value in {**kept, **changed}.items() if value is not None}
        empty = self._ask.method == "HEAD" or status in (204, 304)
        chunked = "content-length" not in kept and not empty
        await self._begin(status, kept, chunked=chunked)
        await self._stop_here(fault)
        async for piece in body:
            for part in self._parts(piece, fault):
                await self._write(part, chunked=chunked)
                await self._stop_here(fault)
        await self._end(chunked=chunked)

    def _parts(self, piece: bytes, fault: Fault) -> Iterator[bytes]:
        """A piece of the body as it is to go out, cut where the fault is to happen."""
        size = len(piece)
        if isinstance(fault, Drip):
            size = fault.piece
        elif isinstance(fault, Corrupt) and 0 <= (place := fault.at - self._position) < size:
            piece = piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]
        elif isinstance(fault, Cut | Hang) and fault.after is not None:
            size = fault.after - self._position if fault.after > self._position else size
        if size < len(piece) and not isinstance(fault, Drip):
            yield piece[:size]
            yield piece[size:]
            return
        for place in range(0, len(piece), size):
            yield piece[place : place + size]

    async def _stop_here(self, fault: Fault) -> None:
        if isinstance(fault, Cut) and fault.after == self._position:
            raise EOFError("cut by the test")
        if isinstance(fault, Hang) and fault.after == self._position:
            await self._hang()
        if isinstance(fault, Drip) and self._position:
            await asyncio.sleep(fault.pause)

    async def _begin(self, status: int, headers: Mapping[str, str], *, chunked: bool) -> None:
        phrase = http.HTTPStatus(status).phrase
        framing = {"transfer-encoding": "chunked"} if chunked else {}
        kept = {name: value for name, value in headers.items() if name != "transfer-encoding"}
        self._writer.write(head(f"HTTP/1.1 {status} {phrase}", {**kept, **framing}))
        await self._writer.drain()

    async def _write(self, data: bytes, *, chunked: bool) -> None:
        if data:
            self._writer.write(chunk(data) if chunked else data)
            await self._writer.drain()
            self._position += len(data)
            self._count(self._ask.kind, len(data))

    async def _end(self, *, chunked: bool) -> None:
        if chunked:
            self._writer.write(chunk(b""))
        await self._writer.drain()
