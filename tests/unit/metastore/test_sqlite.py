"""What only SQLite can suffer: its files, its locks, its disk."""

import asyncio
import os
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.storage.disks import small_disk
from tidegate.metastore import manifests, tags
from tidegate.metastore.changes import span
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import (
    MetastoreBusy,
    MetastoreError,
    MetastoreFull,
    MetastoreUnavailable,
)
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.sqlite import TRUNCATE_FRAMES, SqliteSession, connect
from tidegate.metastore.writelock import WriteLock
from tidegate.metastore.writer import Writer
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

APP = RepositoryName("shop/app")


async def push(db: Database, content: bytes, tag: str) -> None:
    manifest = Manifest(Digest.of(content), "text/plain", content)
    await db.write(lambda tx: manifests.put(tx, APP, manifest, [Tag(tag)], 1))


def test_all_files_are_private(url: str, file: Path) -> None:
    async def scenario() -> None:
        db = await open_database(url)
        await push(db, b"one", "a")
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
        assert modes == {
            "metadata.db": 0o600,
            "metadata.db-wal": 0o600,
            "metadata.db-shm": 0o600,
            "write.lock": 0o600,
            "write.turn": 0o600,
        }
        await db.close()

    file.chmod(0o600)
    asyncio.run(scenario())


def test_opening_and_closing_a_second_time_in_a_process_leaves_the_first_its_log(
    url: str, file: Path
) -> None:
    """POSIX locks end when any descriptor of the file is closed in the process."""

    async def scenario() -> None:
        db = await open_database(url)
        await push(db, b"one", "a")
        migrate(url)
        await (await open_database(url)).close()
        # another process that is the last one, as far as it can see, removes the log
        script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM tags')"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(file))
        assert await process.wait() == 0
        assert file.with_name("metadata.db-wal").exists()
        await push(db, b"two", "b")
        await db.close()
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT count(*) FROM tags").fetchone() == (2,)

    asyncio.run(scenario())


def test_a_full_disk_refuses_the_write_and_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path, "4m") as disk:
        url = f"sqlite:///{disk / 'metadata.db'}"
        migrate(url)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1_500_000))  # more than the log that is then folded back

        async def scenario() -> None:
            db = await open_database(url)
            kept: set[str] = set()
            refused = 0
            for number in range(60):
                burst = [f"t{number}-{each}" for each in range(4)]
                contents = [tag.encode() + bytes(10_000) for tag in burst]
                outcomes = await asyncio.gather(
                    *map(push, [db] * 4, contents, burst), return_exceptions=True
                )
                for tag, outcome in zip(burst, outcomes, strict=True):
                    if outcome is None:
                        kept.add(tag)
                    else:
                        assert isinstance(outcome, MetastoreFull), outcome
                        refused += 1
            assert kept
            assert refused
            assert set(await tags.page(db, APP, "", 1000)) == kept
            assert await manifests.by_tag(db, APP, Tag(min(kept))) is not None
            ballast.unlink()
            await push(db, b"there is space again", "later")
            await db.close()

        asyncio.run(scenario())


