"""What a stream needs becomes a job, and the job imports it: image-api section 9.1."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.controllers.import_world import World, in_world
from tidegate.apimachinery.store import Change, Key
from tidegate.controllers.import_events import ImportEvents
from tidegate.controllers.import_looks import IMPORT, SCHEDULED, Look, look_of, together
from tidegate.controllers.imports import (
    AT_ONCE,
    LOOK,
    WHO,
    notice,
    notice_imports,
    run_imports,
    run_looks,
)
from tidegate.images.imports.tag_imports import TagResult
from tidegate.images.kinds.image_stream import TagEventCondition
from tidegate.images.streams.stream import Stream
from tidegate.metastore import import_counts, jobs
from tidegate.metastore.database import Transaction
from tidegate.metastore.import_counts import ImportCount
from tidegate.oci.name import RepositoryName
from tidegate.remote.budgets import Urgency
from tidegate.remote.errors import Unavailable

QUAY = "quay.example"
STREAMS = "imagestreams.image.openshift.io"
MARK = {"openshift.io/image.dockerRepositoryCheck": "2026-01-02T03:04:05Z"}


def body(generation: int = 1, annotations: dict[str, str] | None = None) -> bytes:
    metadata = {"generation": generation, "annotations": annotations or {}, "name": "ignored"}
    return msgspec.json.encode({"metadata": metadata})


def marked(generation: int = 1) -> bytes:
    return body(generation, MARK)


@pytest.mark.parametrize(
    ("before", "after", "look"),
    [
        (None, body(), Look("shop", "web", 0)),
        (marked(), None, Look("shop", "web", 0)),
        (marked(), marked(2), Look("shop", "web", 77)),
        (marked(), marked(), None),  # a push
        (marked(), body(), Look("shop", "web", 0)),
        (body(), marked(), None),
    ],
)
def test_a_stream_is_looked_at_when_what_it_wants_changed(
    before: bytes | None, after: bytes | None, look: Look | None
) -> None:
    assert look_of(Change(77, Key(STREAMS, "shop", "web"), before, after)) == look


@pytest.mark.parametrize(
    ("before", "after", "look"),
    [
        ({}, {"tidegate.io/import-interval": "30s"}, Look("shop", "", 0)),
        ({"tidegate.io/import-interval": "30s"}, {}, Look("shop", "", 0)),
        ({"other": "1"}, {"other": "2"}, None),
    ],
)
def test_a_project_is_looked_at_when_its_period_changed(
    before: dict[str, str], after: dict[str, str], look: Look | None
) -> None:
    change = Change(77, Key("namespaces", "", "shop"), body(1, before), body(1, after))
    assert look_of(change) == look


def test_looks_at_one_stream_are_one_look() -> None:
    looks = [Look("b", "x", 9), Look("a", "x", 5), Look("b", "x", 7), Look("b", "y", 0)]
    assert together(looks) == [Look("a", "x", 5), Look("b", "x", 7), Look("b", "y", 0)]


def settle(tx: Transaction, name: RepositoryName, tags: list[str]) -> None:
    """Write what an import writes, as far as it counts here."""
    stream = Stream.open(tx, name)
    assert stream is not None
    for tag in tags:
        said = TagEventCondition("ImportSuccess", "False", generation=1)
        stream.set_conditions(tag, [said])
    stream.header.metadata.annotations = dict(MARK)
    stream.touch()
    stream.save()


class Near:
    """Imports that note what is asked of them, and write what the real ones would."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[str, list[str], bool]] = []
        self.failing = 0
        self.missing: set[str] = set()

    async def import_tags(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        return await self._import(name, list(tags), who, urgency, whole=False)

    async def import_repository(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        return await self._import(name, list(tags), who, urgency, whole=True)

    async def _import(
        self, name: RepositoryName, tags: list[str], who: str, urgency: Urgency, *, whole: bool
    ) -> list[TagResult]:
        assert (who, urgency) == (WHO, Urgency.ASKED)
        self.asked.append((name, tags, whole))
        if self.failing:
            self.failing -= 1
            raise Unavailable("no route to host")

        await self.world.database.write(lambda tx: settle(tx, name, tags))
        missing = [each for each in tags if each in self.missing]
        results = [TagResult(each, QUAY, error="not found", reason="NotFound") for each in missing]
        return results + [TagResult(each, QUAY, True) for each in tags if each not in missing]


def run(world: World, near: Near, *loops: Any) -> None:
    uids = iter(range(10**9))
    events = ImportEvents(world.store, world.time.read, lambda: f"event-{next(uids)}")
    looks = world.looks()
    made = [
        run_imports(world.database, world.store, near, events),
        run_looks(looks),
        notice_imports(looks, notice(world.store)),
    ]
    world.runs += [asyncio.create_task(each) for each in made]


def test_every_tag_that_is_behind_is_imported_some_at_a_time(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        count = 2 * AT_ONCE + 3
        near = Near(world)
        near.missing = {"t7"}
        await world.streams(QUAY, 1, count)  # and a job, as when the stream changed
        run(world, near)
        await world.until(lambda: sum(len(tags) for _, tags, _ in near.asked) >= count)
        assert [len(tags) for _, tags, _ in near.asked] == [AT_ONCE, AT_ONCE, 3]
        assert len({tag for _, tags, _ in near.asked for tag in tags}) == count
        async with asyncio.timeout(30):
            while await jobs.find(world.database, IMPORT, "shop/quay-0") is not None:  # noqa: ASYNC110  a row of a table
                await asyncio.sleep(0.01)
        assert await import_counts.every(world.database) == [
            ImportCount(False, QUAY, "", count - 1),
            ImportCount(False, QUAY, "NotFound", 1),
        ]
        (event,) = (await world.store.list("events", "shop")).documents
        assert msgspec.json.decode(event.body)["message"] == "t7: not found"
        await asyncio.sleep(0)
        assert len(near.asked) == 3  # what failed is not tried again by itself

    in_world(migrated_file, tmp_path, scenario)


def test_a_call_that_fails_is_made_again(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        near = Near(world)
        near.failing = 1
        await world.streams(QUAY, 1, 1)
        run(world, near)
        await world.until(lambda: len(near.asked) == 2)
        assert near.asked[0] == near.asked[1]

    in_world(migrated_file, tmp_path, scenario)


def test_what_changes_while_a_process_runs_is_imported_and_scheduled(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        near = Near(world)
        run(world, near)
        await world.until(lambda: world.time.busy == 0)
        await world.streams(QUAY, 2, 2, look=False)
        await world.until(lambda: len(near.asked) == 2)
        assert sorted(name for name, _, _ in near.asked) == ["shop/quay-0", "shop/quay-1"]
        assert len(await world.scheduled()) == 4

    in_world(migrated_file, tmp_path, scenario)


def test_what_was_missed_is_found_at_the_start_however_many_processes_look(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 130, 1, look=False)
        near = Near(world)
        for _ in range(2):
            run(world, near)
        await world.until(lambda: len(near.asked) >= 130)
        assert len({name for name, _, _ in near.asked}) == len(near.asked) == 130
        assert len(await world.scheduled()) == 130
        look = await jobs.find(world.database, LOOK, "streams")
        assert look is not None
        assert look.done in (100, 130)

    in_world(migrated_file, tmp_path, scenario)


def test_one_stream_that_cannot_be_looked_at_holds_up_no_other(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        await world.streams(QUAY, 3, 1, look=False)

        def spoil(tx: Transaction) -> None:
            tx.execute("UPDATE stream_tags SET spec = '{}' WHERE repository_id = 2")

        await world.database.write(spoil)
        near = Near(world)
        run(world, near)
        await world.until(lambda: len(near.asked) == 2)
        assert sorted(name for name, _, _ in near.asked) == ["shop/quay-0", "shop/quay-2"]

    in_world(migrated_file, tmp_path, scenario)


def test_a_repository_is_imported_whole_once(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        near = Near(world)
        await world.streams(QUAY, 1, 1, repository=f"{QUAY}/app/web")
        run(world, near)
        await world.until(lambda: near.asked != [])
        async with asyncio.timeout(30):
            while await jobs.find(world.database, IMPORT, "shop/quay-0") is not None:  # noqa: ASYNC110  a row of a table
                await asyncio.sleep(0.01)
        assert near.asked == [("shop/quay-0", ["t0"], True)]

    in_world(migrated_file, tmp_path, scenario)


def test_kinds_of_jobs_do_not_change(migrated_file: Path) -> None:
    """They are in databases."""
    assert (IMPORT, SCHEDULED, LOOK) == ("import", "scheduled-import", "import-look")
