"""How the metadata database commits: every engine passes this suite, with real processes.

As in `metadata_store.py`, a subclass gives the fixture `url`.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.conformance.metadata_store import APP, image, link, opened, push, using
from tests.tools import PROJECT
from tidegate.apimachinery.errors import Conflict
from tidegate.metastore import keys, links, manifests, tags, uploads
from tidegate.metastore.changes import span
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import MetastoreBusy, MetastoreError, MetastoreUnavailable
from tidegate.metastore.keys import Key
from tidegate.metastore.uploads import Upload
from tidegate.metastore.writer import QUEUE_UNITS
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag


class Refused(Exception):
    """What a unit of these tests raises."""


def record(tx: Transaction, name: str, count: int = 1) -> list[int]:
    return [tx.record("test", name, "put") for _ in range(count)]


async def recorded(db: Database) -> list[tuple[int, str]]:
    """The change log of the test's own units."""
    sql = "SELECT revision, name FROM changes WHERE kind = 'test' ORDER BY revision"
    return [(revision, name) for revision, name in await db.scan(sql)]


WRITER = """
import asyncio, sys
from tidegate.metastore import manifests
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

async def main(url, name, count):
    db = await open_database(url)
    async def push(number):
        content = f"{name} {number}".encode()
        manifest = Manifest(Digest.of(content), "text/plain", content)
        named = [Tag(f"{name}-{number}-a"), Tag(f"{name}-{number}-b")]
        await db.write(lambda tx: manifests.put(tx, RepositoryName("shop/app"), manifest, named, 1))
        print(f"{name}-{number}", flush=True)
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, count, 10):
        await asyncio.gather(*(push(start + each) for each in range(10)))
    await db.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def start_writers(url: str, names: Sequence[str], count: int) -> list["subprocess.Popen[str]"]:
    """A process for each name that pushes `count` manifests with two tags, ten at a time.

    Each prints the name of a push once it is acknowledged.
    """
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    return writers


class Units:
    """A unit is kept whole or not at all, whatever becomes of the others in its group."""

    def test_a_unit_that_raises_undoes_itself_alone(self, url: str) -> None:
        async def push_or_refuse(db: Database, number: int) -> int:
            def unit(tx: Transaction) -> int:
                manifests.put(tx, APP, image(f"{number}"), [Tag(f"t{number:03d}")], 1)
                if number % 3 == 0:
                    raise Refused(number)
                return number

            return await db.write(unit)

        async def scenario(db: Database) -> None:
            attempts = (push_or_refuse(db, number) for number in range(100))
            outcomes = await asyncio.gather(*attempts, return_exceptions=True)
            for number, outcome in enumerate(outcomes):
                assert isinstance(outcome, Refused) if number % 3 == 0 else outcome == number
            kept = [f"t{number:03d}" for number in range(100) if number % 3]
            assert await tags.page(db, APP, "", 1000) == kept

        using(url, scenario)

    def test_a_unit_that_the_database_refuses_undoes_itself_alone(self, url: str) -> None:
        def refused(tx: Transaction) -> None:
            record(tx, "refused")
            keys.put(tx, Key("kid", b"", 2))

        async def scenario(db: Database) -> None:
            await db.write(lambda tx: keys.put(tx, Key("kid", b"", 1)))
            newest = (await span(db)).newest
            outcomes = await asyncio.gather(
                db.write(lambda tx: record(tx, "before")),
                db.write(refused),
                db.write(lambda tx: tx.execute("no SQL at all")),
                db.write(lambda tx: record(tx, "after")),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [list, Conflict, MetastoreError, list]
            assert (outcomes[0], outcomes[3]) == ([newest + 1], [newest + 2])
            assert await recorded(db) == [(newest + 1, "before"), (newest + 2, "after")]

        using(url, scenario)

    def test_a_unit_that_hides_an_error_of_the_database_breaks_no_other(self, url: str) -> None:
        def stubborn(tx: Transaction) -> None:
            record(tx, "stubborn")
            with pytest.raises(MetastoreError):
                tx.execute("no SQL at all")

        async def scenario(db: Database) -> None:
            await asyncio.gather(
                db.write(lambda tx: record(tx, "before")),
                db.write(stubborn),
                db.write(lambda tx: record(tx, "after")),
                return_exceptions=True,
            )
            names = [name for _, name in await recorded(db)]
            assert [name for name in names if name != "stubborn"] == ["before", "after"]

        using(url, scenario)

    @pytest.mark.parametrize("raised", [StopIteration, SystemExit, KeyboardInterrupt])
    def test_a_unit_that_raises_the_interpreters_own_is_answered(
        self, url: str, raised: type[BaseException]
    ) -> None:
        def unit(tx: Transaction) -> None:
            record(tx, "never")
            raise raised

        async def scenario(db: Database) -> None:
            with pytest.raises(RuntimeError):
                await db.write(unit)
            await db.write(lambda tx: record(tx, "next"))
            assert [name for _, name in await recorded(db)] == ["next"]

        using(url, scenario)

    def test_each_change_has_a_revision_of_its_own_and_a_units_are_adjacent(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            before = (await span(db)).newest
            told = await asyncio.gather(
                *(
                    db.write(lambda tx, n=number: record(tx, f"u{n}", 1 + n % 3))  # type: ignore[misc]  # a default binds the loop variable
                    for number in range(60)
                )
            )
            log = await recorded(db)
            assert sorted(revision for unit in told for revision in unit) == [
                revision for revision, _ in log
            ]
            for number, revisions in enumerate(told):
                assert [(each, f"u{number}") for each in revisions] == [
                    each for each in log if each[1] == f"u{number}"
                ]
            assert [revision for revision, _ in log] == list(
                range(before + 1, before + 1 + sum(1 + number % 3 for number in range(60)))
            )
            assert (await span(db)).newest == log[-1][0]
            names = [name for _, name in log]
            blocks = sum(1 for one, two in zip(names, [*names[1:], ""], strict=True) if one != two)
            assert blocks == 60
            assert Counter(names) == {f"u{number}": 1 + number % 3 for number in range(60)}

        using(url, scenario)

    def test_bookkeeping_may_not_record_a_change(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            with pytest.raises(ValueError, match="durable"):
                await db.write(lambda tx: record(tx, "never"), durable=False)
            upload = Upload("0" * 32, APP, "sha256", 0, None, 1, 1)
            await asyncio.gather(
                db.write(lambda tx: uploads.create(tx, upload), durable=False),
                db.write(lambda tx: record(tx, "durable")),
            )
            assert await uploads.find(db, upload.id) == upload

        using(url, scenario)

    def test_a_unit_sees_what_it_wrote_and_readers_do_not_until_its_answer(self, url: str) -> None:
        written, go_on = threading.Event(), threading.Event()

        def unit(tx: Transaction) -> bool:
            manifests.put(tx, APP, image("one"), [Tag("a")], 1)
            written.set()
            assert go_on.wait(30)
            return bool(tx.fetch("SELECT 1 FROM tags WHERE name = ?", ("a",)))

        async def scenario(db: Database) -> None:
            await link(db, Digest.of(b"blob"), 1)
            task = asyncio.create_task(db.write(unit))
            await asyncio.to_thread(written.wait, 30)
            assert await manifests.by_tag(db, APP, Tag("a")) is None
            assert await tags.page(db, APP, "", 10) == []
            go_on.set()
            assert await task
            assert await manifests.by_tag(db, APP, Tag("a")) is not None

        using(url, scenario)


class Queue:
    """What callers see of the queue."""

    def test_a_full_queue_refuses_and_the_queued_are_kept(self, url: str) -> None:
        go_on = threading.Event()

        async def scenario(db: Database) -> None:
            blocking = asyncio.create_task(db.write(lambda tx: go_on.wait(30)))
            queued = [
                asyncio.create_task(db.write(lambda tx: record(tx, "queued")))
                for _ in range(QUEUE_UNITS - 1)
            ]
            await asyncio.sleep(0)
            with pytest.raises(MetastoreBusy):
                await db.write(lambda tx: record(tx, "refused"))
            go_on.set()
            await asyncio.gather(blocking, *queued)
            await db.write(lambda tx: record(tx, "later"))
            names = Counter(name for _, name in await recorded(db))
            assert names == {"queued": QUEUE_UNITS - 1, "later": 1}

        using(url, scenario)

    def test_a_cancelled_caller_disturbs_nobody(self, url: str) -> None:
        go_on = threading.Event()

        async def scenario(db: Database) -> None:
            blocking = asyncio.create_task(db.write(lambda tx: go_on.wait(30)))
            leaving = asyncio.create_task(db.write(lambda tx: record(tx, "left")))
            staying = asyncio.create_task(db.write(lambda tx: record(tx, "stayed")))
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(blocking, staying)
            assert leaving.cancelled()
            assert [name for _, name in await recorded(db)] == ["stayed"]

        using(url, scenario)

    def test_closing_keeps_what_is_queued_and_refuses_what_comes_after(self, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as db:
                tasks = [
                    asyncio.create_task(db.write(lambda tx: record(tx, "queued")))
                    for _ in range(200)
                ]
                await asyncio.sleep(0)
                await db.close()
                await asyncio.gather(*tasks)
                with pytest.raises(MetastoreUnavailable):
                    await db.write(lambda tx: record(tx, "late"))
            async with opened(url) as db:
                assert len(await recorded(db)) == 200

        asyncio.run(scenario())


class Processes:
    """Several processes on one database, and their sudden end."""

    def test_three_processes_write_at_once_and_everything_is_kept_in_one_order(
        self, url: str
    ) -> None:
        names, count = ("x", "y", "z"), 100
        for writer in start_writers(url, names, count):
            said, _ = writer.communicate(timeout=120)
            assert writer.returncode == 0
            assert len(said.split()) == count

        async def scenario(db: Database) -> None:
            expected = sorted(
                f"{n}-{i}-{half}" for n in names for i in range(count) for half in "ab"
            )
            assert await tags.page(db, APP, "", 1000) == expected
            log = await db.scan("SELECT revision FROM changes ORDER BY revision")
            assert [row[0] for row in log] == list(range(1, len(log) + 1))
            assert len(log) == 1 + 3 * count * 3

        using(url, scenario)

    @pytest.mark.parametrize("acknowledged", [1, 37, 100])
    def test_a_killed_process_loses_nothing_acknowledged_and_leaves_no_half(
        self, url: str, acknowledged: int
    ) -> None:
        (writer,) = start_writers(url, ("w",), 10_000)
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip() for _ in range(acknowledged)]
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.communicate(timeout=60)[0].split()

        async def scenario(db: Database) -> None:
            await push(db, image("after"), "after")
            found = set(await tags.page(db, APP, "", 100_000))
            for name in said:
                assert f"{name}-a" in found
                stored = await manifests.by_tag(db, APP, Tag(f"{name}-b"))
                assert stored is not None
                assert stored.content == name.replace("-", " ").encode()
            pushes = {name.rpartition("-")[0] for name in found - {"after"}}
            assert len(found) == 2 * len(pushes) + 1
            newest = (await span(db)).newest
            assert [row[0] for row in await db.scan("SELECT count(*) FROM changes")] == [newest]

        using(url, scenario)

    def test_what_one_process_commits_the_other_reads_at_once(self, url: str) -> None:
        blob = Digest.of(b"blob")

        async def scenario() -> None:
            async with opened(url) as one, opened(url) as two:
                for number in range(20):
                    name = RepositoryName(f"shop/app{number}")
                    await link(one, blob, 1, name)
                    assert await links.size(two, name, blob) == 1

        asyncio.run(scenario())


class MetadataWritesSuite(Units, Queue, Processes):
    """All of it; collected through its subclasses only."""
