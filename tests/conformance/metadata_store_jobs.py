"""Work with leases: every engine passes this suite. Moments are numbers of the tests' own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.conformance.metadata_store import opened, using
from tidegate.metastore import job_queue, jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.job_queue import Lane
from tidegate.metastore.jobs import ABANDONED, ABANDONED_AT_ONCE, ABANDONED_PAUSE, Job

LEASE = 30.0


def add(name: str, due: float, kind: str = "copy", **fields: Any) -> Callable[[Transaction], None]:
    return lambda tx: jobs.enqueue(tx, kind, name, due=due, now=0.0, **fields)


async def claim(
    db: Database, holder: str, now: float, lane: str | None = None, kind: str = "copy"
) -> Job | None:
    return await db.write(lambda tx: jobs.claim(tx, kind, holder, now, LEASE, lane), durable=False)


async def taken(db: Database, holder: str, now: float, lane: str | None = None) -> Job:
    job = await claim(db, holder, now, lane)
    assert job is not None
    return job


async def found(db: Database, name: str) -> Job:
    job = await jobs.find(db, "copy", name)
    assert job is not None
    return job


def names(listed: Sequence[Job]) -> list[str]:
    return [each.name for each in listed]


class Claims:
    """Who does what, and when."""

    def test_what_has_been_due_the_longest_is_taken_first(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for name, due in (("b", 20.0), ("a", 10.0), ("c", 30.0), ("later", 99.0)):
                await db.write(add(name, due))
            await db.write(add("other kind", 1.0, kind="delete"))
            order = [await claim(db, f"h{number}", 50.0) for number in range(4)]
            assert [each and each.name for each in order] == ["a", "b", "c", None]

        using(url, scenario)

    def test_a_job_is_held_by_one_until_the_lease_is_over(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0))
            first = await taken(db, "one", 10.0)
            assert (first.holder, first.due_at, first.lease_until) == ("one", 10.0, 10.0 + LEASE)
            assert await claim(db, "two", 10.0 + LEASE - 1) is None
            second = await taken(db, "two", 10.0 + LEASE)
            assert (second.attempts, (await found(db, "a")).error) == (1, ABANDONED)

            def outdated(tx: Transaction) -> list[bool]:
                return [
                    jobs.is_held(tx, first),
                    jobs.extend(tx, first, 41.0, LEASE, position="wrong"),
                    jobs.finish(tx, first, 41.0, again_at=None),
                    jobs.fail(tx, first, 41.0, "wrong", 41.0),
                    jobs.release(tx, first),
                ]

            assert await db.write(outdated) == [False] * 5
            assert (await found(db, "a")).holder == "two"
            assert await db.write(lambda tx: jobs.is_held(tx, second))

        using(url, scenario)

    def test_a_lease_that_is_extended_goes_on(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0, total=8))
            job = await taken(db, "one", 10.0)

            def extend(tx: Transaction) -> bool:
                return jobs.extend(tx, job, 30.0, LEASE, position="here", done=3)

            assert await db.write(extend)
            assert await claim(db, "two", 59.0) is None
            again = await taken(db, "two", 60.0)
            assert (again.position, again.done, again.total) == ("here", 3, 8)

        using(url, scenario)

    def test_what_outlives_several_processes_has_to_wait(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 0.0))
            now = 0.0
            for attempt in range(ABANDONED_AT_ONCE + 1):
                assert (await taken(db, f"h{attempt}", now)).attempts == attempt
                now += LEASE
            assert await claim(db, "last", now) is None
            left = await found(db, "a")
            pause = ABANDONED_PAUSE * (ABANDONED_AT_ONCE + 1)
            assert (left.holder, left.due_at, left.error) == ("", now + pause, ABANDONED)
            await taken(db, "last", now + pause)

        using(url, scenario)

    def test_two_processes_never_take_the_same_job(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for number in range(40):
                await db.write(add(f"{number:02}", number))
            got: list[str] = []

            async def take(database: Database, process: str) -> None:
                for turn in range(30):

                    def unit(tx: Transaction, turn: int = turn) -> list[Job]:
                        holder = f"{process}.{turn}"
                        return jobs.claim_some(tx, "copy", holder, 100.0, LEASE, None, 3)

                    got.extend(names(await database.write(unit, durable=False)))

            async with opened(url) as other:
                await asyncio.gather(take(db, "one"), take(other, "two"))
            assert sorted(got) == [f"{number:02}" for number in range(40)]

        using(url, scenario)


class Ends:
    """What becomes of a job that was done."""

    def test_a_job_is_done_again_when_its_end_says_so(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0))
            job = await taken(db, "one", 10.0)
            assert await db.write(lambda tx: jobs.finish(tx, job, 12.0, again_at=100.0))
            done = await found(db, "a")
            assert (done.due_at, done.holder, done.finished_at) == (100.0, "", 12.0)
            assert await claim(db, "two", 99.0) is None
            await taken(db, "two", 100.0)

        using(url, scenario)

    def test_a_job_without_another_time_is_kept_until_it_is_asked_for(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0))
            job = await taken(db, "one", 10.0)
            await db.write(lambda tx: jobs.finish(tx, job, 12.0, again_at=None))
            assert (await found(db, "a")).due_at is None
            assert await jobs.next_due(db, "copy") is None
            assert await claim(db, "two", 1e9) is None
            await db.write(add("a", 20.0))
            await taken(db, "two", 20.0)

        using(url, scenario)

    def test_failures_in_a_row_are_counted_until_one_succeeds(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0))
            for attempt in (1, 2):
                job = await taken(db, f"h{attempt}", 10.0 * attempt)

                def fail(tx: Transaction, job: Job = job, attempt: int = attempt) -> bool:
                    return jobs.fail(tx, job, 15.0, "no route", 10.0 * (attempt + 1))

                assert await db.write(fail)
                failed = await found(db, "a")
                assert (failed.attempts, failed.error) == (attempt, "no route")
            job = await taken(db, "three", 30.0)
            assert job.attempts == 2
            await db.write(lambda tx: jobs.finish(tx, job, 31.0, again_at=40.0))
            assert ((await found(db, "a")).attempts, (await found(db, "a")).error) == (0, "")

        using(url, scenario)

    @pytest.mark.parametrize(("asked", "again", "due"), [(15.0, 50.0, 15.0), (60.0, 50.0, 50.0)])
    def test_what_is_asked_for_meanwhile_is_done_once_more(
        self, url: str, asked: float, again: float, due: float
    ) -> None:
        async def scenario(db: Database) -> None:
            for end in (
                lambda tx, job: jobs.finish(tx, job, 16.0, again_at=again),
                lambda tx, job: jobs.fail(tx, job, 16.0, "no", again),
            ):
                await db.write(lambda tx: jobs.drop(tx, "copy", "a"))
                await db.write(add("a", 10.0))
                job = await taken(db, "one", 10.0)
                await db.write(add("a", asked + 5))
                await db.write(add("a", asked))
                assert await claim(db, "two", 20.0) is None
                await db.write(lambda tx, end=end, job=job: end(tx, job))  # type: ignore[misc]  # bound here
                assert (await found(db, "a")).due_at == due

        using(url, scenario)

    def test_a_finish_for_ever_gives_way_to_who_asked_meanwhile(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0))
            job = await taken(db, "one", 10.0)
            await db.write(add("a", 11.0))

            def end(tx: Transaction) -> None:
                jobs.finish(tx, job, 12.0, again_at=None)
                jobs.drop_finished(tx, "copy", "a")

            await db.write(end)
            second = await taken(db, "two", 12.0)
            await db.write(lambda tx: jobs.finish(tx, second, 13.0, again_at=None))
            await db.write(lambda tx: jobs.drop_finished(tx, "copy", "a"))
            assert await jobs.find(db, "copy", "a") is None

        using(url, scenario)

    def test_a_job_that_is_given_back_keeps_its_place(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0))
            await db.write(add("b", 11.0))
            job = await taken(db, "one", 20.0)
            await db.write(lambda tx: jobs.release(tx, job))
            again = await taken(db, "two", 20.0)
            assert (again.name, again.due_at, again.attempts) == ("a", 10.0, 0)

        using(url, scenario)

    def test_a_dropped_job_is_lost_to_who_holds_it(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0, project="shop"))
            await db.write(add("b", 10.0, project="lab"))
            job = await taken(db, "one", 10.0)
            await db.write(lambda tx: jobs.drop_project(tx, "shop", 5))
            assert not await db.write(lambda tx: jobs.finish(tx, job, 11.0, again_at=None))
            assert names(await job_queue.listing(db, None, ("", "", ""), 10)) == ["b"]

        using(url, scenario)

    def test_jobs_of_a_beginning_are_dropped_some_at_a_time(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for name in ("shop/a", "shop/a:1", "shop/a:Z~", "shop/a:x", "shop/a2:1", "shop/b:1"):
                await db.write(add(name, 10.0))
            counts = [
                await db.write(lambda tx: jobs.drop_part(tx, "copy", "shop/a:", 2))
                for _ in range(3)
            ]
            assert counts == [2, 1, 0]
            left = ["shop/a", "shop/a2:1", "shop/b:1"]
            assert names(await job_queue.listing(db, None, ("", "", ""), 10)) == left
            found = await jobs.named(db, "copy", [*left, "shop/a:1"])
            assert sorted(found) == left

        using(url, scenario)


class Queues:
    """What waits, and in which lane."""

    def test_an_earlier_time_wins_over_a_later_one(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for due in (20.0, 10.0, 30.0):
                await db.write(add("a", due))
            assert await jobs.next_due(db, "copy") == 10.0
            assert await jobs.next_due(db, "other") is None

        using(url, scenario)

    def test_a_job_keeps_its_position_unless_another_is_given(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(add("a", 10.0, position="begin", total=3))
            await db.write(add("a", 10.0))
            assert ((await found(db, "a")).position, (await found(db, "a")).total) == ("begin", 3)
            job = await taken(db, "one", 10.0)
            await db.write(lambda tx: jobs.extend(tx, job, 11.0, LEASE, position="middle"))
            await db.write(add("a", 10.0, position="begin"))
            assert (await found(db, "a")).position == "middle"
            await db.write(lambda tx: jobs.release(tx, job))
            await db.write(add("a", 10.0, position="begin"))
            assert (await found(db, "a")).position == "begin"

        using(url, scenario)

    def test_lanes_are_found_and_counted_apart(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for number in range(5):
                await db.write(add(f"slow{number}", 10.0 + number, lane="slow.example"))
            await db.write(add("fast", 12.0, lane="fast.example"))
            await db.write(add("future", 99.0, lane="future.example"))
            await db.write(add("none", 13.0))
            lanes = [("slow.example", 10.0), ("fast.example", 12.0), ("", 13.0)]
            assert await job_queue.lanes(db, "copy") == [*lanes, ("future.example", 99.0)]
            assert (await taken(db, "one", 50.0, "fast.example")).name == "fast"
            assert await claim(db, "two", 50.0, "fast.example") is None
            waiting = [Lane("copy", "", 1, 13.0), Lane("copy", "slow.example", 5, 10.0)]
            assert await job_queue.waiting(db, "copy", 50.0) == waiting
            assert await job_queue.waiting(db, None, 50.0) == waiting
            assert await job_queue.lanes(db, "other") == []

        using(url, scenario)

    def test_a_listing_goes_on_after_any_place(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for project in ("", "lab", "shop"):
                for kind in ("copy", "delete"):
                    await db.write(add(f"{project}/{kind}", 1.0, kind=kind, project=project))
            everything = names(await job_queue.listing(db, None, ("", "", ""), 10))
            assert everything == [
                *("/copy", "/delete", "lab/copy", "lab/delete", "shop/copy", "shop/delete")
            ]
            page = await job_queue.listing(db, None, ("lab", "copy", "lab/copy"), 2)
            assert names(page) == ["lab/delete", "shop/copy"]
            assert names(await job_queue.listing(db, "", ("", "", ""), 10)) == ["/copy", "/delete"]
            shop = await job_queue.listing(db, "shop", ("shop", "copy", "shop/copy"), 10)
            assert names(shop) == ["shop/delete"]

        using(url, scenario)

    def test_leases_go_by_the_clock_that_all_share(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            async with opened(url) as other:
                early = await db.write(lambda tx: tx.now(), durable=False)
                between = await other.write(lambda tx: tx.now())
                late = await db.write(lambda tx: tx.now())
            assert early <= between <= late

        using(url, scenario)


class MetadataJobsSuite(Claims, Ends, Queues):
    """All of it; collected through its subclasses only."""
