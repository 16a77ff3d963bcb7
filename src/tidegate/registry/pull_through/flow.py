"""The part of a blob that one client is sent while the blob is still coming in.

    Reading   a client's place in a fill, from before the answer's head until its last byte
    Flow      the answer's body: what is there is sent by the kernel, for the rest it waits
    Passing   the same without a file: nothing is kept, and each client has a fetch of her own

The last byte of a blob is sent when its digest is verified. Otherwise the connection is broken
under the client, who then knows that she has not got it all.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from typing import Any

from tidegate.registry.pull_through.fill import Fill
from tidegate.registry.pull_through.orders import FillStopped, NoRoom, Order
from tidegate.registry.request import Request, Scope, Send
from tidegate.remote.errors import ContentInvalid, RemoteError, Unavailable
from tidegate.storage.errors import StorageError
from tidegate.storage.fills import Hashed
from tidegate.wire.errors import AnswerBroken, ClientGone, FileEnded
from tidegate.wire.send import send_file

PIECE = 256 * 1024
"""Bytes sent at once where there is no file."""


class Reading:
    """A client's place in a fill; the file stays readable to her whatever becomes of it."""

    def __init__(self, fill: Fill, request: Request) -> None:
        self.fill = fill
        self.fd = fill.join()
        self._request = request
        self._gone: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def beyond(self, position: int) -> int:
        """As `Fill.reached`, once there is something; ClientGone when the client leaves before."""
        while (reached := self.fill.reached(position)) is None:
            if self._gone is None:
                self._gone = asyncio.create_task(_disconnected(self._request))
                self._gone.add_done_callback(self._wake)
            elif self._gone.done():
                raise ClientGone("the client did not wait")
            self._waiter = asyncio.get_running_loop().create_future()
            await self.fill.told(self._waiter)
        return reached

    def _wake(self, _gone: "asyncio.Task[None]") -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self, *, content: bool = False) -> None:
        """Leave, `content` with what was read; may be repeated."""
        if self._gone is not None:
            self._gone.cancel()
            self._gone = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self.fill.leave(content=content)

    def __del__(self) -> None:
        # a request that is cancelled before its answer begins leaves nobody else to do it
        self.close()


class Flow:
    """`count` bytes of a fill's blob from `offset` on, as an answer's body."""

    def __init__(self, reading: Reading, offset: int, count: int) -> None:
        self._reading = reading
        self._offset = offset
        self.count = count

    async def write_to(self, scope: Scope, send: Send) -> None:
        """Send it; `AnswerBroken` when the rest will never come."""
        reading = self._reading
        position, end = self._offset, self._offset + self.count
        try:
            while position < end:
                until = min(await reading.beyond(position), end)
                count = until - position
                await send_file(scope, send, reading.fd, position, count, more=until < end)
                position = until
            reading.close(content=True)
        except NoRoom as error:
            await self._pass(error, position, send)
        except (RemoteError, StorageError, FillStopped, FileEnded) as error:
            raise AnswerBroken(str(error)) from error
        finally:
            reading.close()

    async def _pass(self, error: NoRoom, position: int, send: Send) -> None:
        """The file ended for want of room: go on without one."""
        passing = Passing(self._reading.fill.order, error.hashed)
        await passing.send(position, self._offset + self.count, send)


class Passing:
    """A blob that is passed on as it comes, from `begun` on, where its hash is known."""

    def __init__(self, order: Order, begun: Hashed | None) -> None:
        self._order = order
        begun = begun or Hashed(0, order.digest.hasher())
        self._offset = begun.offset
        self._running = begun.running.copy()
        self._pieces = self._verified()
        self._first: tuple[int, bytes] | None = None

    async def begin(self) -> None:
        """Have the first piece; RemoteError when there will be none."""
        self._first = await anext(self._pieces)

    async def send(self, position: int, end: int, send: Send) -> None:
        """Send what is from `position` to `end`; `AnswerBroken` when it does not come."""
        try:
            async with contextlib.aclosing(self._from_the_first()) as pieces:
                async for start, piece in pieces:
                    part = piece[max(position - start, 0) : max(end - start, 0)]
                    if part:
                        position += len(part)
                        await send(_body(part, more=position < end))
                    if position >= end:
                        return
        except RemoteError as error:
            raise AnswerBroken(str(error)) from error

    async def close(self) -> None:
        """Let go of the other registry, if nothing was sent."""
        await self._pieces.aclose()

    async def _from_the_first(self) -> AsyncGenerator[tuple[int, bytes], None]:
        async with contextlib.aclosing(self._pieces) as pieces:
            if self._first is not None:
                yield self._first
            async for each in pieces:
                yield each

    async def _verified(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """All pieces with their places; the last only once the digest is verified."""
        held = (self._offset, b"")
        async with contextlib.aclosing(self._resumed()) as chunks:
            async for chunk in chunks:
                start = self._offset
                self._offset += len(chunk)
                self._running.update(chunk)
                if held[1]:
                    yield held
                held = (start, chunk)
        if self._running.hexdigest() != self._order.digest.encoded:
            raise ContentInvalid(f"{self._order.host} gave bytes that are not {self._order.digest}")
        yield held

    async def _resumed(self) -> AsyncGenerator[bytes, None]:
        """The pieces, from wherever they were interrupted on."""
        size, tries, failures = self._order.size, 0, 0
        while self._offset < size:
            before = self._offset
            try:
                async with self._order.fetch(before, tries) as chunks:
                    async for chunk in chunks:
                        if self._offset + len(chunk) > size:
                            raise ContentInvalid(f"{self._order.host}: more than {size} bytes")
                        for start in range(0, len(chunk), PIECE):
                            yield bytes(chunk[start : start + PIECE])
                if self._offset < size:
                    raise Unavailable(f"{self._order.host}: ended at byte {self._offset}")
            except ContentInvalid:
                raise
            except RemoteError:
                tries += 1
                failures = 0 if self._offset > before else failures + 1
                if failures > 1 or not self._offset:
                    raise


class PassedOn:
    """`count` bytes of a blob from `offset` on, as the body of an answer that nothing keeps."""

    def __init__(self, passing: Passing, offset: int, count: int) -> None:
        self._passing = passing
        self._offset = offset
        self.count = count

    async def write_to(self, _scope: Scope, send: Send) -> None:
        """Send it; `AnswerBroken` when the rest will never come."""
        await self._passing.send(self._offset, self._offset + self.count, send)


async def _disconnected(request: Request) -> None:
    """Return when the client has gone; her request has no body that anybody wants."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _body(part: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}
