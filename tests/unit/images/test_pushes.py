"""What a push does to a stream, in the unit that stores its manifest (image-api 6 and 6.1)."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tests.images import IMAGE_CONFIG, IMAGE_INDEX, IMAGE_MANIFEST, digest_of
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.pushes import ImageGone, Pushed, prepare, record, stream_for
from tidegate.images.streams.errors import StreamMissing
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.metastore import manifests, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.storage.blobs import BlobStore
from tidegate.storage.memory import Memory

T = TypeVar("T")

WEB = RepositoryName("shop/web")
ANN = Actor("ann", PUSH, 1_790_000_000.5)
HOSTS = Hosts("registry.internal:5000", "registry.example.com")

CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05.678Z",
        "config": {"Labels": {"version": "1"}},
    }
).encode()
LAYER = b"a layer"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {
            "mediaType": IMAGE_CONFIG,
            "digest": digest_of(CONFIG),
            "size": len(CONFIG),
        },
        "layers": [{"mediaType": "a/b", "digest": digest_of(LAYER), "size": len(LAYER)}],
    }
).encode()


def pushed(
    *tags: str, content: bytes = MANIFEST, media_type: str = IMAGE_MANIFEST, config: bool = True
) -> Pushed:
    digest = Digest.parse(digest_of(CONFIG)) if config else None
    named = [Tag(tag) for tag in tags]
    return Pushed(WEB, Digest.of(content), media_type, content, digest, named)


class World:
    """An embedded database and blobs in memory."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)
        self.driver = Memory()
        self.store = BlobStore(self.driver)

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

    def blob(self, content: bytes) -> None:
        async def put() -> None:
            receiving = await self.store.receive("0" * 32, 0, "sha256")
            receiving.write(memoryview(content))
            await self.store.commit_held(receiving, Digest.of(content))

        asyncio.run(put())

    def prepare(self, pushed: Pushed) -> Image | None:
        return self.run(lambda db: prepare(db, self.store, HOSTS, pushed, ANN.now))

    def push(self, pushed: Pushed, *, may_create: bool = True) -> list[str]:
        image = self.prepare(pushed)

        def unit(tx: Transaction) -> list[str]:
            stream = stream_for(tx, WEB, ANN.now, may_create=may_create)
            stored = manifests.Manifest(pushed.digest, pushed.media_type, pushed.content)
            manifests.put(tx, WEB, stored, (), ANN.now)
            assert stream is not None
            return record(tx, stream, pushed, image, ANN)

        return self.write(unit)

    def image(self, digest: str) -> Image:
        found = self.write(lambda tx: DocumentUnit(tx).get(Key(IMAGES.key, "", digest)))
        assert found is not None
        return msgspec.json.decode(found.body, type=Image)

    def stream(self, look: Callable[[Stream], T]) -> T:
        def unit(tx: Transaction) -> T:
            stream = Stream.open(tx, WEB)
            assert stream is not None
            return look(stream)

        return self.write(unit)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_push_makes_the_image_with_what_its_configuration_says(world: World) -> None:
    world.blob(CONFIG)
    world.push(pushed("1.0"))
    image = world.image(digest_of(MANIFEST))
    assert image.metadata.annotations == {
        "openshift.io/image.managed": "true",
        "image.openshift.io/manifestBlobStored": "true",
        "image.openshift.io/dockerLayersOrder": "ascending",
    }
    assert image.docker_image_reference == (
        f"registry.internal:5000/shop/web@{digest_of(MANIFEST)}"
    )
    assert image.docker_image_metadata["Architecture"] == "amd64"
    assert image.docker_image_metadata["Config"] == {"Labels": {"version": "1"}}
    assert image.docker_image_metadata["Size"] == len(CONFIG) + len(LAYER)
    assert [layer.name for layer in image.docker_image_layers] == [digest_of(LAYER)]
    assert image.docker_image_manifest == image.docker_image_config == ""
    assert image.metadata.uid
    assert image.metadata.creation_timestamp == "2026-09-21T14:13:20Z"


