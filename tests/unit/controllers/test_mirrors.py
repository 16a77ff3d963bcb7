"""When Mirrors run, what a run may do, and what is shown of it."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tests.images import index, small_image
from tests.unit.delivery.mirrors.local_world import Registry
from tidegate.apimachinery.store import Change, DocumentTransaction, Key
from tidegate.auth.secrets import SECRETS
from tidegate.controllers.jobs import Ended, Progress
from tidegate.controllers.mirror_events import happenings
from tidegate.controllers.mirror_looks import JOB, Position, notice, notice_mirrors, work_of
from tidegate.controllers.mirrors import LONGEST_RETRY, RETRY_SECONDS, Mirrors
from tidegate.controllers.object_events import QUIET_SECONDS, ObjectEvents
from tidegate.delivery.mirrors.local_upload import Local
from tidegate.delivery.mirrors.mirroring import Mirroring
from tidegate.kinds.event import EVENTS, Event
from tidegate.kinds.mirror import MIRROR, RUN, Mirror, MirrorStatus
from tidegate.kinds.registries.import_policy import Allowed, ImportPolicy
from tidegate.metastore import jobs
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.jobs import Job
from tidegate.observability.audit import AuditEvent
from tidegate.oci.name import RepositoryName
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.budgets import NoBudgets
from tidegate.remote.gateway import Gateway
from tidegate.remote.rules import RegistryRules

T = TypeVar("T")

KEY = Key(MIRROR.key, "shop", "m")
BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))
QUAY: dict[str, Any] = {"repository": "quay.invalid/org/app"}


class Recorded(list[AuditEvent]):
    """An audit that keeps its events for the test to read."""

    def record(self, event: AuditEvent) -> None:
        self.append(event)

    def close(self) -> None:
        pass


class Told(Progress):
    """A progress that the test reads."""

    def __init__(self) -> None:
        self.positions: list[str] = []

    async def tell(
        self, *, position: str | None = None, done: int | None = None, total: int | None = None
    ) -> None:
        del done, total
        if position is not None:
            self.positions.append(position)


class World:
    """A registry with a Mirror, and what runs it."""

    def __init__(self, directory: Path) -> None:
        self.registry = Registry(directory)
        self.audit = Recorded()
        self.policy = ImportPolicy()
        self.told = Told()

    def write(self, *, run: str = "", status: MirrorStatus | None = None, **spec: Any) -> None:
        annotations = {RUN: run} if run else {}
        body: dict[str, Any] = {
            "apiVersion": "tidegate.io/v1",
            "kind": "Mirror",
            "metadata": {
                "name": "m",
                "namespace": "shop",
                "uid": "uid-m",
                "generation": 1,
                "annotations": annotations,
            },
            "spec": spec,
        }
        if status is not None:
            body["status"] = status
        self.registry.put(MIRROR.key, "shop", "m", msgspec.json.encode(body))

    def with_parts(self, work: Callable[[Local, Documents, Mirrors], Coroutine[Any, Any, T]]) -> T:
        async def run(local: Local) -> T:
            store = Documents(local.database)
            await store.start()
            gateway = Gateway(RegistryRules, AddressPolicy(), NoBudgets())
            mirroring = Mirroring(
                store,
                local,
                gateway,
                lambda: self.policy,
                lambda: {"registry.internal:5000"},
                local.clock,
            )
            uids = count(1)
            events = ObjectEvents(store, local.clock, lambda: f"event-{next(uids)}")
            mirrors = Mirrors(
                local.database,
                store,
                mirroring,
                self.audit,
                events,
                lambda: 0.5,
                told_seconds=0.01,
            )
            try:
                return await work(local, store, mirrors)
            finally:
                await gateway.close()
                await store.close()

        return self.registry.run(run)

    def run(self, *, attempts: int = 0, position: str = "") -> Ended:
        """One run of the Mirror."""
        job = Job(
            JOB, "shop/m", "", "shop", 0.0, "me", 9e12, attempts, "", position,
            0, 0, 0.0, None, None,
        )  # fmt: skip
        return self.with_parts(lambda _local, _store, mirrors: mirrors.mirror(job, self.told))

    def finish(self) -> None:
        """The job is done, as a run of the Mirror leaves it."""

        def unit(tx: Transaction) -> None:
            job = jobs.claim(tx, JOB, "me", 9e12, 60.0)
            assert job is not None
            assert jobs.finish(tx, job, 9e12, again_at=None)

        self.registry.write(unit)

    def mirror(self) -> Mirror:
        async def read(_local: Local, store: Documents, _mirrors: Mirrors) -> Mirror:
            document = await store.get(KEY)
            assert document is not None
            return msgspec.json.decode(document.body, type=Mirror)

        return self.with_parts(read)

    def events(self) -> dict[str, Event]:
        """What the project was told, by reason."""

        async def read(_local: Local, store: Documents, _mirrors: Mirrors) -> dict[str, Event]:
            listing = await store.list(EVENTS.key, "shop")
            found = [msgspec.json.decode(each.body, type=Event) for each in listing.documents]
            return {each.reason: each for each in found}

        return self.with_parts(read)

    def reason(self) -> str:
        return self.mirror().status.conditions[0].reason

    def message(self) -> str:
        return self.mirror().status.conditions[0].message

    def noticed(self) -> Job | None:
        """The job, once all Mirrors were looked at."""

        async def look(local: Local, store: Documents, mirrors: Mirrors) -> Job | None:
            task = asyncio.create_task(
                notice_mirrors(local.database, store, mirrors.mirroring, notice(store))
            )
            found = None
            for _ in range(40):
                await asyncio.sleep(0.005)
                found = await jobs.find(local.database, JOB, "shop/m")
                if found is not None and found.due_at is not None:
                    break
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return found

        return self.with_parts(look)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.registry.fill(BOTH, "1", RepositoryName("shop/web"))
    return world


STREAMS: dict[str, Any] = {"source": {"stream": "web"}, "target": {"stream": "copy"}}
COPY = RepositoryName("shop/copy")


def test_a_run_copies_tells_and_is_due_again(world: World) -> None:
    world.write(**STREAMS, every="6h")
    ended = world.run()
    assert world.registry.has(BOTH, COPY)
    status = world.mirror().status
    assert status.last_run is not None
    assert (status.last_run.copied, status.last_run.failed) == (1, 0)
    assert status.last_success == status.last_run.finished
    assert status.progress is None
    assert status.observed_generation == 1
    assert world.reason() == "Copied"
    assert ended.error == ""
    assert ended.again_at is not None
    assert 6 * 3600 <= ended.again_at - world.registry.now <= 6.4 * 3600
    (event,) = world.audit
    assert (event.action, event.user) == ("mirror", "system:mirror:shop:m")
    assert (event.repository, event.reference) == ("shop/copy", "1")
    assert event.detail == "from shop/web:1"
    (made,) = world.registry.events("1", COPY)
    assert (made.how, made.who, made.detail) == ("import", "system:mirror:shop:m", "shop/web:1")


def test_without_a_period_it_runs_once(world: World) -> None:
    world.write(**STREAMS)
    assert world.run().again_at is None
    assert world.mirror().status.next_run == ""


def test_a_run_that_finds_nothing_new_is_told_to_nobody(world: World) -> None:
    world.write(**STREAMS)
    world.run()
    world.audit.clear()
    world.run()
    assert world.audit == []
    assert world.mirror().status.last_run is not None


def test_extra_tags_go_if_asked_for_and_if_everything_was_copied(world: World) -> None:
    world.registry.fill(small_image("mine"), "mine", COPY)
    world.registry.fill(small_image("kept"), "kept", COPY)
    world.write(**STREAMS, deleteExtra=True, tags=["1", "mi*"])
    world.run()
    assert world.registry.tag("1", COPY) == BOTH.digest
    assert world.registry.tag("mine", COPY) is None
    assert world.registry.tag("kept", COPY) is not None  # it does not match
    last = world.mirror().status.last_run
    assert last is not None
    assert last.deleted == 1


def test_an_empty_source_deletes_nothing(world: World) -> None:
    world.registry.fill(small_image("mine"), "mine", COPY)
    world.write(**{**STREAMS, "source": {"stream": "nothing"}}, deleteExtra=True)
    world.run()
    assert world.registry.tag("mine", COPY) is not None


def test_suspended_it_does_nothing_and_says_so(world: World) -> None:
    world.write(**STREAMS, every="1h", suspend=True)
    assert world.run().again_at is None
    assert world.registry.tag("1", COPY) is None
    assert world.reason() == "Suspended"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"source": {**QUAY, "secret": "none"}}, "there is no Secret none in project shop"),
        ({"source": {**QUAY, "secret": "opaque"}}, "Secret opaque holds no logins"),
        (
            {"source": {"repository": "registry.internal:5000/other/private"}},
            "is in this registry: name a stream",
        ),
        ({"source": {"repository": "127.0.0.1:5000/a/b"}}, "is no public address"),
        ({"source": {"repository": "169.254.169.254/a/b"}}, "is no public address"),
        (
            {"source": {"stream": "web"}, "target": {"repository": "127.0.0.1:5000/a/b"}},
            "is no public address",
        ),
    ],
)
def test_what_cannot_begin_is_said_and_tried_again_later(
    world: World, spec: dict[str, Any], why: str
) -> None:
    body = {"metadata": {"name": "opaque"}, "type": "Opaque", "data": {"x": "eA=="}}
    world.registry.put(SECRETS.key, "shop", "opaque", msgspec.json.encode(body))
    world.write(**{**STREAMS, **spec})
    ended = world.run()
    assert why in world.message()
    assert world.reason() == "Failed"
    assert why in ended.error
    assert ended.again_at is not None
    assert 0 < ended.again_at - world.registry.now < 2 * RETRY_SECONDS


def test_nothing_is_copied_into_a_project_that_mirrors_a_registry(world: World) -> None:
    annotations = {"tidegate.io/proxy": "docker.io"}
    body = {"metadata": {"name": "shop", "annotations": annotations}}
    world.registry.put("namespaces", "", "shop", msgspec.json.encode(body))
    world.write(**STREAMS)
    world.run()
    assert world.message() == "project shop mirrors docker.io: copy into another project"


def test_what_imports_may_not_use_mirrors_may_not_either(world: World) -> None:
    world.policy = ImportPolicy(allowed=(Allowed("docker.io", "443"),), restricted=True)
    world.write(**{**STREAMS, "source": QUAY})
    world.run()
    assert "not allowed by" in world.message() or "forbidden" in world.message()


def test_pauses_after_failures_double_up_to_a_bound_and_never_past_the_period(
    world: World,
) -> None:
    world.write(**{**STREAMS, "source": {**QUAY, "secret": "none"}})
    pauses = []
    for attempts in (0, 1, 2, 50):
        again = world.run(attempts=attempts).again_at
        assert again is not None
        pauses.append(again - world.registry.now)
    assert pauses == [RETRY_SECONDS, 2 * RETRY_SECONDS, 4 * RETRY_SECONDS, LONGEST_RETRY]
    world.write(**{**STREAMS, "source": {**QUAY, "secret": "none"}}, every="5m")
    again = world.run(attempts=50).again_at
    assert again is not None
    assert again - world.registry.now == 300


def test_a_status_is_not_written_into_another_object_of_the_name(world: World) -> None:
    world.write(**STREAMS)

    async def replaced(_local: Local, store: Documents, mirrors: Mirrors) -> str:
        document = await store.get(KEY)
        assert document is not None
        old = msgspec.json.decode(document.body, type=Mirror)

        def unit(tx: DocumentTransaction) -> None:
            tx.delete(KEY)
            tx.put(KEY, "uid-other", lambda _: document.body.replace(b"uid-m", b"uid-other"))

        await store.write(unit)
        await mirrors._show(KEY, old, lambda each: msgspec.structs.replace(
            each.status, last_success="2026-01-01T00:00:00Z"))  # fmt: skip
        now = await store.get(KEY)
        assert now is not None
        return msgspec.json.decode(now.body, type=Mirror).status.last_success

    assert world.with_parts(replaced) == ""


def test_a_mirror_that_was_never_looked_at_gets_a_job_and_one_at_rest_does_not(
    world: World,
) -> None:
    world.write(**STREAMS)
    job = world.noticed()
    assert job is not None
    assert job.due_at is not None
    assert job.project == "shop"
    world.finish()
    again = world.noticed()
    assert again is not None
    assert again.due_at is None
    world.write(run="now", **STREAMS)
    asked = world.noticed()
    assert asked is not None
    assert asked.due_at is not None


def test_the_lane_is_the_registry_that_is_asked(world: World) -> None:
    world.write(**{**STREAMS, "source": QUAY})
    job = world.noticed()
    assert job is not None
    assert job.lane == "quay.invalid"


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [
        (None, {"generation": 1}, True),
        ({"generation": 1}, None, True),
        ({"generation": 1}, {"generation": 2}, True),
        ({"generation": 1}, {"generation": 1}, False),
        ({"generation": 1}, {"generation": 1, "annotations": {"x": "y"}}, False),
        ({"generation": 1}, {"generation": 1, "annotations": {RUN: "now"}}, True),
    ],
)
def test_a_change_of_its_status_asks_for_no_run(before: Any, after: Any, asks: bool) -> None:
    bodies = [
        None if each is None else msgspec.json.encode({"metadata": each})
        for each in (before, after)
    ]
    change = Change(1, KEY, bodies[0], bodies[1])
    assert (work_of(change) == KEY) is asks


def test_what_a_job_keeps_survives_what_nobody_can_read() -> None:
    kept = Position(3, "now", '{"a":"b"}')
    assert Position.read(kept.written()) == kept
    assert Position.read("") == Position()
    assert Position.read("damaged") == Position()


def test_a_run_answers_the_annotation_that_asked_for_it(world: World) -> None:
    world.write(run="again", **STREAMS)
    world.run()
    assert Position.read(world.told.positions[-1]).run == "again"


BROKEN = {**STREAMS, "source": {**QUAY, "secret": "none"}}


def test_the_project_is_told_that_runs_fail_seldom_and_with_their_number(world: World) -> None:
    world.write(**BROKEN)
    world.run(attempts=0)
    world.registry.now += QUIET_SECONDS - 1
    world.run(attempts=1)
    told = world.events()["MirrorFailed"]
    assert (told.type, told.count) == ("Warning", 1)
    assert told.message == "there is no Secret none in project shop"
    about = told.involved_object
    assert (about.kind, about.name, about.uid) == ("Mirror", "m", "uid-m")
    world.registry.now += 1
    world.run(attempts=2)
    assert world.events()["MirrorFailed"].count == 3


def test_it_is_told_that_a_mirror_is_well_again_and_nothing_of_one_that_always_was(
    world: World,
) -> None:
    world.write(**STREAMS)
    world.run()
    assert world.events() == {}
    world.write(**BROKEN)
    world.run()
    world.write(**STREAMS, status=world.mirror().status)
    world.run()
    told = world.events()["MirrorRecovered"]
    assert (told.type, told.message) == ("Normal", "the target has all 1 images")


def test_it_is_told_of_tags_that_were_deleted(world: World) -> None:
    for tag in ("a", "b"):
        world.registry.fill(small_image(tag), tag, COPY)
    world.write(**STREAMS, deleteExtra=True)
    world.run()
    told = world.events()["TagsDeleted"]
    assert told.message == "2 tags deleted from copy: the source has them no more"


def test_of_a_mirror_that_went_in_the_middle_nothing_is_told(world: World) -> None:
    world.write(**BROKEN)

    async def gone(_local: Local, store: Documents, mirrors: Mirrors) -> None:
        document = await store.get(KEY)
        assert document is not None
        mirror = msgspec.json.decode(document.body, type=Mirror)
        await store.write(lambda tx: tx.delete(KEY))
        for each in happenings(mirror, None, "it failed", 1):
            await mirrors.events.report(each)

    world.with_parts(gone)
    assert world.events() == {}
