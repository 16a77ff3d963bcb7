"""One blob on its way in, with readers who come and go, and a registry that misbehaves."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.registry.pull_through.other_registry import OtherRegistry, eventually
from tests.unit.storage.disks import small_disk
from tidegate.oci.digest import Digest
from tidegate.registry.pull_through.fill import Fill
from tidegate.registry.pull_through.fills import Fills
from tidegate.registry.pull_through.flow import Passing, Reading
from tidegate.registry.pull_through.orders import FillStopped, NoRoom, Order
from tidegate.registry.request import Request
from tidegate.remote.errors import ContentInvalid, RateLimited, Unavailable
from tidegate.storage import layout
from tidegate.storage.cache import BlobCache
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.fills import Hashed
from tidegate.wire.errors import AnswerBroken, ClientGone

CONTENT = random.Random(3).randbytes(1_000_000)
DIGEST = Digest.of(CONTENT)
HALF = len(CONTENT) // 2
SOURCE = f"quay.io {len(CONTENT)}"


@dataclass
class World:
    """The fills of one process on a directory; `over` are those that ended."""

    fills: Fills
    cache: BlobCache
    over: list[Fill] = field(default_factory=list)

    async def reading(self, order: Order, request: Request | None = None) -> Reading:
        return Reading(await self.fills.begin(order), request or waiting_client())

    async def read(self, order: Order) -> bytes:
        """All of the blob, as a client gets it."""
        reading, content = await self.reading(order), b""
        try:
            while len(content) < order.size:
                until = await reading.beyond(len(content))
                content += os.pread(reading.fd, until - len(content), len(content))
        finally:
            reading.close()
        return content

    def available(self) -> int:
        fill = self.fills.find(DIGEST, SOURCE)
        return 0 if fill is None else fill.available

    def copy(self, digest: Digest = DIGEST) -> bytes | None:
        opened = self.cache.open(digest)
        if opened is None:
            return None
        assert opened.fd is not None
        with opened:
            return os.pread(opened.fd, opened.size, 0)


@dataclass
class Rooms:
    """Room for copies: as much as one likes, or `left` bytes."""

    left: int = 1 << 60
    coming: int = 0

    async def fits(self, size: int) -> bool:
        return size <= self.left + self.coming

    async def make(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        self.coming += size
        return True

    def give_back(self, size: int) -> None:
        self.coming -= size


@asynccontextmanager
async def world(root: Path, rooms: Rooms | None = None) -> AsyncIterator[World]:
    over: list[Fill] = []

    async def ended(fill: Fill) -> None:
        over.append(fill)

    cache = BlobCache(Filesystem(root))
    found = World(Fills(cache, rooms or Rooms(), ended), cache, over)
    try:
        yield found
    finally:
        await found.fills.close()
        cache.close()


def waiting_client() -> Request:
    """A client who stays."""

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    return Request({"method": "GET", "headers": [], "path": "/", "query_string": b""}, receive)


def test_a_hundred_readers_cost_one_reading_of_the_other_registry(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            read = await asyncio.gather(*(here.read(other.order()) for _ in range(100)))
            assert set(read) == {CONTENT}
            assert other.sent == len(CONTENT)
            await eventually(lambda: here.over)
            assert here.copy() == CONTENT
            assert here.over[0].kept

    asyncio.run(scenario())


def test_who_claims_another_size_spoils_nothing_for_who_knows_it(tmp_path: Path) -> None:
    good, liar = OtherRegistry(CONTENT), OtherRegistry(CONTENT, gate=0)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            order = liar.order()
            order.size += 5
            false = await here.reading(order)
            assert await here.read(good.order()) == CONTENT
            false.close()

    asyncio.run(scenario())


def test_what_is_there_is_read_while_the_rest_comes(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, gate=100_000)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = await here.reading(other.order())
            await reading.beyond(0)
            await eventually(lambda: reading.fill.available == 100_000)
            assert os.pread(reading.fd, 100_000, 0) == CONTENT[:100_000]
            assert reading.fill.reached(100_000) is None
            other.open_to(len(CONTENT))
            assert await reading.beyond(len(CONTENT) - 1) == len(CONTENT)
            reading.close()

    asyncio.run(scenario())


def test_the_last_byte_of_a_blob_with_another_digest_is_seen_by_nobody(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT[:-1] + b"?", claimed=CONTENT)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = await here.reading(other.order())
            with pytest.raises(ContentInvalid):
                await reading.beyond(len(CONTENT) - 1)
            reading.close()
            await eventually(lambda: here.fills.find(DIGEST, SOURCE) is None)
            assert here.copy() is None
            assert [each async for each in here.cache.fills()] == []
            again = await here.reading(other.order())
            with pytest.raises(ContentInvalid):
                await again.beyond(len(CONTENT) - 1)
            assert other.asked == [(0, 0), (0, 1)]  # the next one begins with another source
            again.close()

    asyncio.run(scenario())


def test_more_bytes_than_the_manifest_says_are_refused(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT + b"more", claimed=CONTENT)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            with pytest.raises(ContentInvalid):
                await here.read(other.order())

    asyncio.run(scenario())


def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, cuts=[200_000, 700_000])

    async def scenario() -> None:
        async with world(tmp_path) as here:
            assert await here.read(other.order()) == CONTENT
            assert other.asked == [(0, 0), (200_000, 1), (700_000, 2)]
            assert other.sent == len(CONTENT)

    asyncio.run(scenario())


@pytest.mark.parametrize("failure", [Unavailable("down"), RateLimited("later", 60.0)])
def test_who_has_nothing_yet_is_told_at_once_what_is_wrong(
    tmp_path: Path, failure: Unavailable | RateLimited
) -> None:
    other = OtherRegistry(CONTENT, failure=failure)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            with pytest.raises(type(failure)):
                await here.read(other.order())
            assert len(other.asked) == 1

    asyncio.run(scenario())


def test_the_last_reader_who_leaves_early_stops_it_and_the_next_goes_on(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, gate=HALF - 50_000)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            first, second = [await here.reading(other.order()) for _ in range(2)]
            await first.beyond(HALF - 50_001)
            first.close()
            await asyncio.sleep(0)
            assert not here.over  # somebody still waits
            second.close()
            await eventually(lambda: isinstance(second.fill.error, FillStopped))
            other.open_to(len(CONTENT))
            assert await here.read(other.order()) == CONTENT
            assert other.asked == [(0, 0), (HALF - 50_000, 0)]

    asyncio.run(scenario())


def test_a_blob_of_which_most_is_here_comes_in_without_readers(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, gate=HALF + 50_000)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = await here.reading(other.order())
            await reading.beyond(HALF + 49_999)
            reading.close()
            other.open_to(len(CONTENT))
            await eventually(lambda: here.over)
            assert here.copy() == CONTENT

    asyncio.run(scenario())


@pytest.mark.parametrize("keep", [True, False])
def test_a_blob_that_is_to_be_kept_comes_in_though_its_only_reader_wanted_a_part(
    tmp_path: Path, keep: bool
) -> None:
    other = OtherRegistry(CONTENT, gate=100_000)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = await here.reading(other.order(keep=keep))
            await reading.beyond(0)
            reading.close(content=True)
            await asyncio.sleep(0)
            assert reading.fill.stopping is not keep

    asyncio.run(scenario())


def test_what_is_not_to_be_kept_is_read_once_and_gone(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, gate=HALF)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reads = [asyncio.create_task(here.read(other.order(keep=False))) for _ in range(10)]
            await eventually(lambda: other.sent == HALF)
            other.open_to(len(CONTENT))
            assert set(await asyncio.gather(*reads)) == {CONTENT}
            await eventually(lambda: here.over)
            assert other.sent == len(CONTENT)
            assert here.copy() is None
            assert [each async for each in here.cache.fills()] == []

    asyncio.run(scenario())


def test_one_reader_who_wants_it_kept_has_it_kept_for_all(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, gate=HALF)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            first = asyncio.create_task(here.read(other.order(keep=False)))
            await eventually(lambda: other.sent == HALF)
            second = asyncio.create_task(here.read(other.order(keep=True)))
            await asyncio.sleep(0.01)
            other.open_to(len(CONTENT))
            await asyncio.gather(first, second)
            await eventually(lambda: here.over)
            assert here.copy() == CONTENT

    asyncio.run(scenario())


def test_another_process_is_followed_and_its_work_gone_on_with_when_it_dies(
    tmp_path: Path,
) -> None:
    other = OtherRegistry(CONTENT)
    theirs = Filesystem(tmp_path).grow(
        layout.fill_path(DIGEST, SOURCE), layout.cache_path(DIGEST), len(CONTENT)
    )
    assert theirs.take()
    theirs.resume(DIGEST)
    theirs.write(memoryview(CONTENT)[:HALF])

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = asyncio.create_task(here.read(other.order()))
            await eventually(lambda: here.fills.find(DIGEST, SOURCE))
            await eventually(lambda: here.available() == HALF)
            assert other.asked == []
            theirs.close()  # as the kernel does for a killed process
            assert await reading == CONTENT
            assert other.asked == [(HALF, 0)]
            await eventually(lambda: here.over)
            assert here.copy() == CONTENT

    asyncio.run(scenario())


def test_what_another_process_ends_is_ended_here(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT)
    theirs = Filesystem(tmp_path).grow(
        layout.fill_path(DIGEST, SOURCE), layout.cache_path(DIGEST), len(CONTENT)
    )
    assert theirs.take()
    theirs.resume(DIGEST)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = asyncio.create_task(here.read(other.order()))
            await eventually(lambda: here.fills.find(DIGEST, SOURCE))
            theirs.write(memoryview(CONTENT))
            theirs.keep()
            assert await reading == CONTENT
            assert other.asked == []

    asyncio.run(scenario())
    theirs.close()


def test_what_another_process_finds_wrong_is_given_to_nobody_here(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT)
    theirs = Filesystem(tmp_path).grow(
        layout.fill_path(DIGEST, SOURCE), layout.cache_path(DIGEST), len(CONTENT)
    )
    assert theirs.take()
    theirs.resume(DIGEST)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = asyncio.create_task(here.read(other.order()))
            await eventually(lambda: here.fills.find(DIGEST, SOURCE))
            theirs.write(memoryview(bytes(len(CONTENT))))
            theirs.drop()
            with pytest.raises(FillStopped):
                await reading

    asyncio.run(scenario())
    theirs.close()


def test_a_client_who_leaves_while_she_waits_is_noticed(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT, gate=0)
    leave = asyncio.Event()

    async def receive() -> dict[str, object]:
        await leave.wait()
        return {"type": "http.disconnect"}

    scope = {"method": "GET", "headers": [], "path": "/", "query_string": b""}

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = await here.reading(other.order(), Request(scope, receive))
            waiting = asyncio.create_task(reading.beyond(0))
            await asyncio.sleep(0.01)
            leave.set()
            with pytest.raises(ClientGone):
                await waiting
            reading.close()
            await eventually(lambda: isinstance(reading.fill.error, FillStopped))

    asyncio.run(scenario())


def test_a_disk_that_fills_up_ends_the_fill_and_says_how_far_it_came(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT)

    async def scenario(disk: Path) -> None:
        async with world(disk) as here:
            reading = await here.reading(other.order())
            position, hashed = await until_full(reading)
            assert 0 < hashed.offset < len(CONTENT)
            assert os.pread(reading.fd, position, 0) == CONTENT[:position]
            sent = bytearray(CONTENT[:position])
            await Passing(reading.fill.order, hashed).send(position, len(CONTENT), into(sent))
            assert sent == CONTENT
            reading.close()

    with small_disk(tmp_path, "600k") as disk:
        asyncio.run(scenario(disk))


def test_room_is_made_once_a_disk_fills_up(tmp_path: Path) -> None:
    other = OtherRegistry(CONTENT)

    async def scenario(disk: Path) -> None:
        junk = disk / "junk"
        junk.write_bytes(bytes(1_200_000))

        class Freed(Rooms):
            async def make(self, size: int) -> bool:
                if self.coming:
                    junk.unlink()
                return await super().make(size)

        rooms = Freed()
        async with world(disk, rooms) as here:
            assert await here.read(other.order()) == CONTENT
        assert rooms.coming == 0

    with small_disk(tmp_path, "2m") as disk:
        asyncio.run(scenario(disk))


def test_room_that_ends_in_the_middle_ends_the_fill_there(tmp_path: Path) -> None:
    other, size = OtherRegistry(CONTENT), len(CONTENT)

    class Promised(Rooms):
        async def fits(self, size: int) -> bool:
            return True

    async def scenario() -> None:
        async with world(tmp_path, Promised(size - 1)) as here:
            reading = await here.reading(other.order())
            position, hashed = await until_full(reading)
            sent = bytearray(os.pread(reading.fd, position, 0))
            await Passing(reading.fill.order, hashed).send(position, size, into(sent))
            assert sent == CONTENT
            reading.close()

    asyncio.run(scenario())


def test_what_there_is_no_room_for_is_passed_on_and_its_end_held_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, Rooms(1000)) as here:
            with pytest.raises(NoRoom):
                await here.fills.begin(OtherRegistry(CONTENT).order())
        good, sent = OtherRegistry(CONTENT, cuts=[300_000]), bytearray()
        passing = Passing(good.order(), None)
        await passing.begin()
        await passing.send(10, len(CONTENT), into(sent))
        assert sent == CONTENT[10:]
        bad, sent = OtherRegistry(CONTENT[:-1] + b"?", claimed=CONTENT), bytearray()
        passing = Passing(bad.order(), None)
        await passing.begin()
        with pytest.raises(AnswerBroken):
            await passing.send(0, len(CONTENT), into(sent))
        assert len(sent) < len(CONTENT)
        down = OtherRegistry(CONTENT, failure=Unavailable("down"))
        with pytest.raises(Unavailable):
            await Passing(down.order(), None).begin()

    asyncio.run(scenario())


def test_an_empty_blob_is_whole_without_a_byte(tmp_path: Path) -> None:
    other = OtherRegistry(b"")

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reading = await here.reading(other.order())
            assert await reading.beyond(0) == 0
            reading.close()

    asyncio.run(scenario())


async def until_full(reading: Reading) -> tuple[int, Hashed]:
    """How far a reading comes on a disk that fills up, and how far the fill came."""
    position = 0
    try:
        while True:
            position = await reading.beyond(position)
    except NoRoom as error:
        return position, error.hashed or Hashed(0, DIGEST.hasher())


def into(sent: bytearray) -> Callable[[dict[str, object]], Awaitable[None]]:
    async def send(message: dict[str, object]) -> None:
        body = message["body"]
        assert isinstance(body, bytes)
        sent.extend(body)

    return send