def test_an_image_whose_configuration_is_not_here_is_made_from_its_manifest(world: World) -> None:
    world.push(pushed("1.0"))
    image = world.image(digest_of(MANIFEST))
    assert "Architecture" not in image.docker_image_metadata
    assert image.docker_image_metadata["Size"] == len(CONFIG) + len(LAYER)


def test_a_configuration_that_is_not_to_be_read_is_not_read(world: World) -> None:
    world.blob(CONFIG)
    world.push(pushed("1.0", config=False))
    assert "Architecture" not in world.image(digest_of(MANIFEST)).docker_image_metadata


def test_the_first_push_makes_the_stream(world: World) -> None:
    world.push(pushed("1.0"))
    header = world.stream(lambda stream: stream.header)
    metadata = header.metadata
    assert (metadata.namespace, metadata.name, metadata.generation) == ("shop", "web", 1)
    assert metadata.uid
    assert metadata.creation_timestamp == "2026-09-21T14:13:20Z"
    assert header.spec.tags == []


def test_a_push_by_a_tag_is_an_event_of_who_pushed(world: World) -> None:
    world.push(pushed("1.0"))
    event = world.stream(lambda stream: stream.current("1.0"))
    assert event is not None
    assert (event.who, event.how, event.generation) == ("ann", "push", 1)
    assert event.reference == f"/shop/web@{digest_of(MANIFEST)}"
    assert event.image == digest_of(MANIFEST)
    assert event.created_at == ANN.now


def test_several_tags_of_one_push_each_get_their_event(world: World) -> None:
    world.push(pushed("1.0", "1", "latest"))
    named = world.stream(
        lambda stream: tag_events.naming(stream.tx, stream.repository_id, digest_of(MANIFEST))
    )
    assert [tag for tag, _ in named] == ["1", "1.0", "latest"]


def test_a_push_by_digest_alone_makes_stream_and_image_and_no_tag(world: World) -> None:
    world.push(pushed())
    assert world.image(digest_of(MANIFEST)).metadata.uid
    assert world.stream(
        lambda stream: tag_events.naming(stream.tx, stream.repository_id, digest_of(MANIFEST)) == []
    )


def test_the_same_push_again_changes_nothing(world: World) -> None:
    world.push(pushed("1.0"))
    before = world.stream(lambda stream: stream.header.metadata.resource_version)
    image = world.image(digest_of(MANIFEST))
    world.push(pushed("1.0"), may_create=False)
    assert world.stream(lambda stream: stream.header.metadata.resource_version) == before
    assert world.image(digest_of(MANIFEST)) == image


def test_an_index_has_its_manifests_in_its_image(world: World) -> None:
    child = {
        "mediaType": IMAGE_MANIFEST,
        "digest": digest_of(MANIFEST),
        "size": len(MANIFEST),
        "platform": {"architecture": "arm64", "os": "linux"},
    }
    document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [child]}
    content = json.dumps(document).encode()
    world.push(pushed())
    world.push(pushed("1.0", content=content, media_type=IMAGE_INDEX, config=False))
    image = world.image(digest_of(content))
    assert [each.digest for each in image.docker_image_manifests] == [digest_of(MANIFEST)]
    assert image.docker_image_layers == []


def test_who_may_not_make_a_stream_pushes_to_none(world: World) -> None:
    with pytest.raises(StreamMissing):
        world.push(pushed("1.0"), may_create=False)


def test_a_repository_of_an_older_version_waits_for_its_stream(world: World) -> None:
    stored = manifests.Manifest(Digest.of(MANIFEST), IMAGE_MANIFEST, MANIFEST)
    world.write(lambda tx: manifests.put(tx, WEB, stored, [Tag("1.0")], 1.0))
    assert world.write(lambda tx: stream_for(tx, WEB, 2.0, may_create=True)) is None


def test_an_image_that_goes_between_preparation_and_unit_is_prepared_again(world: World) -> None:
    world.push(pushed("1.0"))
    assert world.prepare(pushed("1.0")) is None
    world.write(lambda tx: DocumentUnit(tx).delete(Key(IMAGES.key, "", digest_of(MANIFEST))))
    with pytest.raises(ImageGone):
        world.stream(lambda stream: record(stream.tx, stream, pushed("1.0"), None, ANN))
