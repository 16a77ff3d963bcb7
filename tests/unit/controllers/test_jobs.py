"""What one process does with the jobs of a kind. Nothing here waits for time to pass."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from tidegate.controllers.job_clock import DATABASE_TIME, Clock
from tidegate.controllers.job_leases import LeaseLost
from tidegate.controllers.jobs import (
    Ended,
    JobFailed,
    Limits,
    Postponed,
    Progress,
    Work,
    backoff,
    run_jobs,
)
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Row, Transaction, Value
from tidegate.metastore.jobs import Job
from tidegate.metastore.open import open_database
from tidegate.remote.errors import Unavailable

KIND = "copy"


class Time:
    """The test's own time: whoever waits with nothing under way moves it on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.under_way = 0

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        if self.under_way:
            await event.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await event.wait()
                return
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(lambda tx: self.now, lambda: self.now, self.wait)


class World:
    """A database and the runs of processes that share it."""

    def __init__(self, database: Database, url: str) -> None:
        self.database = database
        self.url = url
        self.time = Time()
        self.done: list[tuple[str, float]] = []
        self.runs: list[asyncio.Task[None]] = []

    async def add(self, *names: str, due: float = 0.0, **fields: Any) -> None:
        def unit(tx: Transaction) -> None:
            for name in names:
                jobs.enqueue(tx, KIND, name, due=due, now=0.0, **fields)

        await self.database.write(unit)

    def run(self, work: Work, **options: Any) -> "asyncio.Task[None]":
        async def noted(job: Job, progress: Progress) -> float | Ended | None:
            self.time.under_way += 1
            try:
                ended = await work(job, progress)
            finally:
                self.time.under_way -= 1
            self.done.append((job.name, self.time.now))
            return ended

        options.setdefault("clock", self.time.clock())
        task = asyncio.create_task(run_jobs(self.database, KIND, noted, **options))
        self.runs.append(task)
        return task

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  as many things as there are tests
                await asyncio.sleep(0.002)

    async def until_row(
        self, name: str, condition: Callable[[Job | None], bool], kind: str = KIND
    ) -> None:
        async with asyncio.timeout(30):
            while not condition(  # noqa: ASYNC110  as many things as there are tests
                await jobs.find(self.database, kind, name)
            ):
                await asyncio.sleep(0.002)

    async def find(self, name: str) -> Job:
        found = await jobs.find(self.database, KIND, name)
        assert found is not None
        return found


