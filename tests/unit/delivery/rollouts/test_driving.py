"""Rollouts on an embedded database, with triggers beside them: what comes in the middle.

The clock is the test's, and moves only when nothing is left to do at the time there is, so that no
test depends on how quick the machine is; gates answer what the test says.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.delivery.rollouts.roads import Road
from tests.unit.delivery.triggers.things import HOST, digest, entry
from tests.unit.delivery.triggers.world import DEPLOYMENTS, World, world
from tidegate.apimachinery.documents.deletion import Cascade
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.auth.stored import put, put_new, read
from tidegate.controllers.rollouts import Rollouts
from tidegate.controllers.work_queue import WorkQueue
from tidegate.delivery.rollouts import driving as driving_module
from tidegate.delivery.rollouts.driving import Driving
from tidegate.delivery.rollouts.facts import Look
from tidegate.delivery.rollouts.gates import READY
from tidegate.delivery.rollouts.splits import Split
from tidegate.delivery.rollouts.traffic import Balance
from tidegate.delivery.triggers.stored_targets import StoredTargets
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.targets import Seen, TargetUnavailable
from tidegate.delivery.triggers.workload import Workload
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.images.streams.stream import Change as TagChange
from tidegate.kinds.rollout import ROLLOUTS, Rollout, RolloutSpec, RolloutStatus, RolloutStep
from tidegate.kinds.rollout_gates import HttpGate, PrometheusGate, RolloutGate
from tidegate.kinds.rollout_traffic import FINALIZER, RolloutTraffic, TrafficRule
from tidegate.kinds.trigger_policy import Follow
from tidegate.metastore import manifests
from tidegate.metastore.database import Transaction
from tidegate.metastore.manifests import Manifest
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

GOOD, BAD, NOTHING_YET = Look(True, "good"), Look(False, "bad"), Look(None, "not yet")
JUMPS, QUIET, HANG = 500, 5, 300.0
"""Moves of the clock until a condition is waited for in vain; looks at which nothing is under way
before it moves; and seconds of the machine after which a test is ended that hangs."""
UP = RolloutGate(
    name="up", http_get=HttpGate(url="http://gate.example/"), failures=1, interval="1s"
)
FAILING = RolloutGate(
    name="failing", prometheus=PrometheusGate(url="http://p.example", query="up", condition="> 0"),
    failures=1, interval="1s",
)  # fmt: skip
WEB = RepositoryName("shop/web")
CANARY, REST = RolloutStep(name="canary", workloads=["canary"]), RolloutStep(name="rest")


class Gates:
    """What looks: it answers as it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer = self.ready = GOOD
        self.asked: list[str] = []
        self.free = asyncio.Event()
        self.free.set()

    async def look(self, gate: RolloutGate, workloads: Sequence[Workload]) -> Look:
        if gate == READY:
            return self.ready
        self.asked.append(gate.name)
        await self.free.wait()
        return BAD if gate.name == FAILING.name else self.answer


