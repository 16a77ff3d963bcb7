"""One process's part in bringing in one blob of another registry.

    it holds the file        fetches, from where the file ends, through every interruption
    another process does     looks how far that is, and takes over when it is gone

Clients read the file as it grows. A fill ends when the blob is whole, when no source gives it, when
there is no room, or when its last reader leaves before half of it is here. Knows no repository and
no registry.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from tidegate.registry.pull_through.appending import Appending
from tidegate.registry.pull_through.orders import (
    Chunks,
    FillStopped,
    NoRoom,
    Order,
    RoomForCopies,
)
from tidegate.remote.errors import ContentInvalid, RateLimited, RemoteError, Unavailable
from tidegate.storage.cache import BlobCache
from tidegate.storage.errors import StorageError, StorageFull
from tidegate.storage.fills import FillFile, State
from tidegate.wire.offload import settle

_LOG = logging.getLogger(__name__)

TELL = 0.010
"""Seconds between two times that readers are told of more bytes: each time all of them wake."""

POLL = 0.030
"""Seconds between looks at a fill of another process."""

LINGER = 2.0
"""Seconds for which a blob that is whole is there to be joined: who looked for a copy of it just
before it was kept, or where it is not, comes then."""

PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the next try after failures in a row which brought nothing."""

LONGEST_PAUSE = 30.0
"""Seconds that a registry may ask us to wait in the middle of a blob."""

ROOM = 64 * 1024 * 1024
"""Bytes for which room is made at once: who only says that a blob is large has made nobody go."""


