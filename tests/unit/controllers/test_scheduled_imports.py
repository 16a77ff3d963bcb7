"""Scheduled tags by the clock: hours pass, the scheduler and its database are the real ones."""

from pathlib import Path

import msgspec

from tests.unit.controllers.import_world import HOUR, Registry, World, in_world
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.controllers.import_looks import SCHEDULED, Look
from tidegate.controllers.scheduled_imports import LIMITS, Pace
from tidegate.kinds.event import EVENTS
from tidegate.kinds.work.background_job import BACKGROUND_JOBS, BackgroundJob
from tidegate.kinds.work.job_storage import JobStorage
from tidegate.metastore import import_counts, job_queue, jobs
from tidegate.metastore.database import Transaction
from tidegate.metastore.import_counts import ImportCount

HUB, QUAY = "hub.example", "quay.example"
PERIOD = 6 * HOUR


def most_in_a_period(asked: list[float]) -> int:
    """The most requests in any six hours."""
    first, most = 0, 0
    for number, at in enumerate(asked):
        while asked[first] <= at - PERIOD:
            first += 1
        most = max(most, number - first + 1)
    return most


def test_ten_thousand_tags_share_what_their_registry_allows(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        hub = world.far.registries[HUB] = Registry(world.time, 100, PERIOD)
        await world.streams(HUB, 100, 100)
        began = world.time.now
        world.run(world.imports(world.looks()))
        await world.until(lambda: world.time.now > began + 2 * 24 * HOUR)
        await world.stop()
        # the budget holds, and is used but for the part that is left to who waits
        assert hub.refused == 0
        assert most_in_a_period(hub.asked) <= 100
        assert len(hub.asked) >= 0.75 * 100 * 8
        # nobody is looked at twice before all others were once
        assert max(world.far.looks.values()) == 1
        # the queue is visible: how many wait, and since when the one that is next
        (lane,) = await job_queue.waiting(world.database, SCHEDULED, world.time.now)
        assert lane.lane == HUB
        assert lane.waiting >= 10_000 - len(hub.asked) - 1
        assert began < lane.oldest <= world.time.now
        storage = JobStorage(BACKGROUND_JOBS, world.database, world.time.read)
        call = Call(user=User("ann"), verb="list", namespace="shop")
        chosen = Selection(fields=(("spec.kind", SCHEDULED, True),))
        page = await storage.list(call, ListOptions(selection=chosen, limit=10))
        shown = [msgspec.json.decode(each, type=BackgroundJob) for each in page.bodies]
        assert {each.spec.lane for each in shown} == {HUB}

    in_world(migrated_file, tmp_path, scenario)


def test_freshness_is_even_round_after_round(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.far.registries[HUB] = Registry(world.time, 100, PERIOD)
        await world.streams(HUB, 5, 20)
        world.run(world.imports(world.looks()))
        await world.until(lambda: sum(world.far.looks.values()) > 350)
        await world.stop()
        counts = world.far.looks.values()
        assert len(counts) == 100
        assert max(counts) - min(counts) <= 1
        oldest = world.time.now - min(world.far.seen.values())
        # 100 looks by what BACKGROUND may use of the budget, four fifths of it, are 7.5 hours
        assert 0.9 * 7.5 * HOUR < oldest < 1.1 * 7.5 * HOUR

    in_world(migrated_file, tmp_path, scenario)


def test_two_processes_keep_one_budget_and_look_at_nothing_twice(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        hub = world.far.registries[HUB] = Registry(world.time, 100, PERIOD)
        await world.streams(HUB, 5, 40)
        for _ in range(2):
            world.run(world.imports(world.looks()))
        await world.until(lambda: sum(world.far.looks.values()) > 250)
        await world.stop()
        assert hub.refused == 0
        assert most_in_a_period(hub.asked) <= 100
        assert max(world.far.looks.values()) - min(world.far.looks.values()) <= 1

    in_world(migrated_file, tmp_path, scenario)


def test_a_registry_that_allows_little_holds_up_no_other(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        world.far.registries[HUB] = Registry(world.time, 10, PERIOD)
        await world.streams(HUB, 1, 100)
        often = {"tidegate.io/import-interval": "60s"}
        await world.streams(QUAY, 1, 1, annotations=often)
        began = world.time.now
        world.run(world.imports(world.looks()))
        await world.until(lambda: world.time.now > began + 10 * HOUR)
        await world.stop()
        looks, minutes = world.far.looks["shop/quay-0:t0"], (world.time.now - began) / 60
        assert minutes / 1.06 - 1 <= looks <= minutes / 0.94 + 1
        assert sum(world.far.looks.values()) - looks <= 20

    in_world(migrated_file, tmp_path, scenario)


def test_all_processes_together_look_at_so_many_in_a_minute(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 5, 100)
        world.time.now += 900.0  # all are due
        began = world.time.now
        for _ in range(2):
            world.run(world.imports(world.looks(), per_minute=60))
        await world.until(lambda: len(world.far.times) >= 500)
        minutes = (world.far.times[499] - began) / 60
        # two minutes' worth may come at once
        assert 500 / 60 - 2 - 0.5 <= minutes <= 500 / 60

    in_world(migrated_file, tmp_path, scenario)


def test_a_pace_is_asked_for_at_the_database_only_when_a_turn_may_be_free(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        pace = Pace(world.database, 1, world.time.read)
        assert [await pace.rest(QUAY) for _ in range(3)] == [0.0, 0.0, 60.0]
        world.time.now += 20.0
        assert await pace.rest(HUB) == 40.0
        world.time.now += 40.0
        assert await pace.rest(HUB) == 0.0

    in_world(migrated_file, tmp_path, scenario)


def test_tags_that_came_together_are_not_looked_at_together(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 1, 200)
        found = await world.scheduled()
        due = sorted(each.due_at - world.time.now for each in found if each.due_at is not None)
        assert len(due) == 200
        assert due[0] < 100 < 300 < due[100] < 600 < 800 < due[-1] <= 900

    in_world(migrated_file, tmp_path, scenario)


def test_a_failure_is_seen_in_the_job_in_one_event_and_in_the_counts(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        often = {"tidegate.io/import-interval": "1m"}
        await world.streams(QUAY, 1, 1, annotations=often)
        place = "shop/quay-0:t0"
        world.far.failing[place] = 'dockerimage "quay.example/app/web:t0" not found'
        began = world.time.now
        world.run(world.imports(world.looks()))
        await world.until(lambda: world.time.now > began + 35 * 60)
        await world.stop()
        failed = await jobs.find(world.database, SCHEDULED, place)
        assert failed is not None
        assert failed.error == world.far.failing[place]
        minutes = (world.time.now - began) / 60
        # at its period, not later and later
        assert minutes / 1.06 - 2 <= failed.attempts <= minutes / 0.94 + 1
        (document,) = (await world.store.list(EVENTS.key, "shop")).documents
        event = msgspec.json.decode(document.body)
        assert event["type"] == "Warning"
        assert event["reason"] == "ImportFailed"
        assert event["message"] == f"t0: {failed.error}"
        assert event["involvedObject"]["kind"] == "ImageStream"
        assert event["involvedObject"]["name"] == "quay-0"
        # the stop may have come between an Event and its job's row, as with the counts below
        assert 20 <= event["count"] <= failed.attempts + 1
        ((written,),) = await world.database.fetch(
            "SELECT count(*) FROM history WHERE resource = ?", (EVENTS.key,)
        )
        assert 3 <= written <= minutes / 10 + 1
        counts = await import_counts.every(world.database)
        assert counts == [ImportCount(True, QUAY, "NotFound", counts[0].number)]
        assert abs(counts[0].number - failed.attempts) <= 1
        del world.far.failing[place]
        world.run(world.imports(world.looks()))
        await world.until(lambda: place in world.far.seen)
        await world.until(lambda: world.far.looks[place] > counts[0].number + 3)
        await world.stop()
        recovered = await jobs.find(world.database, SCHEDULED, place)
        assert recovered is not None
        assert (recovered.attempts, recovered.error) == (0, "")

    in_world(migrated_file, tmp_path, scenario)


def test_an_unchanged_tag_takes_no_revision(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 1, 10)
        before = await world.store.revision()
        world.run(world.imports(world.looks()))
        await world.until(lambda: sum(world.far.looks.values()) > 100)
        assert await world.store.revision() == before

    in_world(migrated_file, tmp_path, scenario)


def test_who_is_scheduled_no_more_has_no_job(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 1, 3)
        world.run(world.imports(world.looks()))

        def unwant(tx: Transaction) -> None:
            tx.execute("UPDATE stream_tags SET spec = NULL WHERE name = 't1'")

        await world.database.write(unwant)
        await world.until(lambda: world.far.looks["shop/quay-0:t0"] > 3)
        names = [each.name for each in await world.scheduled()]
        assert names == ["shop/quay-0:t0", "shop/quay-0:t2"]
        assert world.far.looks["shop/quay-0:t1"] == 0

    in_world(migrated_file, tmp_path, scenario)


def test_a_shorter_period_counts_at_once_and_a_stream_that_is_gone_has_no_jobs(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 1, 20)
        looks = world.looks()
        world.time.now -= 1_000.0  # before anything is due
        namespace = {"metadata": {"annotations": {"tidegate.io/import-interval": "30s"}}}
        body = msgspec.json.encode(namespace)
        key = Key("namespaces", "", "shop")
        await world.store.write(lambda tx: tx.put(key, "uid", lambda _: body))
        await looks.look(Look("shop", "", 0))
        found = await world.scheduled()
        assert all((each.due_at or 0) <= world.time.now + 30 for each in found)
        assert len(found) == 20
        stream = Key("imagestreams.image.openshift.io", "shop", "quay-0")
        await world.store.write(lambda tx: tx.delete(stream))
        await looks.look(Look("shop", "quay-0", 0))
        assert await job_queue.listing(world.database, "shop", ("", "", ""), 50) == []

    in_world(migrated_file, tmp_path, scenario)


def test_who_has_credentials_waits_for_nobody_without(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.streams(HUB, 1, 1)
        config = {"auths": {HUB: {"username": "robot", "password": "hidden"}}}
        secret = {
            "metadata": {"name": "pull", "namespace": "shop"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {},
            "data": {
                ".dockerconfigjson": msgspec.json.encode(msgspec.json.encode(config)).decode()[1:-1]
            },
        }
        body = msgspec.json.encode(secret)
        await world.store.write(
            lambda tx: tx.put(Key("secrets", "shop", "pull"), "uid", lambda _: body)
        )
        world.run(world.imports(world.looks()))
        await world.until(lambda: world.far.looks["shop/hub-0:t0"] >= 2)
        job = await jobs.find(world.database, SCHEDULED, "shop/hub-0:t0")
        assert job is not None
        assert job.lane == f"{HUB} (shop)"

    in_world(migrated_file, tmp_path, scenario)


def test_what_waits_survives_the_process(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.far.registries[HUB] = Registry(world.time, 100, PERIOD)
        await world.streams(HUB, 1, 30)
        for count in (10, 20, 30):
            world.run(world.imports(world.looks()))
            await world.until(lambda count=count: len(world.far.looks) >= count)  # type: ignore[misc]  # bound here
            await world.stop()
        # what was under way when a process ended is done again, the rest is not
        assert sum(world.far.looks.values()) <= 30 + 3 * LIMITS.per_lane

    in_world(migrated_file, tmp_path, scenario)
