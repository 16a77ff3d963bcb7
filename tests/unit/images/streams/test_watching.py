"""What a watch of streams tells, and what it leaves untold."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.images.streams.test_renderings import Shop
from tests.unit.images.streams.test_stream import WEB, pushed
from tidegate.apimachinery.storage import Event
from tidegate.images.streams import watching
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.renderings import Renderings
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.images.streams.watching import RenderedWatch, coalesced
from tidegate.metastore.open import open_database


def header(name: str, revision: int) -> bytes:
    metadata = {"name": name, "namespace": "shop", "resourceVersion": str(revision)}
    return json.dumps({"kind": "ImageStream", "metadata": metadata}).encode()


def event(kind: str, name: str, revision: int) -> Event:
    return Event(kind, header(name, revision))


def told(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    found = []
    for each in events:
        metadata = json.loads(each.body)["metadata"]
        found.append((each.kind, metadata.get("name", ""), metadata["resourceVersion"]))
    return found


def test_several_changes_of_a_stream_are_its_last_one_in_the_order_of_versions() -> None:
    events = [event("MODIFIED", "a", 1), event("MODIFIED", "b", 2), event("MODIFIED", "a", 3)]
    assert told(coalesced(events)) == [("MODIFIED", "b", "2"), ("MODIFIED", "a", "3")]


def test_a_stream_that_comes_and_changes_comes() -> None:
    events = [event("ADDED", "a", 1), event("MODIFIED", "a", 2), event("MODIFIED", "a", 3)]
    assert told(coalesced(events)) == [("ADDED", "a", "3")]


def test_what_goes_and_comes_again_is_told_as_both() -> None:
    events = [
        event("MODIFIED", "a", 1),
        event("DELETED", "a", 2),
        event("ADDED", "a", 3),
        event("MODIFIED", "a", 4),
    ]
    assert told(coalesced(events)) == [
        ("MODIFIED", "a", "1"),
        ("DELETED", "a", "2"),
        ("ADDED", "a", "4"),
    ]


class Told:
    """A watch of headers that tells what it is given."""

    def __init__(self, *batches: Sequence[Event]) -> None:
        self._batches = list(batches)
        self._position = 0

    async def next(self, patience: float) -> Sequence[Event]:
        if not self._batches:
            return ()
        batch = self._batches.pop(0)
        self._position = int(json.loads(batch[-1].body)["metadata"]["resourceVersion"])
        return batch

    def bookmark(self) -> Event:
        return event("BOOKMARK", "", self._position)

    def close(self) -> None:
        self._batches.clear()


@pytest.fixture
def world(tmp_path: Path) -> Shop:
    world = Shop(tmp_path)

    def push(stream: Stream) -> None:
        stream.record("v1", pushed(WEB, "d"), Actor("ann", PUSH, 1.0))

    world.change(push)
    return world


async def watch(world: Shop, *batches: Sequence[Event], reads: int = 1) -> list[list[Event]]:
    database = await open_database(world.url)
    try:
        rendered = RenderedWatch(Told(*batches), Renderings(database, Hosts("registry")))
        return [list(await rendered.next(10.0)) for _ in range(reads)]
    finally:
        await database.close()


def test_an_event_shows_the_tags_as_they_are_and_a_last_one_none(world: Shop) -> None:
    ((changed, gone),) = asyncio.run(
        watch(world, [event("MODIFIED", "web", 5), event("DELETED", "web", 6)])
    )
    shown = json.loads(changed.body)
    assert [each["tag"] for each in shown["status"]["tags"]] == ["v1"]
    assert shown["metadata"]["resourceVersion"] == "5"
    assert json.loads(gone.body)["status"] == {"dockerImageRepository": "registry/shop/web"}


def test_a_change_of_what_is_gone_by_now_is_not_told_without_tags(world: Shop) -> None:
    (events,) = asyncio.run(
        watch(world, [event("MODIFIED", "ended", 5), event("DELETED", "ended", 6)])
    )
    assert [each.kind for each in events] == ["DELETED"]


def test_watches_share_the_event_that_one_of_them_made(world: Shop) -> None:
    async def both() -> tuple[Event, Event]:
        database = await open_database(world.url)
        try:
            renderings = Renderings(database, Hosts())
            watches = [
                RenderedWatch(Told([event("MODIFIED", "web", 5)]), renderings) for _ in range(2)
            ]
            (first,), (second,) = await asyncio.gather(*(each.next(10.0) for each in watches))
            return first, second
        finally:
            await database.close()

    first, second = asyncio.run(both())
    assert first is second


def test_changes_of_a_large_stream_wait_for_each_other(
    world: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LARGE", 10)
    monkeypatch.setattr(watching, "TICK", 0.05)
    batches = [[event("MODIFIED", "web", each)] for each in (5, 6, 7)]
    first, second = asyncio.run(watch(world, *batches, reads=2))
    assert told(first) == [("MODIFIED", "web", "5")]
    assert told(second) == [("MODIFIED", "web", "7")]


def test_a_bookmark_is_not_ahead_of_what_waits(
    world: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LARGE", 10)
    monkeypatch.setattr(watching, "TICK", 3600.0)

    async def run() -> tuple[Sequence[Event], Event]:
        database = await open_database(world.url)
        try:
            told_ = Told([event("MODIFIED", "web", 5)], [event("MODIFIED", "web", 6)])
            rendered = RenderedWatch(told_, Renderings(database, Hosts()))
            await rendered.next(1.0)
            return await rendered.next(0.0), rendered.bookmark()
        finally:
            await database.close()

    events, bookmark = asyncio.run(run())
    assert not events
    assert told([bookmark]) == [("BOOKMARK", "", "5")]