def in_world(url: str, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        database = await open_database(url)
        world = World(database, url)
        try:
            await scenario(world)
        finally:
            for task in world.runs:
                task.cancel()
            await asyncio.gather(*world.runs, return_exceptions=True)
            await database.close()

    asyncio.run(run())


async def nothing(job: Job, progress: Progress) -> None:
    """Work that succeeds at once."""


def test_work_is_done_again_when_it_says_so(url: str) -> None:
    async def scenario(world: World) -> None:
        async def every_minute(job: Job, progress: Progress) -> float:
            return world.time.now + 60

        await world.add("a", due=1010.0)
        world.run(every_minute)
        await world.until(lambda: len(world.done) == 3)
        assert world.done == [("a", 1010.0), ("a", 1070.0), ("a", 1130.0)]

    in_world(url, scenario)


def test_an_idle_one_asks_nothing_and_yet_begins_at_once_what_is_enqueued(url: str) -> None:
    async def scenario(world: World) -> None:
        asked, waiting = Counted(world), asyncio.Event()
        changed = world.database.changed

        async def waits(token: int, look: float | None = None) -> None:
            waiting.set()
            await changed(token, look)

        world.database.changed = waits  # type: ignore[method-assign]  # seen, for one test
        world.run(nothing, clock=DATABASE_TIME)
        await waiting.wait()
        before = asked.reads
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert asked.reads == before  # its token proves that nothing was committed
        await world.add("a")
        await world.until(lambda: world.done != [])

    in_world(url, scenario)


class Counted:
    """Counts the reads of a world's database."""

    def __init__(self, world: World) -> None:
        self.reads = 0
        fetch, scan = world.database.fetch, world.database.scan

        async def counted(sql: str, params: Sequence[Value] = ()) -> list[Row]:
            self.reads += 1
            return await fetch(sql, params)

        async def scanned(sql: str, params: Sequence[Value] = ()) -> list[Row]:
            self.reads += 1
            return await scan(sql, params)

        world.database.fetch = counted  # type: ignore[method-assign]  # counting, for one test
        world.database.scan = scanned  # type: ignore[method-assign]  # counting, for one test


def test_failures_are_told_and_tried_again_later_and_later(url: str) -> None:
    async def scenario(world: World) -> None:
        errors = [Unavailable("no route"), JobFailed("no such mirror"), RuntimeError("a secret")]
        seen: list[tuple[float, str]] = []

        async def work(job: Job, progress: Progress) -> None:
            seen.append((world.time.now, job.error))
            if errors:
                raise errors.pop(0)

        await world.add("a")
        world.run(work)
        await world.until(lambda: world.done != [])
        said = [error for _, error in seen]
        assert said == ["", "no route", "no such mirror", "the server failed; its log says how"]
        times = [at for at, _ in seen]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert [0.75 * 2**n <= pause <= 1.26 * 2**n for n, pause in enumerate(pauses)] == [True] * 3
        finished = await world.find("a")
        assert (finished.attempts, finished.error, finished.due_at) == (0, "", None)

    in_world(url, scenario)


def test_no_pause_between_failures_is_longer_than_ten_minutes() -> None:
    assert all(450 <= backoff(attempts) <= 750 for attempts in (11, 100, 10_000))


def test_what_is_not_to_be_done_again_may_be_forgotten(url: str) -> None:
    async def scenario(world: World) -> None:
        await world.add("a")
        world.run(nothing, keep=False)
        await world.until(lambda: world.done != [])
        await world.until_row("a", lambda job: job is None)

    in_world(url, scenario)


def test_a_lane_that_hangs_holds_up_no_other(url: str) -> None:
    async def scenario(world: World) -> None:
        hanging = 0

        async def work(job: Job, progress: Progress) -> None:
            nonlocal hanging
            if job.lane == "slow":
                hanging += 1
                await asyncio.Event().wait()

        await world.add(*(f"slow{number:03}" for number in range(200)), lane="slow")
        await world.add(*(f"fast{number}" for number in range(20)), due=1.0, lane="fast")
        world.run(work, limits=Limits(parallel=4, per_lane=2))
        await world.until(lambda: len(world.done) == 20)
        assert hanging == 2

    in_world(url, scenario)


def test_a_lane_in_which_very_many_wait_leaves_others_their_turn(url: str) -> None:
    async def scenario(world: World) -> None:
        turns = 0

        async def rest(lane: str) -> float:
            nonlocal turns
            turns += 1
            return 0.0 if turns % 2 else 1.0  # a pace that all lanes keep together

        async def work(job: Job, progress: Progress) -> None:
            """Done at once."""

        await world.add(*(f"many{number:03}" for number in range(300)), lane="many")
        await world.add(*(f"few{number}" for number in range(5)), due=900.0, lane="few")
        world.run(work, rest=rest, limits=Limits(parallel=1))
        await world.until(lambda: sum(name.startswith("few") for name, _ in world.done) == 5)
        assert len(world.done) <= 15

    in_world(url, scenario)


def test_a_job_that_was_dropped_is_not_said_to_be_elsewhere(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        async def work(job: Job, progress: Progress) -> None:
            await world.database.write(lambda tx: jobs.drop(tx, KIND, job.name))

        await world.add("a", "b")
        world.run(work)
        await world.until(lambda: len(world.done) == 2)

    in_world(url, scenario)
    assert not caplog.records


def test_no_more_is_done_at_once_than_a_process_may(url: str) -> None:
    async def scenario(world: World) -> None:
        most = 0

        async def work(job: Job, progress: Progress) -> None:
            nonlocal most
            most = max(most, world.time.under_way)
            await asyncio.sleep(0)

        await world.add(*(f"{number}" for number in range(50)))
        world.run(work, limits=Limits(parallel=3, per_lane=9))
        await world.until(lambda: len(world.done) == 50)
        assert most == 3

    in_world(url, scenario)


def test_a_lane_that_has_to_rest_is_left_alone_for_as_long(url: str) -> None:
    async def scenario(world: World) -> None:
        begun: list[float] = []

        async def rest(lane: str) -> float:
            return max(0.0, 1500.0 - world.time.now) if lane == "limited" else 0.0

        async def work(job: Job, progress: Progress) -> None:
            begun.append(world.time.now)

        await world.add("a", lane="limited")
        await world.add("b", due=1.0, lane="free")
        world.run(work, rest=rest)
        await world.until(lambda: len(world.done) == 2)
        assert world.done == [("b", 1000.0), ("a", 1500.0)]

    in_world(url, scenario)


def test_a_job_that_is_postponed_keeps_its_place_before_others(url: str) -> None:
    async def scenario(world: World) -> None:
        tried: list[str] = []

        async def work(job: Job, progress: Progress) -> None:
            tried.append(job.name)
            if len(tried) == 1:
                raise Postponed(200)

        await world.add("first", due=1.0)
        await world.add("second", due=2.0)
        world.run(work, limits=Limits(parallel=1))
        await world.until(lambda: len(world.done) == 2)
        assert tried == ["first", "first", "second"]
        assert [at for _, at in world.done] == [1200.0, 1200.0]

    in_world(url, scenario)


def test_what_an_end_writes_is_kept_with_it(url: str) -> None:
    async def scenario(world: World) -> None:
        async def work(job: Job, progress: Progress) -> Ended:
            return Ended(None, lambda tx: jobs.enqueue(tx, "other", "next", due=1.0, now=1.0))

        await world.add("a")
        world.run(work)
        await world.until(lambda: world.done != [])
        await world.until_row("next", lambda job: job is not None, "other")

    in_world(url, scenario)


def test_work_may_say_itself_when_it_is_tried_again_after_a_failure(url: str) -> None:
    async def scenario(world: World) -> None:
        async def work(job: Job, progress: Progress) -> Ended:
            return Ended(world.time.now + 900, error="no such tag")

        await world.add("a", due=1000.0)
        world.run(work)
        await world.until(lambda: len(world.done) == 3)
        assert [at for _, at in world.done] == [1000.0, 1900.0, 2800.0]
        failed = await world.find("a")
        assert (failed.attempts, failed.error) >= (2, "no such tag")

    in_world(url, scenario)


def test_work_that_lost_its_lease_is_stopped_and_writes_nothing(url: str) -> None:
    async def scenario(world: World) -> None:
        stopped = asyncio.Event()
        holding = asyncio.Event()
        held: list[Job] = []

        async def work(job: Job, progress: Progress) -> Ended | None:
            held.append(job)
            if len(held) > 1:
                return None
            holding.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.set()
                raise
            return None

        await world.add("a")
        world.run(work, limits=Limits(lease=0.2))
        await holding.wait()
        # as if this process had been stopped for longer than the lease: another one took the job
        await world.database.write(lambda tx: jobs.drop(tx, KIND, "a"))
        await asyncio.wait_for(stopped.wait(), 30)
        await world.add("a")
        await world.until(lambda: world.done != [])
        assert held[0].holder != held[1].holder

    in_world(url, scenario)


def test_a_lease_that_cannot_be_extended_is_given_up_before_it_ends(url: str) -> None:
    async def scenario(world: World) -> None:
        stopped = asyncio.Event()
        write = world.database.write

        async def work(job: Job, progress: Progress) -> None:
            async def hangs(*_: object, **__: object) -> Any:
                await asyncio.Event().wait()

            world.database.write = hangs  # type: ignore[method-assign]  # as a database that hangs
            try:
                await asyncio.Event().wait()
            finally:
                world.database.write = write  # type: ignore[method-assign]
                stopped.set()

        await world.add("a")
        world.run(work, limits=Limits(lease=0.4))
        await asyncio.wait_for(stopped.wait(), 30)

    in_world(url, scenario)


def test_telling_of_progress_keeps_the_position_and_notices_a_lost_lease(url: str) -> None:
    async def scenario(world: World) -> None:
        lost: list[bool] = []

        async def work(job: Job, progress: Progress) -> None:
            await progress.tell(position="half", done=5, total=10)
            await progress.tell(done=6)  # too soon after the last one to be written
            told = await world.find("a")
            assert (told.position, told.done, told.total) == ("half", 5, 10)
            await world.database.write(lambda tx: jobs.drop(tx, KIND, "a"))
            try:
                await progress.tell(position="end")
            except LeaseLost:
                lost.append(True)
                raise

        await world.add("a")
        world.run(work)
        await world.until(lambda: lost != [])
        assert await jobs.find(world.database, KIND, "a") is None

    in_world(url, scenario)


def test_a_process_that_stops_gives_its_jobs_back(url: str) -> None:
    async def scenario(world: World) -> None:
        begun = asyncio.Event()

        async def work(job: Job, progress: Progress) -> None:
            begun.set()
            await asyncio.Event().wait()

        await world.add("a", due=500.0)
        task = world.run(work)
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = await world.find("a")
        assert (left.holder, left.due_at, left.attempts) == ("", 500.0, 0)
        world.run(nothing)
        await world.until(lambda: world.done != [])

    in_world(url, scenario)


def test_several_processes_share_the_work_and_none_is_done_twice(url: str) -> None:
    async def scenario(world: World) -> None:
        other = World(await open_database(url), url)
        other.time, other.done = world.time, world.done
        names = [f"{number:03}" for number in range(120)]
        await world.add(*names)

        async def work(job: Job, progress: Progress) -> None:
            await asyncio.sleep(0)

        world.run(work)
        other.run(work)
        await world.until(lambda: len(world.done) >= len(names))
        assert sorted(name for name, _ in world.done) == names
        for task in other.runs:
            task.cancel()
        await asyncio.gather(*other.runs, return_exceptions=True)
        await other.database.close()

    in_world(url, scenario)


def test_an_outage_ends_no_run(url: str) -> None:
    async def scenario(world: World) -> None:
        fetch = world.database.fetch
        failing = 3

        async def fails(sql: str, params: Sequence[Value] = ()) -> list[Row]:
            nonlocal failing
            if failing:
                failing -= 1
                raise RuntimeError("for the test")
            return await fetch(sql, params)

        world.database.fetch = fails  # type: ignore[method-assign]  # as a database that fails
        await world.add("a")
        world.run(nothing)
        await world.until(lambda: world.done != [])

    in_world(url, scenario)