class Story:
    """A world with rollouts."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.gates = Gates()
        self.road = Road()
        self.leading: list[Rollouts] = []

    def process(
        self, kind: type[Driving] = Driving, targets: StoredTargets | None = None
    ) -> Rollouts:
        """One that may lead."""
        made = self.world
        tags = Tags(made.database, Hosts(HOST, ""))
        driving = kind(made.store, made.database, tags, self.road, made.audit, made.clock)
        triggers = made.triggers(driving, targets=targets)
        process = Rollouts(made.store, driving, triggers, self.gates, made.clock)
        self.leading.append(process)
        return process

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Let what is under way be done, and time pass, until something holds."""
        async with asyncio.timeout(HANG):
            for _ in range(JUMPS):
                quiet = 0
                while quiet < QUIET:
                    if await condition():
                        return
                    await asyncio.sleep(0.001)
                    await self.world.store.catch_up()  # everybody was told of what is committed
                    quiet = 0 if self._busy() else quiet + 1
                self.passes(self._next())
        raise AssertionError(f"waited in vain for {what}")

    def _queues(self) -> Iterator[WorkQueue[Any]]:
        for process in self.leading:
            if process._leads:
                yield process._queue
                yield process._triggers._queue

    def _busy(self) -> bool:
        """Whether something is done, or could be, at the time there is."""
        if any(each._working or self._due(each, self.world.now) for each in self._queues()):
            return True
        rounds = (r for p in self.leading for r in p._lookout._rounds.values())
        looks = (task for each in rounds for _, task in each.tasks.values())
        return self.gates.free.is_set() and not all(each.done() for each in looks)

    def _due(self, queue: WorkQueue[Any], now: float) -> bool:
        return any(each <= now for each in queue._due.values())

    def _next(self) -> float:
        """Seconds until something is to be done."""
        times = [each for queue in self._queues() for each in queue._due.values()]
        return max(min(times, default=0.0) - self.world.now, 0.1)

    async def roll(
        self,
        *steps: RolloutStep,
        name: str = "web",
        gates: Sequence[RolloutGate] = (UP,),
        **spec: Any,
    ) -> None:
        """Make or change a Rollout, as a client does."""
        tag = spec.pop("tag", "web:1")
        wanted = RolloutSpec(
            tag=tag, steps=list(steps) or [CANARY, REST], gates=list(gates), **spec
        )

        def unit(tx: Any) -> None:
            key = Key(ROLLOUTS.key, "shop", name)
            stored = tx.get(key)
            old = None if stored is None else read(ROLLOUTS, stored)
            new = Rollout(spec=wanted)
            ROLLOUTS.strategy.prepare(new, old)
            new.metadata.name, new.metadata.namespace = name, "shop"
            if old is None:
                new.metadata.generation = 1
                put_new(tx, ROLLOUTS, new, self.world.now)
            else:
                new.metadata = old.metadata
                new.metadata.generation += 1
                put(tx, ROLLOUTS, new)

        await self.world.store.write(unit)

    async def move(self, reference: str) -> None:
        """Let the tag only refer to another registry."""
        await self.world.database.write(lambda tx: _move(tx, reference, ""))

    async def found(self, name: str = "web") -> Rollout | None:
        found = await self.world.store.get(Key(ROLLOUTS.key, "shop", name))
        return None if found is None else read(ROLLOUTS, found)

    def audited(self) -> list[str]:
        events = self.world.audit.events
        return [each.detail for each in events if each.action == "rollout"]

    async def delete(self) -> None:
        """Delete the Rollout, as a client does."""

        def unit(tx: Any) -> None:
            stored = tx.get(Key(ROLLOUTS.key, "shop", "web"))
            Cascade(tx, {}, "2026-11-25T00:00:00Z").delete(stored, "")

        await self.world.store.write(unit)

    async def gone(self) -> bool:
        return await self.found() is None

    async def says(self, words: str) -> None:
        async def there() -> bool:
            return words in (await self.status()).message

        await self.until(there, words)

    async def weighed(self, *weights: dict[str, int]) -> None:
        async def there() -> bool:
            return self.road.weights == [*weights]

        await self.until(there, f"{weights}")

    async def status(self, name: str = "web") -> RolloutStatus:
        found = await self.found(name)
        assert found is not None
        return found.status

    async def reach(self, phase: str, step: int | None = None, name: str = "web") -> RolloutStatus:
        async def there() -> bool:
            status = await self.status(name)
            return status.phase == phase and step in (None, status.step)

        try:
            await self.until(there, phase)
        except AssertionError:
            raise AssertionError(f"wanted {phase} {step}: {await self.status(name)}") from None
        return await self.status(name)

    async def runs(self, **letters: str) -> None:
        async def there() -> bool:
            return all([await self.world.image(name) == each for name, each in letters.items()])

        await self.until(there, f"{letters}")

    async def begun(self, *, canary: bool = True, kept: bool = True, **spec: Any) -> "Story":
        """Canary and main run a, which is stable; b is pushed, and canary gets it."""
        await self.world.push("shop/web", "1", "a")
        if canary:
            await self.world.deploy("canary")
        await self.world.deploy("main")
        await self.runs(canary="a", main="a")
        await self.roll(**spec)
        await self.reach("Complete")
        if kept:
            first = Manifest(Digest(digest("a")), "text/plain", b"a")
            await self.world.database.write(lambda tx: manifests.put(tx, WEB, first, [], 1))
        await self.world.push("shop/web", "1", "b")
        return self

    def passes(self, seconds: float) -> None:
        self.world.now += seconds
        for each in self._queues():
            each.add([])  # which looks at the clock


def _move(tx: Transaction, reference: str, image: str) -> None:
    stream = Stream.open(tx, WEB) or Stream.make(tx, WEB, _stream())
    change = TagChange(reference, image, 1)
    stream.record(Tag("1"), change, Actor("ann", PUSH, 0.0))
    stream.save()


