"""Rollouts on an embedded database, with triggers beside them: what comes in the middle.

The clock is the test's; gates answer what the test says.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.delivery.triggers.things import HOST, digest, entry
from tests.unit.delivery.triggers.world import DEPLOYMENTS, World, until, world
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.auth.stored import put, put_new, read
from tidegate.controllers.rollouts import Rollouts
from tidegate.delivery.rollouts import driving as driving_module
from tidegate.delivery.rollouts.driving import Driving
from tidegate.delivery.rollouts.facts import Look
from tidegate.delivery.rollouts.routes import NoRoutes
from tidegate.delivery.rollouts.traffic import Balance
from tidegate.delivery.triggers.stored_targets import StoredTargets
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.targets import Seen
from tidegate.delivery.triggers.workload import Workload
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.images.streams.stream import Change as TagChange
from tidegate.kinds.rollout import (
    ROLLOUTS,
    HttpGate,
    Rollout,
    RolloutGate,
    RolloutSpec,
    RolloutStatus,
    RolloutStep,
)
from tidegate.kinds.trigger_policy import Follow
from tidegate.metastore import manifests
from tidegate.metastore.database import Transaction
from tidegate.metastore.manifests import Manifest
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

GOOD, BAD, NOTHING_YET = Look(True, "good"), Look(False, "bad"), Look(None, "not yet")
UP = RolloutGate(
    name="up", http_get=HttpGate(url="http://gate.example/"), failures=1, interval="1s"
)
WEB = RepositoryName("shop/web")
CANARY, REST = RolloutStep(name="canary", workloads=["canary"]), RolloutStep(name="rest")


class Gates:
    """What looks: it answers as it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer = GOOD
        self.asked: list[str] = []
        self.free = asyncio.Event()
        self.free.set()

    async def look(self, gate: RolloutGate, workloads: Sequence[Workload]) -> Look:
        self.asked.append(gate.name)
        await self.free.wait()
        return self.answer


class Story:
    """A world with rollouts."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.gates = Gates()
        self.leading: list[Rollouts] = []

    def process(
        self, kind: type[Driving] = Driving, targets: StoredTargets | None = None
    ) -> Rollouts:
        """One that may lead."""
        made = self.world
        tags = Tags(made.database, Hosts(HOST, ""))
        driving = kind(made.store, made.database, tags, NoRoutes(), made.audit, made.clock)
        triggers = made.triggers(driving, targets=targets)
        process = Rollouts(made.store, driving, triggers, self.gates, made.clock)
        self.leading.append(process)
        return process

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Let time pass until something holds."""

        async def looked() -> bool:
            self.passes(0.1)
            return await condition()

        await until(looked, what)

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

    async def status(self, name: str = "web") -> RolloutStatus:
        found = await self.world.store.get(Key(ROLLOUTS.key, "shop", name))
        assert found is not None
        return read(ROLLOUTS, found).status

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
        for process in self.leading:
            process._queue.add([])  # which looks at the clock


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
