"""Reading what is shown of streams: large ones in part, many small ones together."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.images.streams.test_stream import WEB, World, pushed
from tidegate.images.kinds.image_stream import ImageStream, TagReference
from tidegate.images.streams import rendering, renderings
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rendering import HISTORY_OMITTED, TAGS_OMITTED, Heading, heading
from tidegate.images.streams.renderings import SMALL, Rendered, Renderings
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.metastore.open import open_database
from tidegate.metastore.tag_events import SHOWN
from tidegate.oci.name import RepositoryName

NOW = Actor("ann", PUSH, 100.0)


class Shop(World):
    """With readings of its database."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"sqlite:///{directory / 'metadata.db'}"
        self.make()


@pytest.fixture
def world(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def header(world: Shop, name: RepositoryName = WEB) -> Heading:
    stream: ImageStream = world.change(lambda stream: stream.header, name)
    return heading(msgspec.json.encode(stream))


def read(world: Shop, *names: RepositoryName) -> list[Any]:
    """Streams as they are shown."""
    headers = [header(world, name) for name in names or (WEB,)]

    async def run() -> list[Rendered]:
        database = await open_database(world.url)
        try:
            made = Renderings(database, Hosts("registry"))
            found = await made.many(headers)
            assert await made.many(headers) == found  # kept
            return found
        finally:
            await database.close()

    return [json.loads(each.body) for each in asyncio.run(run())]


def push(stream: Stream, *tags: str) -> None:
    for tag in tags:
        stream.record(tag, pushed(WEB, "d"), NOW)


def shown(found: Any) -> list[str]:
    return [each["tag"] for each in found["status"].get("tags", [])]


@pytest.mark.parametrize("count", [0, 1, SMALL, SMALL + 1, 600])
def test_all_tags_are_shown_by_name_of_streams_of_any_size(world: Shop, count: int) -> None:
    names = [f"t{number:03}" for number in range(count)]
    world.change(lambda stream: push(stream, *reversed(names)))
    (found,) = read(world)
    assert shown(found) == names
    assert "annotations" not in found["metadata"]


@pytest.mark.parametrize("count", [SMALL - 10, SMALL + 10])
def test_of_what_does_not_fit_the_tags_that_changed_last_are_shown(
    world: Shop, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(renderings, "SHOWN_BYTES", 2000)
    names = [f"t{number:03}" for number in range(count)]
    world.change(lambda stream: push(stream, *names))
    world.change(lambda stream: push(stream, "zz"))
    world.change(lambda stream: push(stream, "aa"))
    (found,) = read(world)
    kept = shown(found)
    assert {"aa", "zz"} <= set(kept)
    assert found["metadata"]["annotations"] == {TAGS_OMITTED: str(count + 2 - len(kept))}
    assert len(json.dumps(found, separators=(",", ":"))) <= 2200


def test_of_a_long_history_the_newest_events_are_shown(world: Shop) -> None:
    def push_many(stream: Stream) -> None:
        for number in range(SHOWN + 5):
            stream.record("v1", pushed(WEB, "abcdef"[number % 6]), NOW)

    world.change(push_many)
    (found,) = read(world)
    (history,) = found["status"]["tags"]
    assert len(history["items"]) == SHOWN
    assert history["items"][0]["image"][7] == "abcdef"[(SHOWN + 4) % 6]
    assert found["metadata"]["annotations"] == {HISTORY_OMITTED: "5"}


def test_many_streams_are_each_shown_with_their_own_tags(world: Shop) -> None:
    names = [RepositoryName(f"shop/s{number}") for number in range(20)]
    for name in names:
        world.make(name)
        world.change(lambda stream: push(stream, stream.name.stream), name)
    assert [shown(each) for each in read(world, *names)] == [[name.stream] for name in names]


def test_a_deleted_tag_is_not_shown_and_a_wanted_one_is(world: Shop) -> None:
    world.change(lambda stream: push(stream, "gone", "kept"))

    def change(stream: Stream) -> None:
        stream.drop("gone", NOW)
        stream.want("wanted", TagReference(name="wanted", generation=1))

    world.change(change)
    (found,) = read(world)
    assert shown(found) == ["kept"]
    assert [each["name"] for each in found["spec"]["tags"]] == ["wanted"]
    assert rendering.TAGS_OMITTED not in found["metadata"].get("annotations", {})


def test_what_is_kept_has_the_name_for_everybody_as_it_is_now(world: Shop) -> None:
    announced: list[str] = []
    hosts = Hosts("registry", "first.example.com", announced=lambda: announced)
    of_stream = header(world)

    async def run() -> list[str]:
        database = await open_database(world.url)
        try:
            made = Renderings(database, hosts)
            found = []
            for names in ([], ["second.example.com"], ["third.example.com", "x"], []):
                announced[:] = names
                for _ in range(2):  # made, and kept
                    body = json.loads((await made.one(of_stream)).body)
                    found.append(body["status"]["publicDockerImageRepository"])
            return found
        finally:
            await database.close()

    names = ["first", "first", "second", "second", "third", "third", "first", "first"]
    assert asyncio.run(run()) == [f"{each}.example.com/{WEB}" for each in names]


def test_a_reference_by_any_of_our_names_is_ours() -> None:
    hosts = Hosts("registry:5000", "a.example.com", announced=lambda: ("b.example.com", "c:8443"))
    for host in ("registry:5000", "a.example.com", "b.example.com", "c:8443"):
        assert hosts.stored(f"{host}/shop/web@sha256:1") == "/shop/web@sha256:1"
    assert hosts.stored("d.example.com/shop/web") == "d.example.com/shop/web"
    assert hosts.public_repository(WEB) == f"b.example.com/{WEB}"
