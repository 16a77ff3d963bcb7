"""What all processes know of other registries: every engine passes this suite."""

from collections.abc import Awaitable, Callable

from tests.conformance.metadata_store import using
from tidegate.metastore.database import Database
from tidegate.metastore.upstream_budget import ASKED, BACKGROUND, FAILURES, NOW, TRIAL
from tidegate.metastore.upstreams import (
    FAILURE_FORGOTTEN_AFTER,
    FORGOTTEN_AFTER,
    FRESH,
    Upstreams,
    every,
)


class Clock:
    """The time, as a test has it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A database that counts what is asked of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = self.writes = 0

    def __getattr__(self, name: str) -> object:
        self.reads += name in ("fetch", "scan")
        self.writes += name == "write"
        return getattr(self._database, name)


Scenario = Callable[[Upstreams, Upstreams, Clock], Awaitable[None]]


def two_processes(url: str, scenario: Scenario) -> None:
    """Run it with what two processes know, and one clock."""

    async def run(db: Database) -> None:
        clock = Clock()
        await scenario(Upstreams(db, clock, lambda: 0.5), Upstreams(db, clock, lambda: 0.5), clock)

    using(url, run)


class MetadataUpstreamsSuite:
    """Collected through the subclasses of each engine."""

    def test_a_registry_without_limits_costs_a_look_now_and_then(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            counted, clock = Counted(db), Clock()
            upstreams = Upstreams(counted, clock)  # type: ignore[arg-type]
            for _ in range(50):
                assert await upstreams.wait("quay.io", "", NOW, counted=True) == (0.0, "")
                await upstreams.answered("quay.io")
            assert (counted.reads, counted.writes) == (1, 0)
            clock.now += FRESH
            await upstreams.wait("quay.io", "", NOW, counted=True)
            assert (counted.reads, counted.writes) == (2, 0)

        using(url, scenario)

    def test_plenty_is_not_counted(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            counted = Counted(db)
            upstreams = Upstreams(counted, Clock())  # type: ignore[arg-type]
            await upstreams.learn("quay.io", "", 10_000, 60.0, 9_900)
            writes = counted.writes
            for left in range(9_900, 9_800, -1):
                assert await upstreams.wait("quay.io", "", BACKGROUND, counted=True) == (0.0, "")
                await upstreams.learn("quay.io", "", 10_000, 60.0, left)
            assert counted.writes == writes

        using(url, scenario)

    def test_processes_take_from_one_budget(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            await one.learn("docker.io", "", 100, 21600.0, 6)
            clock.now += FRESH
            waits = [
                (await each.wait("docker.io", "", NOW, counted=True))[0]
                for _ in range(5)
                for each in (one, other)
            ]
            assert waits[:6] == [0.0] * 6
            assert all(wait > 200 for wait in waits[6:])
            assert (await one.wait("docker.io", "", NOW, counted=False))[0] == 0.0  # a blob

        two_processes(url, scenario)

    def test_each_account_has_its_own_budget(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            await one.learn("docker.io", "", 100, 21600.0, 0)
            await one.refused("docker.io", "ann", 60.0)
            assert (await one.wait("docker.io", "", ASKED, counted=True))[0] > 0
            assert (await one.wait("docker.io", "bob", ASKED, counted=True))[0] == 0
            assert (await other.wait("docker.io", "ann", NOW, counted=False)) == (60.0, "")
            clock.now += 60.0
            assert (await other.wait("docker.io", "ann", NOW, counted=True))[0] == 0

        two_processes(url, scenario)

    def test_a_registry_that_fails_again_and_again_is_left_alone_by_all(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            for number in range(FAILURES):
                assert await other.wait("quay.io", "ann", NOW, counted=True) == (0.0, ""), number
                await one.failed("quay.io", "no answer")
                clock.now += FRESH
            wait, why = await other.wait("quay.io", "ann", NOW, counted=True)
            assert 0 < wait <= 10.0
            assert why == "no answer"
            assert await other.wait("docker.io", "", NOW, counted=True) == (0.0, "")

        two_processes(url, scenario)

    def test_a_success_between_failures_starts_the_count_anew(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            for _ in range(3):
                for _ in range(FAILURES - 1):
                    await one.failed("quay.io", "no answer")
                clock.now += FRESH
                await other.answered("quay.io")
                clock.now += FRESH
            assert await one.wait("quay.io", "", NOW, counted=True) == (0.0, "")

        two_processes(url, scenario)

    def test_one_request_of_one_process_tries_it_again(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            for _ in range(FAILURES):
                await one.failed("quay.io", "no answer")
            clock.now += 10.0
            assert (await one.wait("quay.io", "", NOW, counted=True))[0] == 0
            for each in (one, other):
                assert (await each.wait("quay.io", "", NOW, counted=True))[0] > 0
            await one.failed("quay.io", "still no answer")
            clock.now += FRESH  # as long as the other relies on what it read
            wait, _ = await other.wait("quay.io", "", NOW, counted=True)
            assert 10.0 < wait <= 20.0  # twice as long as before
            clock.now += 20.0
            assert (await other.wait("quay.io", "", NOW, counted=True))[0] == 0
            await other.answered("quay.io")
            clock.now += FRESH
            assert await one.wait("quay.io", "", NOW, counted=True) == (0.0, "")

        two_processes(url, scenario)

    def test_a_trial_that_ended_with_its_process_is_followed_by_another(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            for _ in range(FAILURES):
                await one.failed("quay.io", "no answer")
            clock.now += 10.0
            assert (await one.wait("quay.io", "", NOW, counted=True))[0] == 0
            clock.now += TRIAL
            assert (await other.wait("quay.io", "", NOW, counted=True))[0] == 0

        two_processes(url, scenario)

    def test_failures_of_what_was_under_way_do_not_prolong_the_pause(self, url: str) -> None:
        async def scenario(one: Upstreams, other: Upstreams, clock: Clock) -> None:
            for each in (one, other) * 50:
                await each.failed("quay.io", "no answer")
            assert (await one.wait("quay.io", "", NOW, counted=True))[0] <= 10.0

        two_processes(url, scenario)

    def test_what_nothing_is_heard_of_is_forgotten(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            clock = Clock()
            upstreams = Upstreams(db, clock)
            await upstreams.learn("limited.example", "", 10, 60.0, 5)
            await upstreams.failed("mistyped.example", "x" * 10_000)
            [limited, mistyped] = await every(db)
            assert (limited.host, limited.budget.allowance) == ("limited.example", 10)
            assert mistyped.health.failures == 1
            assert len(mistyped.health.error) == 300
            clock.now += FAILURE_FORGOTTEN_AFTER + 1
            await upstreams.failed("new.example", "no answer")
            assert [each.host for each in await every(db)] == ["limited.example", "new.example"]
            clock.now += FORGOTTEN_AFTER
            await upstreams.failed("newer.example", "no answer")
            assert [each.host for each in await every(db)] == ["newer.example"]

        using(url, scenario)
