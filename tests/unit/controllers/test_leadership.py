import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.controllers.leadership import lead
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import MetastoreBusy
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

KIND = "tests"


def told(directory: Path, story: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(url)
        database = await open_database(url)
        try:
            await story(database)
        finally:
            await database.close()

    asyncio.run(run())


class Work:
    """Goes on until it is cancelled, and says when it is under way."""

    def __init__(self, *failures: Exception) -> None:
        self.begun = 0
        self.under_way = asyncio.Event()
        self.failures = list(failures)

    async def __call__(self) -> None:
        self.begun += 1
        self.under_way.set()
        try:
            if self.failures:
                raise self.failures.pop(0)
            await asyncio.Event().wait()
        finally:
            self.under_way.clear()


async def soon(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


async def end(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


def test_one_leads_and_the_next_takes_over_at_once_when_it_ends(tmp_path: Path) -> None:
    async def story(database: Database) -> None:
        one, other = Work(), Work()
        first = asyncio.ensure_future(lead(database, KIND, one, look=0.01))
        await one.under_way.wait()
        second = asyncio.ensure_future(lead(database, KIND, other, look=0.01))
        await asyncio.sleep(0.1)
        assert not other.begun
        await end(first)
        await asyncio.wait_for(other.under_way.wait(), 5)
        await end(second)

    told(tmp_path, story)


def test_who_is_killed_is_followed_when_the_lease_has_ended(tmp_path: Path) -> None:
    async def story(database: Database) -> None:
        def killed(tx: Transaction) -> None:  # it claimed, and was never heard of again
            jobs.enqueue(tx, KIND, KIND, due=tx.now())
            assert jobs.claim(tx, KIND, "gone", tx.now(), 0.3)

        await database.write(killed)
        work = Work()
        task = asyncio.ensure_future(lead(database, KIND, work, lease=0.3, look=0.01))
        await asyncio.wait_for(work.under_way.wait(), 5)
        await end(task)

    told(tmp_path, story)


def test_who_lost_the_lease_stops(tmp_path: Path) -> None:
    async def story(database: Database) -> None:
        work = Work()
        task = asyncio.ensure_future(lead(database, KIND, work, lease=0.2, look=0.01))
        await work.under_way.wait()

        def taken(tx: Transaction) -> None:
            jobs.drop(tx, KIND, KIND)
            jobs.enqueue(tx, KIND, KIND, due=tx.now())
            assert jobs.claim(tx, KIND, "another", tx.now(), 3600)

        await database.write(taken)
        await soon(lambda: not work.under_way.is_set())
        await asyncio.sleep(0.1)
        assert work.begun == 1
        await end(task)

    told(tmp_path, story)


def test_a_lease_is_kept_and_what_went_wrong_before_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.controllers.leadership.STEADY_SECONDS", 0.2)

    async def story(database: Database) -> None:
        for holder in ("one", "two"):  # two were killed

            def killed(tx: Transaction, holder: str = holder) -> None:
                jobs.enqueue(tx, KIND, KIND, due=tx.now())
                assert jobs.claim(tx, KIND, holder, tx.now(), -1)

            await database.write(killed)
        work = Work()
        task = asyncio.ensure_future(lead(database, KIND, work, lease=0.4, look=0.01))
        await work.under_way.wait()

        async def attempts() -> int:
            found = await jobs.find(database, KIND, KIND)
            assert found is not None
            return found.attempts

        assert await attempts() == 2
        for _ in range(500):
            if not await attempts():
                break
            await asyncio.sleep(0.01)
        assert await attempts() == 0
        assert work.begun == 1
        await end(task)

    told(tmp_path, story)


def test_work_that_fails_is_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(database: Database) -> None:
        work = Work(MetastoreBusy("full"), ValueError("a fault of ours"))
        task = asyncio.ensure_future(lead(database, KIND, work, look=0.01))
        await soon(lambda: work.begun == 3)
        await end(task)

    told(tmp_path, story)
    assert [each.levelname for each in caplog.records if "taking the lead" in each.message] == [
        "WARNING",
        "ERROR",
    ]