def _stream() -> ImageStream:
    return ImageStream(
        metadata=ObjectMeta(name="web", namespace="shop", uid="uid-web", generation=1)
    )


@asynccontextmanager
async def leading(process: Rollouts) -> AsyncIterator[Rollouts]:
    task = asyncio.ensure_future(process.run())
    try:
        yield process
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait({task})


Tell = Callable[[Callable[[Story, Rollouts], Awaitable[None]]], None]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Runs a story, with one process that leads."""

    def run(story: Callable[[Story, Rollouts], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with world(tmp_path) as made:
                told = Story(made)
                async with leading(told.process()) as process:
                    await story(told, process)

        asyncio.run(inside())

    return run


def test_an_image_goes_from_step_to_step(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        await told.begun()
        await told.runs(canary="b", main="b")
        status = await told.reach("Complete")
        assert status.stable == digest("b")
        assert told.gates.asked == ["up", "up"]

    tell(story)


def test_a_bad_gate_takes_the_tag_back(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = BAD
        await told.begun()
        status = await told.reach("RolledBack")
        assert status.failed == [digest("b")]
        await told.runs(canary="a", main="a")

    tell(story)


def test_who_takes_over_goes_on_where_the_one_before_was(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.reach("Progressing", 1)
        await told.runs(canary="b")
        async with leading(told.process()):  # while the one before has not seen that it is over
            told.gates.answer = GOOD
            told.world.now += 20
            await told.roll(suspend=True)
            await told.roll()
            await told.runs(main="b")
            status = await told.reach("Complete")
        assert [each.outcome for each in status.history] == ["Complete"]

    tell(story)


def test_who_takes_over_decides_nothing_before_all_workloads_are_known(tell: Tell) -> None:
    """None that is known would be none that waits: each step would be over at once."""

    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.runs(canary="b")
        read: set[str] = set()
        decided: list[set[str]] = []

        class Reading(StoredTargets):
            async def _tell_all(self, resource: str, seen: Seen) -> None:
                await super()._tell_all(resource, seen)
                read.add(resource)

        class Deciding(Driving):
            async def drive(self, key: Key, *others: Any) -> float | None:
                decided.append(set(read))
                return await super().drive(key, *others)

        targets = told.world.targets()
        targets.__class__ = Reading

        async def has_decided() -> bool:
            return bool(decided)

        async with leading(told.process(Deciding, targets)):  # beside the one before
            await told.until(has_decided, "a decision")
            assert decided[0] == {*targets.resources}
            told.gates.answer = GOOD
            await told.runs(main="b")

    tell(story)


def test_what_was_decided_on_an_older_rollout_is_not_written(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.reach("Progressing", 1)
        steps = process._driving._known.get(Key(ROLLOUTS.key, "shop", "web"))
        assert steps is not None
        await told.roll(tag="web:2")
        written = await process._driving._keep(
            steps,
            RolloutStatus(phase="RollingBack", stable=digest("a")),
            process._triggers,
            Balance(),
        )
        assert not written
        assert (await told.reach("Idle")).stable == ""

    tell(story)


def test_another_tag_makes_another_rollout_of_it(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.reach("Progressing", 1)
        await told.world.push("shop/web", "2", "c")
        await told.roll(tag="web:2")
        status = await told.reach("Complete")
        assert (status.stable, status.target, status.history) == (digest("c"), "", [])
        await told.runs(main="b")  # which nothing brakes any more

    tell(story)


def test_the_second_rollout_of_a_tag_counts_when_the_first_is_gone(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.reach("Progressing", 1)
        told.world.now += 1
        await told.roll(name="second")
        await told.reach("Held", name="second")
        await told.world.delete(ROLLOUTS.key, "shop", "web")
        await told.reach("Complete", name="second")

    tell(story)


def test_workloads_come_and_go_in_the_middle(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.reach("Progressing", 1)
        await told.world.deploy("late")
        await told.world.delete(DEPLOYMENTS, "shop", "canary")

        async def held() -> bool:
            change = await told.world.change("deployment.late")
            return change is not None and change.reasons == ["RollsOut"]

        await told.until(held, "the late one to wait")
        assert await told.world.image("late") == "web:1"
        told.gates.answer = GOOD
        told.passes(20)
        await told.runs(main="b", late="b")

    tell(story)


def test_a_workload_whose_policy_follows_others_is_not_waited_for(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        await told.world.push("shop/web", "1.4.2", "c")
        await told.world.policy(follow=Follow(versions="^1.4"), workloads=["main"])
        await told.world.push("shop/web", "1", "a")
        await told.world.deploy("canary")
        await told.world.deploy("main")
        await told.runs(canary="a", main="c")
        await told.roll()
        await told.reach("Complete")
        await told.world.push("shop/web", "1", "b")
        await told.runs(canary="b")
        assert (await told.reach("Complete")).stable == digest("b")
        assert await told.world.image("main") == "c"

    tell(story)


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_tag_or_stream_that_is_deleted_in_the_middle_ends_it(
    tell: Tell, *, all_of_it: bool
) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.runs(canary="b")
        if all_of_it:
            await told.world.delete(IMAGE_STREAMS.key, "shop", "web")
        else:
            await told.world.untag("shop/web", "1")
        status = await told.reach("Idle")
        assert (status.target, status.stable) == ("", digest("a"))
        assert await told.world.image("canary") == "b"
        await told.world.push("shop/web", "1", "a")
        await told.reach("Complete")
        await told.runs(canary="a", main="a")

    tell(story)


def test_a_tag_that_becomes_a_reference_begins_anew_and_goes_back_to_a_digest(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.runs(canary="b")
        await told.move("quay.io/other/web:9")

        async def seen() -> bool:
            return (await told.status()).target == "quay.io/other/web:9"

        await told.until(seen, "the reference to be rolled out")
        told.gates.answer = BAD
        status = await told.reach("RolledBack")
        assert status.failed == ["quay.io/other/web:9"]
        await told.runs(canary="a", main="a")

    tell(story)


def test_a_stable_image_without_digest_cannot_be_gone_back_to_and_says_so(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = BAD
        await told.move("quay.io/other/web:9")
        await told.world.deploy("canary")
        await told.roll()
        await told.reach("Complete")
        await told.world.push("shop/web", "1", "b")
        assert "the tag cannot go back" in (await told.reach("Held")).message

    tell(story)


def test_an_image_that_is_gone_cannot_be_gone_back_to_and_says_so(
    tell: Tell,
) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = BAD
        await told.begun(kept=False)
        assert "no longer here" in (await told.reach("Held")).message
        assert await told.world.image("canary") == "b"

    tell(story)


def test_a_tag_that_is_moved_by_hand_while_it_goes_back_stays_where_it_was_moved(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        back = driving_module._roll_back

        def moved_before(tx: Any, **named: Any) -> bool:
            _move(tx, f"/shop/web@{digest('c')}", digest("c"))
            return back(tx, **named)

        monkeypatch.setattr(driving_module, "_roll_back", moved_before)
        told.gates.answer = BAD
        await told.begun()

        async def begun_anew() -> bool:
            status = await told.status()
            return digest("c") in (status.target, *status.failed)

        await told.until(begun_anew, "the image that came by hand")
        status = await told.status()
        assert status.history[0].outcome == "Superseded"
        assert digest("b") in status.failed

    tell(story)


def test_suspended_while_the_tag_is_to_go_back_it_does_not(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.free.clear()
        told.gates.answer = BAD
        await told.begun()
        await told.until(lambda: _true(told.gates.asked), "a look")
        await told.roll(suspend=True)
        told.gates.free.set()
        await told.reach("Suspended")
        assert await told.world.image("canary") == "b"
        await told.roll()
        await told.reach("RolledBack")

    tell(story)


def test_gates_that_hang_delay_no_rollout_of_others(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.free.clear()
        many = [
            RolloutGate(name=f"{each}", http_get=UP.http_get, interval="1s") for each in range(8)
        ]
        for each in range(30):
            await told.world.push("shop/web", f"t{each}", "a")
            await told.roll(name=f"r{each}", tag=f"web:t{each}", gates=many)
            await told.reach("Complete", name=f"r{each}")
        for each in range(30):
            await told.world.push("shop/web", f"t{each}", "b")
        for each in range(30):
            await told.reach("Progressing", 1, name=f"r{each}")
        await told.until(lambda: _true(len(told.gates.asked) == 8), "as many looks as may be")
        await told.begun(gates=())  # of the same project even, and nothing is to be asked
        await told.runs(canary="b", main="b")
        assert len(told.gates.asked) == 8
        told.gates.free.set()
        await told.reach("Progressing", 2, name="r29")

    tell(story)


async def _true(value: object) -> bool:
    return bool(value)


def test_both_containers_of_a_workload_get_the_image_in_one_step(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.world.push("shop/web", "1", "a")
        await told.world.deploy(
            "canary", entry(), entry(container="web1"), images=("web:1", "web:1")
        )
        await told.runs(canary="a")
        await told.begun(canary=False)
        await told.runs(canary="b")
        assert await told.world.image("canary", index=1) == "b"
        assert await told.world.image("main") == "a"

    tell(story)


def test_hold_leaves_tag_and_workloads_as_they_are_until_another_image(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = BAD
        await told.begun(on_failure="Hold")
        assert "gate up: bad" in (await told.reach("Held")).message
        await told.runs(canary="b", main="a")
        told.gates.answer = GOOD
        await told.world.push("shop/web", "1", "c")
        await told.runs(canary="c", main="c")

    tell(story)


def test_other_tags_are_not_braked(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.answer = NOTHING_YET
        await told.begun()
        await told.world.push("shop/web", "2", "a")
        await told.world.deploy("other", entry("web:2"))
        await told.runs(other="a")
        await told.world.push("shop/web", "2", "b")
        await told.runs(other="b", main="a")

    tell(story)


def test_a_suspended_rollout_asks_nothing_and_goes_on_when_it_may(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        await told.begun(suspend=True)
        await told.reach("Suspended")
        told.passes(3600)
        await told.runs(canary="a", main="a")
        assert told.gates.asked == []
        await told.roll()
        await told.runs(canary="b", main="b")

    tell(story)


OWN, TEN, HALF = ({"web": 100 - each, "web-canary": each} for each in (0, 10, 50))
WEIGHED = (CANARY, RolloutStep(name="ten", weights=TEN), RolloutStep(name="half", weights=HALF))
TRAFFIC = RolloutTraffic(http_route="web")


async def weighing(told: Story, *steps: RolloutStep, **spec: Any) -> None:
    """Have b rolled out with weights."""
    await told.world.push("shop/web", "1", "a")
    for name in ("canary", "main"):
        await told.world.deploy(name)
    await told.runs(canary="a", main="a")
    await told.roll(*(steps or (*WEIGHED, REST)), traffic=TRAFFIC, **spec)
    await told.reach("Complete")
    first = Manifest(Digest(digest("a")), "text/plain", b"a")
    await told.world.database.write(lambda tx: manifests.put(tx, WEB, first, [], 1))
    await told.world.push("shop/web", "1", "b")


def test_traffic_follows_the_canary_and_comes_back_with_the_rest(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        told.gates.ready = NOTHING_YET
        await weighing(told)
        await told.says("step ten: not yet")
        assert told.road.written == []
        told.gates.ready, told.gates.answer = GOOD, NOTHING_YET
        await told.weighed(TEN)
        assert await told.world.image("main") == "a"
        found = await told.found()
        assert found is not None
        assert found.metadata.finalizers == [FINALIZER]
        told.gates.answer = GOOD
        assert (await told.reach("Complete")).stable == digest("b")
        await told.runs(canary="b", main="b")
        assert told.road.written == [[TEN], [HALF], [OWN]]
        found = await told.found()
        assert found is not None
        assert found.metadata.finalizers == []
        for line in (
            "HTTPRoute web gets web 90, web-canary 10",
            "HTTPRoute web has its own weights again",
        ):
            await told.until(lambda line=line: _true(line in told.audited()), line)  # type: ignore[misc]

    tell(story)


def test_the_traffic_is_off_before_the_tag_goes_back(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        back, weights = driving_module._roll_back, []

        def seen_before(tx: Any, **named: Any) -> bool:
            weights.append(told.road.weights)
            return back(tx, **named)

        monkeypatch.setattr(driving_module, "_roll_back", seen_before)
        await weighing(told, *WEIGHED[:2], replace(WEIGHED[2], gates=[FAILING]), REST)
        await told.reach("RolledBack")
        await told.runs(canary="a", main="a")
        assert weights == [[OWN]]
        assert told.road.written == [[TEN], [HALF], [OWN]]

    tell(story)


@pytest.mark.parametrize("made", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize("dies_at", [TEN, HALF, OWN], ids=["ten", "half", "own"])
def test_who_takes_over_from_one_that_died_at_a_write_goes_on(
    tmp_path: Path, dies_at: dict[str, int], *, made: bool
) -> None:
    """The status says what is to be, the object has it or not: both are gone on from."""

    class Dying(Road):
        reached = False

        async def write(self, namespace: str, split: Split, rules: Sequence[TrafficRule]) -> None:
            dies = rules[0].weights == dies_at and not self.reached
            if made or not dies:
                await super().write(namespace, split, rules)
            if dies:
                self.reached = True
                await asyncio.Event().wait()

    async def inside() -> None:
        async with world(tmp_path) as known:
            told, road = Story(known), Dying()
            told.road = road

            first = asyncio.ensure_future(told.process().run())
            await weighing(told)
            first_queue = told.leading[0]._queue
            async with asyncio.timeout(HANG):
                while not road.reached:
                    await asyncio.sleep(0.001)
                    if not first_queue._working:
                        told.passes(1.0)
            first.cancel()
            await asyncio.wait({first})
            status = await told.status()
            assert status.traffic is not None
            assert [each.weights for each in status.traffic.original] == [OWN]
            assert [each.weights for each in status.traffic.weights] == [dies_at]
            assert status.traffic.written == ""
            told.leading.clear()
            async with leading(told.process()):
                await told.runs(canary="b", main="b")
                assert (await told.reach("Complete")).stable == digest("b")
            assert road.written == [[TEN], [HALF], [OWN]]

    asyncio.run(inside())


def test_a_rollout_that_is_deleted_in_the_middle_gives_the_weights_back(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        steps = (*WEIGHED[:2], replace(WEIGHED[2], pause="1h"), REST)
        await weighing(told, *steps)
        await told.weighed(HALF)
        told.road.unreadable = TargetUnavailable("away")
        await told.delete()
        await told.says("is deleted when HTTPRoute web gets back what it had")
        await told.says("the cluster does not answer")
        assert await told.world.image("main") == "a"  # which it brakes as long as it is there
        told.road.unreadable = None
        await told.until(told.gone, "the rollout to go")
        assert told.road.weights == [OWN]
        await told.runs(main="b")

    tell(story)


def test_a_finalizer_that_nothing_owes_holds_no_rollout(tell: Tell) -> None:
    """As an older server leaves it that has lost what is owed, or as somebody wrote it."""

    async def story(told: Story, process: Rollouts) -> None:
        await told.world.push("shop/web", "1", "a")
        await told.roll()
        await told.reach("Complete")

        def unit(tx: Any) -> None:
            found = read(ROLLOUTS, tx.get(Key(ROLLOUTS.key, "shop", "web")))
            found.metadata.finalizers = [FINALIZER]
            put(tx, ROLLOUTS, found)

        await told.world.store.write(unit)
        await told.delete()
        await told.until(told.gone, "the rollout to go")

    tell(story)


def test_a_policy_that_reports_has_weights_reported_and_not_written(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        await weighing(told, RolloutStep(name="ten", weights=TEN), REST, suspend=True)
        await told.world.policy(mode="Report", workloads=["canary"])
        await told.roll(RolloutStep(name="ten", weights=TEN), REST, traffic=TRAFFIC)

        async def reported() -> bool:
            traffic = (await told.status()).traffic
            return traffic is not None and bool(traffic.patch)

        await told.until(reported, "the weights to be reported")
        found = await told.found()
        assert found is not None
        assert found.metadata.finalizers == []
        told.road.edit(TEN)
        await told.reach("Progressing", 2)
        assert told.road.written == []

    tell(story)


def test_weights_are_not_written_while_it_is_suspended(tell: Tell) -> None:
    async def story(told: Story, process: Rollouts) -> None:
        await weighing(told, *WEIGHED[:1], replace(WEIGHED[1], pause="1h"), REST)
        await told.weighed(TEN)
        steps = (*WEIGHED[:1], replace(WEIGHED[1], weights=HALF), REST)
        await told.roll(*steps, traffic=TRAFFIC, suspend=True)
        await told.reach("Suspended")
        told.passes(3600)
        assert told.road.written == [[TEN]]
        await told.roll(*steps, traffic=TRAFFIC)
        await told.reach("Complete")
        assert told.road.written == [[TEN], [HALF], [OWN]]

    tell(story)
