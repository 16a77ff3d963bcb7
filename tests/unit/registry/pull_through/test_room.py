"""Which copies are kept, and that rows and files agree again after a crash between them."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.storage.disks import small_disk
from tidegate.metastore import cached
from tidegate.metastore.cached import Totals
from tidegate.metastore.database import Database
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.registry.pull_through.room import ABANDONED, USES_EVERY, Room
from tidegate.storage import layout
from tidegate.storage.cache import BlobCache
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.memory import Memory

SIZE = 100_000


@dataclass
class World:
    """A cache with its room, on a disk of its own."""

    room: Room
    cache: BlobCache
    database: Database
    root: Path
    time: list[float]

    async def keep(self, number: int, *, row: bool = True) -> Digest:
        """A copy of `SIZE` bytes, used at the time that its number is."""
        content = bytes([number]) * SIZE
        digest = Digest.of(content)
        file = await self.cache.grow(digest, "quay.io", SIZE)
        assert file.take()
        file.resume(digest)
        file.write(memoryview(content))
        file.keep()
        file.close()
        if row:
            await self.database.write(
                lambda tx: cached.store(tx, digest, SIZE, float(number), float(number))
            )
        return digest

    def kept(self, digest: Digest) -> bool:
        copy = self.cache.open(digest)
        if copy is not None:
            copy.close()
        return copy is not None


@asynccontextmanager
async def world(file: Path, root: Path, size: int) -> AsyncIterator[World]:
    database = await open_database(f"sqlite:///{file}")
    cache, time = BlobCache(Filesystem(root)), [1_000_000.0]
    room = Room(database, cache, size, lambda: time[0])
    try:
        yield World(room, cache, database, root, time)
    finally:
        cache.close()
        await database.close()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def play(migrated: Path, tmp_path: Path) -> Callable[..., None]:
    """Plays a scenario with room for `size` bytes."""

    def run(
        scenario: Callable[[World], Coroutine[Any, Any, None]],
        size: int = 0,
        root: Path = tmp_path / "data",
    ) -> None:
        async def inner() -> None:
            async with world(Path(shutil.copy(migrated, tmp_path)), root, size) as found:
                await scenario(found)

        asyncio.run(inner())

    return run


def test_what_was_used_the_longest_ago_makes_room_for_what_comes(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        first, second, third = [await here.keep(number) for number in (1, 2, 3)]
        here.room.use(first)
        await here.room.tidy()
        assert await here.room.make(SIZE)
        assert (here.kept(first), here.kept(second), here.kept(third)) == (True, False, True)
        assert await cached.totals(here.database) == Totals(2, 2 * SIZE)

    play(scenario, 3 * SIZE)


def test_what_is_larger_than_all_room_gets_none_and_costs_nobody_hers(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        kept = await here.keep(1)
        assert not await here.room.fits(3 * SIZE + 1)
        assert not await here.room.make(3 * SIZE + 1)
        assert await here.room.fits(3 * SIZE)
        assert here.kept(kept)

    play(scenario, 3 * SIZE)


def test_what_is_coming_in_counts_until_it_is_kept_or_given_up(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        kept = await here.keep(1)
        assert await here.room.make(SIZE)
        assert here.kept(kept)
        assert not await here.room.make(2 * SIZE)
        here.room.give_back(SIZE)
        assert await here.room.make(2 * SIZE)
        assert not here.kept(kept)

    play(scenario, 2 * SIZE)


def test_a_smaller_size_lets_go_of_what_is_too_much(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        copies = [await here.keep(number) for number in range(5)]
        assert await here.room.tidy() == 4  # down to a little less, so that not each blob has to
        assert [here.kept(each) for each in copies] == [False, False, False, False, True]
        assert await here.room.tidy() == 0

    play(scenario, 2 * SIZE)


def test_a_copy_that_is_read_is_read_to_its_end_though_it_goes(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        digest = await here.keep(1)
        copy = here.cache.open(digest)
        assert copy is not None
        await here.keep(2)
        assert await here.room.make(2 * SIZE)
        assert not here.kept(digest)
        assert copy.fd is not None
        assert os.pread(copy.fd, SIZE, 0) == bytes([1]) * SIZE
        copy.close()

    play(scenario, 2 * SIZE)


def test_without_a_size_a_tenth_of_the_disk_stays_free(
    play: Callable[..., None], tmp_path: Path
) -> None:
    async def scenario(here: World) -> None:
        copies = [await here.keep(number) for number in range(5)]
        assert await here.room.tidy() == 0
        (here.root / "pushed").write_bytes(bytes(450_000))
        await here.room.tidy()
        free, total = here.cache.room()
        assert free >= total // 10
        assert 0 < sum(here.kept(each) for each in copies) < 5
        assert not await here.room.make(total)

    with small_disk(tmp_path, "1m") as disk:
        play(scenario, 0, disk)


def test_uses_are_written_down_in_batches_and_not_each_time(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        digest = await here.keep(1)
        for _ in range(3):
            here.room.use(digest)
            await here.room.tidy()
            assert (await cached.page(here.database, "", 1))[0].used_at == 1_000_000.0
            here.time[0] += USES_EVERY / 4
        here.time[0] += USES_EVERY
        here.room.use(digest)
        await here.room.tidy()
        assert (await cached.page(here.database, "", 1))[0].used_at == here.time[0]

    play(scenario)


def test_rows_and_files_agree_again_after_a_crash(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        whole, without_row, without_file = [
            await here.keep(1),
            await here.keep(2, row=False),
            await here.keep(3),
        ]
        (here.root / layout.cache_path(without_file)).unlink()
        (here.root / "cache" / "sha256" / "stray").write_bytes(b"?")
        await here.room.reconcile()
        rows = await cached.page(here.database, "", 10)
        assert {each.digest for each in rows} == {whole, without_row}
        assert {each.size for each in rows} == {SIZE}

    play(scenario)


def test_a_fill_that_nobody_goes_on_with_is_removed_in_the_end(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        digest = Digest.of(b"never whole")
        file = await here.cache.grow(digest, "quay.io", SIZE)
        file.close()
        os.utime(here.root / layout.fill_path(digest, "quay.io"), (1_000_000, 1_000_000))
        here.time[0] += ABANDONED - 1
        await here.room.tidy()
        assert len([each async for each in here.cache.fills()]) == 1
        here.time[0] += 2
        await here.room.tidy()
        assert [each async for each in here.cache.fills()] == []

    play(scenario)


def test_a_store_without_files_has_room_for_nothing(migrated: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        database = await open_database(f"sqlite:///{shutil.copy(migrated, tmp_path)}")
        cache = BlobCache(Memory())
        room = Room(database, cache, 0)
        assert not await room.make(1)
        await room.reconcile()
        assert await room.tidy() == 0
        cache.close()
        await database.close()

    asyncio.run(scenario())
