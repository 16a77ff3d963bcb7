"""What becomes of the repositories, tags and manifests of a version without image streams."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tests.images import IMAGE_CONFIG, IMAGE_MANIFEST, digest_of
from tidegate.apimachinery.store import Key
from tidegate.auth.projects.kinds import NAMESPACES, Namespace
from tidegate.images import adoption
from tidegate.images.adoption import MARK, PART, Older, Progress, Remaining
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_stream import ObjectReference, TagReference
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.opening import opened
from tidegate.images.streams.resolving import resolve
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream, key_of
from tidegate.metastore import links, manifests, stream_tags, tag_events, tags
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.storage.blobs import BlobStore
from tidegate.storage.memory import Memory

T = TypeVar("T")

WEB, PROD = RepositoryName("shop/web"), RepositoryName("prod/web")
BOB = Actor("bob", PUSH, 900.0)
CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"version": "1"}},
    }
).encode()


def manifest(name: str, config: bytes = CONFIG) -> bytes:
    """A manifest like no other of another name."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE_MANIFEST,
            "config": {
                "mediaType": IMAGE_CONFIG,
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [],
            "annotations": {"name": name},
        }
    ).encode()


class World:
    """Older data on an embedded database, and blobs in memory."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)
        self.store = BlobStore(Memory())
        self.project("shop")
        self.project("prod")

    def run(self, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            db = await open_database(self._url)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(run())

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.run(lambda db: db.write(unit))

    def project(self, name: str) -> None:
        namespace = Namespace()
        namespace.metadata.name = name
        body = msgspec.json.encode(namespace)
        self.write(
            lambda tx: DocumentUnit(tx).put(Key(NAMESPACES.key, "", name), name, lambda _: body)
        )

    def blob(self, content: bytes, name: RepositoryName = WEB) -> None:
        digest = Digest.of(content)

        async def put() -> None:
            receiving = await self.store.receive("0" * 32, 0, "sha256")
            receiving.write(memoryview(content))
            await self.store.commit_held(receiving, digest)

        asyncio.run(put())
        self.write(lambda tx: links.link(tx, name, digest, len(content), 1.0))

    def pushed(self, content: bytes, *named: str, at: float, name: RepositoryName = WEB) -> Digest:
        """Store a manifest as the older version did."""
        stored = manifests.Manifest(Digest.of(content), IMAGE_MANIFEST, content)
        self.write(lambda tx: manifests.put(tx, name, stored, [Tag(tag) for tag in named], at))
        return stored.digest

    def older(self, db: Database) -> Older:
        return Older(db, self.store, Hosts("registry:5000", ""))

    def adopt(self, turns: int = 1000) -> list[int]:
        """Take turns until all is done; how much was taken over in each."""

        async def run(db: Database) -> list[int]:
            taken: list[int] = []
            for _ in range(turns):
                outcome = await adoption.adopt_next(self.older(db))
                if outcome.done:
                    break
                assert outcome.mine
                taken.append(outcome.taken)
            return taken

        return self.run(run)

    def adopt_stage(self, stage: str) -> None:
        """Take turns until a stage begins."""
        while self.run(adoption.read_progress).stage != stage:
            self.adopt(1)

    def image(self, digest: str) -> Image | None:
        found = self.write(lambda tx: DocumentUnit(tx).get(Key(IMAGES.key, "", digest)))
        return None if found is None else msgspec.json.decode(found.body, type=Image)

    def stream(self, look: Callable[[Stream], T], name: RepositoryName = WEB) -> T:
        def unit(tx: Transaction) -> T:
            stream = Stream.open(tx, name)
            assert stream is not None
            answer = look(stream)
            stream.save()
            return answer

        return self.write(unit)

    def events(self, tag: str, name: RepositoryName = WEB) -> list[TagEvent]:
        """Every event of a tag, oldest first, without looking through a stream."""
        found = self.run(lambda db: tag_events.history(db, name, tag, tag_events.FARTHEST, 1000))
        return found[::-1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_tag_gets_the_event_of_its_push_at_the_time_of_the_push(world: World) -> None:
    one = world.pushed(manifest("one"), "v1", "latest", at=100.0)
    two = world.pushed(manifest("two"), "v2", at=200.0)
    world.adopt()
    for tag, digest, at in (("v1", one, 100.0), ("latest", one, 100.0), ("v2", two, 200.0)):
        assert world.events(tag) == [
            TagEvent(1, at, at, f"/shop/web@{digest}", digest, 1, "push", "")
        ]
        current = world.stream(lambda stream: stream.current(tag))  # noqa: B023
        assert current == world.events(tag)[0]


def test_a_stream_is_as_old_as_the_first_push_into_its_repository(world: World) -> None:
    world.pushed(manifest("one"), "v1", at=200.0)
    world.pushed(manifest("two"), at=100.0)
    world.adopt()
    header = world.stream(lambda stream: stream.header)
    assert header.metadata.creation_timestamp == "1970-01-01T00:01:40Z"
    assert (header.kind, header.metadata.generation) == ("ImageStream", 1)
    assert header.metadata.uid


def test_a_repository_whose_manifests_have_no_tag_becomes_a_stream(world: World) -> None:
    world.pushed(manifest("one"), at=100.0)
    world.adopt()
    assert world.stream(lambda stream: stream_tags.count(stream.tx, stream.repository_id)) == 0


def test_a_manifest_gets_an_image_as_old_as_its_first_push(world: World) -> None:
    world.blob(CONFIG)
    digest = world.pushed(manifest("one"), "v1", at=200.0)
    world.pushed(manifest("one"), at=100.0, name=PROD)
    world.adopt()
    image = world.image(digest)
    assert image is not None
    assert image.metadata.creation_timestamp == "1970-01-01T00:01:40Z"
    assert image.docker_image_reference == f"registry:5000/shop/web@{digest}"
    assert image.docker_image_metadata["Config"] == {"Labels": {"version": "1"}}
    assert image.docker_image_metadata["Architecture"] == "amd64"


def test_an_image_whose_configuration_is_not_here_says_what_the_manifest_says(
    world: World,
) -> None:
    digest = world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt()
    image = world.image(digest)
    assert image is not None
    assert image.docker_image_metadata["Id"] == digest_of(CONFIG)
    assert "Config" not in image.docker_image_metadata


def test_a_configuration_that_only_another_project_may_read_is_not_told(world: World) -> None:
    world.blob(CONFIG, PROD)
    digest = world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt()
    image = world.image(digest)
    assert image is not None
    assert "Config" not in image.docker_image_metadata


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"\xff", b'{"config":{"digest":7}}', b'{"config":{"digest":"x"}}']
)
def test_a_manifest_that_says_nothing_of_use_gets_an_image_all_the_same(
    world: World, content: bytes
) -> None:
    digest = world.pushed(content, "v1", at=100.0)
    world.adopt()
    assert world.image(digest) is not None


def test_a_deleted_manifest_gets_no_image(world: World) -> None:
    digest = world.pushed(manifest("one"), "v1", at=100.0)
    world.write(lambda tx: manifests.delete(tx, WEB, digest, 200.0))
    world.adopt()
    assert world.image(digest) is None
    assert world.write(lambda tx: Stream.open(tx, WEB)) is None


def test_a_repository_without_a_project_is_left_to_the_end_of_the_project(world: World) -> None:
    gone = RepositoryName("gone/web")
    world.pushed(manifest("one"), "v1", at=100.0, name=gone)
    world.adopt()
    assert world.write(lambda tx: Stream.open(tx, gone)) is None
    assert world.events("v1", gone) == []


def test_every_part_is_small_and_everything_is_taken_over_once(world: World) -> None:
    count = 2 * PART + 3
    for number in range(count):
        world.pushed(manifest(str(number)), f"v{number}", at=100.0 + number)
    taken = world.adopt()
    assert max(taken) == PART
    assert sum(taken) == 1 + count + count
    assert world.stream(lambda stream: stream_tags.count(stream.tx, stream.repository_id)) == count
    assert world.adopt() == []


def test_a_manifest_in_two_repositories_has_one_image(world: World) -> None:
    world.pushed(manifest("one"), "v1", at=100.0)
    world.pushed(manifest("one"), "v1", at=100.0, name=PROD)
    assert world.adopt() == [2, 0, 2, 0, 1, 0]


def test_large_manifests_come_one_at_a_time(world: World) -> None:
    for number in range(3):
        world.pushed(manifest(str(number) + "x" * 3_000_000), f"v{number}", at=100.0)
    assert world.adopt() == [1, 0, 3, 0, 1, 1, 1, 0]


def test_what_is_left_is_told_at_each_stage(world: World) -> None:
    def remaining() -> Remaining:
        return world.run(adoption.remaining)

    world.pushed(manifest("one"), "v1", "latest", at=100.0)
    assert remaining() == Remaining(tags=2, manifests=1)
    world.adopt_stage(adoption.TAGS)
    assert remaining() == Remaining(tags=2, manifests=1)
    world.adopt(1)
    assert remaining() == Remaining(tags=0, manifests=1)
    world.adopt_stage(adoption.IMAGES)
    assert remaining() == Remaining(tags=0, manifests=1)
    world.adopt_stage(adoption.DONE)
    assert remaining() == Remaining()


def test_what_was_deleted_after_the_adoption_does_not_come_back(world: World) -> None:
    digest = world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt()
    world.write(lambda tx: DocumentUnit(tx).delete(key_of(WEB)))
    world.write(lambda tx: DocumentUnit(tx).delete(Key(IMAGES.key, "", digest)))
    assert world.adopt() == []
    assert world.write(lambda tx: Stream.open(tx, WEB)) is None
    assert world.image(digest) is None


def test_a_stream_that_is_deleted_in_the_middle_does_not_come_back(world: World) -> None:
    world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt_stage(adoption.TAGS)
    world.write(lambda tx: DocumentUnit(tx).delete(key_of(WEB)))
    world.adopt()
    assert world.write(lambda tx: Stream.open(tx, WEB)) is None


def test_of_two_processes_with_the_same_part_one_does_it(world: World) -> None:
    world.pushed(manifest("one"), "v1", at=100.0)

    async def race(db: Database) -> list[bool]:
        older = world.older(db)
        outcomes = await asyncio.gather(*(adoption.adopt_next(older) for _ in range(4)))
        return [each.mine for each in outcomes]

    assert sum(world.run(race)) == 1
    world.adopt()
    assert len(world.events("v1")) == 1


def test_a_part_that_fails_leaves_nothing_and_is_done_again(world: World) -> None:
    world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt_stage(adoption.TAGS)

    def trip(tx: Transaction) -> None:
        tx.execute(
            "CREATE TRIGGER trip BEFORE INSERT ON stream_tags"
            " BEGIN SELECT RAISE(ABORT, 'tripped'); END"
        )

    world.write(trip)
    with pytest.raises(Exception, match="tripped"):
        world.adopt(1)
    assert world.events("v1") == []
    assert world.run(adoption.read_progress) == Progress(adoption.TAGS)
    world.write(lambda tx: tx.execute("DROP TRIGGER trip"))
    world.adopt()
    assert len(world.events("v1")) == 1


def test_a_push_over_a_tag_that_is_not_taken_over_keeps_what_it_named(world: World) -> None:
    one = world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt_stage(adoption.TAGS)
    two = world.pushed(manifest("two"), at=900.0)
    change = Change(f"/{WEB}@{two}", two, 1)
    world.stream(lambda stream: stream.record("v1", change, BOB))
    world.adopt()
    assert [(each.image, each.recorded_at, each.who) for each in world.events("v1")] == [
        (one, 100.0, ""),
        (two, 900.0, "bob"),
    ]


def test_a_tag_that_is_not_taken_over_can_be_deleted_and_brought_back(world: World) -> None:
    one = world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt_stage(adoption.TAGS)
    assert world.stream(lambda stream: stream.drop("v1", BOB))
    world.adopt()
    assert world.run(lambda db: tags.page(db, WEB, "", 10)) == []
    assert world.stream(lambda stream: stream.bring_back("v1", BOB))
    current = world.stream(lambda stream: stream.current("v1"))
    assert current is not None
    assert current.image == one
    assert world.run(lambda db: tags.page(db, WEB, "", 10)) == ["v1"]


def test_a_tag_that_is_not_taken_over_can_be_promoted_to_another_project(world: World) -> None:
    one = world.pushed(manifest("one"), "v1", at=100.0)
    world.pushed(manifest("two"), at=100.0, name=PROD)
    world.adopt_stage(adoption.TAGS)
    origin = ObjectReference(kind="ImageStreamTag", namespace="shop", name="web:v1")
    spec = TagReference(name="stable", from_=origin)
    assert world.stream(lambda stream: resolve(stream, "stable", spec, BOB, {WEB}), PROD)
    world.adopt()
    assert [each.image for each in world.events("stable", PROD)] == [one]
    assert [each.number for each in world.events("v1")] == [1]


def test_looking_at_a_tag_that_is_not_taken_over_leaves_it_whole(world: World) -> None:
    one = world.pushed(manifest("one"), "v1", at=100.0)
    world.adopt_stage(adoption.TAGS)

    def look(tx: Transaction) -> str:
        stream = Stream.open(tx, WEB)
        assert stream is not None
        current = stream.current("v1")
        assert current is not None
        return current.image

    assert world.write(look) == one
    world.adopt()
    assert len(world.events("v1")) == 1


def test_a_repository_that_is_opened_before_its_turn_is_a_stream_from_then_on(
    world: World,
) -> None:
    one = world.pushed(manifest("one"), "v1", at=100.0)

    def push(tx: Transaction) -> str:
        stream = opened(tx, WEB)
        assert stream is not None
        stream.record("v1", Change("/shop/web@sha256:2", "", 1), BOB)
        stream.save()
        return stream.header.metadata.creation_timestamp

    assert world.write(push) == "1970-01-01T00:01:40Z"
    world.adopt()
    assert [(each.number, each.image) for each in world.events("v1")] == [(1, one), (2, "")]


def test_a_repository_of_a_project_that_has_gone_is_not_opened(world: World) -> None:
    gone = RepositoryName("gone/web")
    world.pushed(manifest("one"), "v1", at=100.0, name=gone)
    assert world.write(lambda tx: opened(tx, gone)) is None


def test_what_was_never_pushed_to_is_not_opened(world: World) -> None:
    assert world.write(lambda tx: opened(tx, WEB)) is None


def test_a_new_database_is_done_with_three_marks(world: World) -> None:
    assert world.adopt() == [0, 0, 0]
    assert world.write(lambda tx: DocumentUnit(tx).get(MARK)) is not None