def test_a_full_database_keeps_the_small_units_of_a_group_with_a_large_one(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path, "4m") as disk:
        url = f"sqlite:///{disk / 'metadata.db'}"
        migrate(url)

        async def scenario() -> None:
            db = await open_database(url)
            go_on = threading.Event()
            blocking = asyncio.create_task(db.write(lambda tx: go_on.wait(30)))
            await asyncio.sleep(0)
            group = [
                asyncio.create_task(push(db, b"small", "a")),
                asyncio.create_task(push(db, bytes(4_000_000), "large")),
                asyncio.create_task(push(db, b"small too", "b")),
            ]
            await asyncio.sleep(0)
            go_on.set()
            await blocking
            outcomes = await asyncio.gather(*group, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [
                type(None),
                MetastoreFull,
                type(None),
            ]
            assert await tags.page(db, APP, "", 10) == ["a", "b"]
            await db.close()

        asyncio.run(scenario())


def test_a_torn_log_opens_as_some_earlier_commit(url: str, file: Path, tmp_path: Path) -> None:
    log = file.with_name("metadata.db-wal")

    async def scenario() -> None:
        db = await open_database(url)
        for number in range(20):
            await push(db, f"{number}".encode(), f"t{number:02d}")
        size = log.stat().st_size
        for cut in range(0, size, max(size // 15, 1) + 7):
            await opens_sound(tear(tmp_path / f"torn{cut}", cut))
        await db.close()

    def tear(directory: Path, cut: int) -> Path:
        directory.mkdir()
        with open(shutil.copy(log, directory), "r+b") as part:
            part.truncate(cut)
            part.write(b"\x5a" * 3000)  # what a failing disk may leave behind
        return Path(shutil.copy(file, directory))

    async def opens_sound(copy: Path) -> None:
        db = await open_database(f"sqlite:///{copy}")
        assert await db.scan("PRAGMA integrity_check") == [("ok",)]
        found = await tags.page(db, APP, "", 100)
        assert found == [f"t{number:02d}" for number in range(len(found))]
        ((count,),) = await db.scan("SELECT count(*) FROM changes")
        assert (await span(db)).newest == count
        await push(db, b"goes on", "zz")
        await db.close()

    asyncio.run(scenario())


def test_the_log_does_not_grow_without_end(url: str, file: Path) -> None:
    log = file.with_name("metadata.db-wal")

    async def fill(db: Database, megabytes: int) -> int:
        """Write that much, and rows enough for housekeeping; the log's largest size."""
        largest = 0
        for _ in range(megabytes):
            await push(db, os.urandom(16) + bytes(1_000_000), "latest")
            await db.write(note_many)
            largest = max(largest, log.stat().st_size)
        return largest

    def note_many(tx: Transaction) -> None:
        for _ in range(500):
            tx.record("test", "many", "put")

    async def scenario() -> None:
        db = await open_database(url)
        assert await fill(db, 20) < 16 * 1024 * 1024
        with closing(connect(str(file))) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM tags").fetchall()  # a reader that stays in the way
            assert await fill(db, 40) > TRUNCATE_FRAMES * 4096
        await fill(db, 2)
        assert log.stat().st_size < TRUNCATE_FRAMES * 4096
        await db.close()

    asyncio.run(scenario())


def test_a_unit_that_never_gets_its_turn_is_answered(file: Path) -> None:
    async def scenario() -> None:
        other = WriteLock(str(file.parent))
        writer = Writer(SqliteSession(str(file)), lambda: None, patience=0.05)
        with other, pytest.raises(MetastoreBusy):  # as a process that was stopped in its turn
            await writer.write(lambda tx: tx.record("test", "late", "put"), True)
        await writer.write(lambda tx: tx.record("test", "in time", "put"), True)
        await writer.close()
        other.close()
        with closing(connect(str(file))) as reader:
            assert reader.execute("SELECT name FROM changes").fetchall() == [("in time",)]

    asyncio.run(scenario())


def test_a_writer_that_dies_answers_everyone(file: Path) -> None:
    class Dying(SqliteSession):
        def begin(self, durable: bool) -> None:
            raise SystemExit

    async def scenario() -> None:
        writer = Writer(Dying(str(file)), lambda: None)
        writes = (writer.write(lambda tx: tx.record("test", "x", "put"), True) for _ in range(100))
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {RuntimeError, MetastoreUnavailable}
        with pytest.raises(MetastoreUnavailable):
            await writer.write(lambda tx: None, True)
        await writer.close()

    asyncio.run(scenario())


def test_a_closed_event_loop_stops_nobody(file: Path) -> None:
    go_on = threading.Event()
    writers: list[Writer] = []

    async def scenario() -> None:
        writers.append(Writer(SqliteSession(str(file)), lambda: None))
        tasks = [asyncio.create_task(writers[0].write(lambda tx: go_on.wait(30), True))]
        await asyncio.sleep(0)
        tasks[0].cancel()

    asyncio.run(scenario())
    go_on.set()

    async def close() -> None:
        await writers[0].close()

    asyncio.run(close())


def test_damage_is_told_as_ours(url: str, file: Path) -> None:
    with closing(connect(str(file), writing=True)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * (file.stat().st_size - 4096))

    async def scenario() -> None:
        db = await open_database(url)
        try:
            await tags.page(db, APP, "", 10)
        finally:
            await db.close()

    with pytest.raises(MetastoreError):
        asyncio.run(scenario())


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(MetastoreUnavailable):
        migrate(f"sqlite:///{tmp_path / 'absent' / 'metadata.db'}")
    with pytest.raises(MetastoreUnavailable):
        connect(str(tmp_path), writing=True)  # a directory