@dataclass(eq=False)
class Fill:
    """One process's part in bringing in one blob. `admitted` may read what it brings."""

    order: Order
    file: FillFile
    room: RoomForCopies
    cache: BlobCache
    ended: Callable[["Fill"], Awaitable[None]]
    """Told when the blob is whole."""
    over: Callable[["Fill"], None]
    """Told when nobody can join any more, whatever became of it."""
    tries: int = 0
    """How often it went wrong so far, in earlier fills too."""
    admitted: set[str] = field(default_factory=set)
    readers: int = 0
    available: int = 0
    whole: bool = False
    kept: bool = False
    stopping: bool = False
    _begun: int = 0  # bytes that were here before this process
    _room_made: int = 0  # for so many more bytes
    brought: bool = False
    """Whether this process fetched some of it."""
    error: Exception | None = None
    _waiting: set[asyncio.Future[None]] = field(default_factory=set)
    _telling: asyncio.TimerHandle | None = None
    _task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody can begin to read it any more."""
        return self.error is not None or self.stopping or self.file.fd < 0

    def reached(self, position: int) -> int | None:
        """Up to where bytes may be sent, if any at `position` may; raises why none ever may."""
        if self.whole:
            return self.order.size
        if self.available > position:
            return self.available
        if self.error is not None:
            raise self.error
        return None

    async def told(self, waiter: "asyncio.Future[None]") -> None:
        """Return when there may be more, or when somebody else ends the wait."""
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def join(self) -> int:
        """One reader more, the first of whom sets it going: a descriptor of the file, hers."""
        fd = os.dup(self.file.fd)
        self.readers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return fd

    def leave(self, *, content: bool) -> None:
        """One reader less. The last one stops a fill that has most of the blob still to fetch.

        Not so who leaves `content` with a part of it, if the blob is to be kept.
        """
        self.readers -= 1
        if self.readers or self.whole or self._task is None or (content and self.order.keep):
            return
        if not self.brought or self.available * 2 < self.order.size:
            self.stopping = self._task.cancel()

    async def stop(self) -> None:
        """End, as the process does."""
        if self._task is None:
            self.file.close()
            return
        self.stopping = self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            await self._take_part()
            self._give_back()
            await self.ended(self)
            await asyncio.sleep(LINGER)
        except asyncio.CancelledError:
            self._fail(FillStopped("nobody reads it any more"))
        except (RemoteError, StorageError, NoRoom, FillStopped) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  the top of a task: its readers are told
            _LOG.exception("fetching %s from %s failed", self.order.digest, self.order.host)
            self._fail(error)
        finally:
            self._tell()
            self._give_back()
            self.file.close()
            self.over(self)

    async def _take_part(self) -> None:
        while not self.file.take():
            sight = self.file.look()
            if sight.state is State.GROWING:
                self._advance(sight.available)
                await asyncio.sleep(POLL)
            elif sight.state is State.WHOLE:
                self.whole = True
                return
            else:
                raise FillStopped("another process gave it up")
        try:
            await self._fill()
        finally:
            self.file.release()

    async def _fill(self) -> None:
        """Fetch until it is whole; who gets here holds the file."""
        self._begun = await self._beside(partial(self.file.resume, self.order.digest))
        self._advance(self._begun)
        try:
            await self._fetch_all()
        except ContentInvalid:
            await self._beside(self.file.drop)
            raise
        except StorageFull as error:
            hashed = self.file.hashed()
            await self._beside(self.file.leave)
            raise NoRoom(hashed) from error
        if not self.file.is_right(self.order.digest):
            await self._beside(self.file.drop)
            raise ContentInvalid(f"{self.order.host} gave bytes that are not {self.order.digest}")
        self.whole = True
        self._tell()
        await self._end()

    async def _end(self) -> None:
        """The file is the blob. Readers need nothing of what happens to its name."""
        if self.order.keep:
            try:
                await self._beside(self.file.keep)
            except StorageError as error:
                _LOG.warning("%s is not kept: %s", self.order.digest, error)
            else:
                self.kept = True
                return
        await self._beside(self.file.finish)

    async def _fetch_all(self) -> None:
        failures, full_at = 0, -1
        while self.file.offset < self.order.size:
            before = self.file.offset
            try:
                async with self.order.fetch(before, self.tries) as chunks:
                    await self._write_all(chunks)
                if self.file.offset < self.order.size:
                    raise Unavailable(f"{self.order.host}: ended at byte {self.file.offset}")
            except ContentInvalid:
                raise
            except RemoteError as error:
                self.tries += 1
                failures = 0 if self.file.offset > before else failures + 1
                pause = _pause(error, failures, begun=self.available > 0)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except StorageFull:
                if full_at == self.file.offset:
                    raise
                full_at = self.file.offset
                await self._make_room()

    async def _write_all(self, chunks: Chunks) -> None:
        """Append what comes, in a thread, while more of it comes."""
        appending = Appending(self._append)
        try:
            async for chunk in chunks:
                self.brought = True
                await appending.add(chunk)
        finally:
            await appending.settled()
        appending.check()

    async def _append(self, gathered: bytearray) -> None:
        end = self.file.offset + len(gathered)
        if end > self.order.size:
            raise ContentInvalid(f"{self.order.host}: more than {self.order.size} bytes")
        while end > self._begun + self._room_made:
            await self._make_room()
        await self._beside(partial(self.file.write, memoryview(gathered)))
        self._advance(self.file.offset)

    async def _make_room(self) -> None:
        """For some more of the blob; `StorageFull` when there is none."""
        step = max(1, min(ROOM, self.order.size - self._begun - self._room_made))
        if not await self.room.make(step):
            raise StorageFull("there is no room for more copies")
        self._room_made += step

    def _give_back(self) -> None:
        self.room.give_back(self._room_made)
        self._room_made = 0

    async def _beside(self, work: Callable[[], int | None]) -> int:
        return await settle(self.cache.threads, work) or 0

    def _advance(self, offset: int) -> None:
        self.available = max(0, min(offset, self.order.size - 1))
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL, self._tell)

    def _tell(self) -> None:
        """Wake who waits for more."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self.whole:
            return
        self.error = error
        if not isinstance(error, NoRoom):  # then what is there can still be read, and gone on after
            self.available = 0


def _pause(error: RemoteError, failures: int, *, begun: bool) -> float | None:
    """Seconds to wait before trying again; None to give up.

    Who has not got a byte yet can be told at once what is wrong, and comes again herself.
    """
    if failures and not begun:
        return None
    if failures >= len(PAUSES):
        return None
    if isinstance(error, RateLimited):
        return error.retry_after if error.retry_after <= LONGEST_PAUSE else None
    return PAUSES[failures]
