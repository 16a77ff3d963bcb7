"""What a push does to a stream, in the unit that stores its manifest (image-api 6 and 6.1)."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.images import IMAGE_INDEX, IMAGE_MANIFEST, digest_of
from tests.unit.images.push_world import ANN, CONFIG, LAYER, MANIFEST, WEB, PushWorld, pushed
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_signature import ImageSignature
from tidegate.images.pushes import ImageGone, find_image, keep_image, record, show_again
from tidegate.images.streams.errors import StreamMissing
from tidegate.images.streams.stream import Change
from tidegate.metastore import manifests, tag_events
from tidegate.metastore.documents import DocumentUnit
from tidegate.oci.digest import Digest


@pytest.fixture
def world(tmp_path: Path) -> PushWorld:
    return PushWorld(tmp_path)


def test_a_push_makes_the_image_with_what_its_configuration_says(world: PushWorld) -> None:
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


def test_an_image_whose_configuration_is_not_here_is_made_from_its_manifest(
    world: PushWorld,
) -> None:
    world.push(pushed("1.0"))
    image = world.image(digest_of(MANIFEST))
    assert "Architecture" not in image.docker_image_metadata
    assert image.docker_image_metadata["Size"] == len(CONFIG) + len(LAYER)


def test_a_configuration_that_is_not_to_be_read_is_not_read(world: PushWorld) -> None:
    world.blob(CONFIG)
    world.push(pushed("1.0", config=False))
    assert "Architecture" not in world.image(digest_of(MANIFEST)).docker_image_metadata


def test_the_first_push_makes_the_stream(world: PushWorld) -> None:
    world.push(pushed("1.0"))
    header = world.stream(lambda stream: stream.header)
    metadata = header.metadata
    assert (metadata.namespace, metadata.name, metadata.generation) == ("shop", "web", 1)
    assert metadata.uid
    assert metadata.creation_timestamp == "2026-09-21T14:13:20Z"
    assert header.spec.tags == []


def test_a_push_by_a_tag_is_an_event_of_who_pushed(world: PushWorld) -> None:
    world.push(pushed("1.0"))
    event = world.stream(lambda stream: stream.current("1.0"))
    assert event is not None
    assert (event.who, event.how, event.generation) == ("ann", "push", 1)
    assert event.reference == f"/shop/web@{digest_of(MANIFEST)}"
    assert event.image == digest_of(MANIFEST)
    assert event.created_at == ANN.now


def test_several_tags_of_one_push_each_get_their_event(world: PushWorld) -> None:
    world.push(pushed("1.0", "1", "latest"))
    named = world.stream(
        lambda stream: tag_events.naming(stream.tx, stream.repository_id, digest_of(MANIFEST))
    )
    assert [tag for tag, _ in named] == ["1", "1.0", "latest"]


def test_a_push_by_digest_alone_makes_stream_and_image_and_no_tag(world: PushWorld) -> None:
    world.push(pushed())
    assert world.image(digest_of(MANIFEST)).metadata.uid
    assert world.stream(
        lambda stream: tag_events.naming(stream.tx, stream.repository_id, digest_of(MANIFEST)) == []
    )


def test_the_same_push_again_changes_nothing(world: PushWorld) -> None:
    world.push(pushed("1.0"))
    before = world.stream(lambda stream: stream.header.metadata.resource_version)
    image = world.image(digest_of(MANIFEST))
    world.push(pushed("1.0"), may_create=False)
    assert world.stream(lambda stream: stream.header.metadata.resource_version) == before
    assert world.image(digest_of(MANIFEST)) == image


def test_an_index_has_its_manifests_in_its_image(world: PushWorld) -> None:
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


def posted(**more: Any) -> Image:
    """An Image as somebody posts it who has heard of a digest."""
    return Image(
        metadata=ObjectMeta(
            name=digest_of(MANIFEST),
            uid="posted",
            creation_timestamp="then",
            labels={"checked": "yes"},
            annotations={"images.openshift.io/deny-execution": "true"},
        ),
        docker_image_metadata={"Size": 1, "Config": {"Labels": {"version": "forged"}}},
        docker_image_reference=f"example.com/x@{digest_of(MANIFEST)}",
        **more,
    )


def test_what_was_posted_of_an_image_gives_way_to_what_is_pushed(world: PushWorld) -> None:
    signature = ImageSignature(metadata=ObjectMeta(name="s"), type="AtomicImageV1", content="eA==")
    body = msgspec.json.encode(posted(signatures=[signature]))
    key = Key(IMAGES.key, "", digest_of(MANIFEST))
    world.write(lambda tx: DocumentUnit(tx).put(key, "posted", lambda _: body))
    world.blob(CONFIG)
    world.push(pushed("1.0"))
    image = world.image(digest_of(MANIFEST))
    assert image.docker_image_metadata["Config"] == {"Labels": {"version": "1"}}
    assert image.docker_image_metadata["Size"] == len(CONFIG) + len(LAYER)
    assert [layer.name for layer in image.docker_image_layers] == [digest_of(LAYER)]
    assert image.docker_image_reference.startswith("registry.internal:5000/shop/web@")
    assert (image.metadata.uid, image.metadata.creation_timestamp) == ("posted", "then")
    assert [each.metadata.name for each in image.signatures] == ["s"]
    assert image.metadata.labels == {"checked": "yes"}
    assert image.metadata.annotations["images.openshift.io/deny-execution"] == "true"
    assert image.metadata.annotations["image.openshift.io/manifestBlobStored"] == "true"


def test_an_image_that_is_posted_between_preparation_and_unit_is_prepared_again(
    world: PushWorld,
) -> None:
    body = msgspec.json.encode(posted())
    key = Key(IMAGES.key, "", digest_of(MANIFEST))
    world.push(pushed("1.0"))
    assert world.prepare(pushed("1.0")) is None
    world.write(lambda tx: DocumentUnit(tx).put(key, "posted", lambda _: body))
    with pytest.raises(ImageGone):
        world.write(lambda tx: keep_image(tx, Digest(digest_of(MANIFEST)), None))
    assert world.write(lambda tx: find_image(tx, Digest(digest_of(MANIFEST)))) is not None
    assert world.prepare(pushed("1.0")) is not None


def test_who_may_not_make_a_stream_pushes_to_none(world: PushWorld) -> None:
    with pytest.raises(StreamMissing):
        world.push(pushed("1.0"), may_create=False)


def test_an_image_that_goes_between_preparation_and_unit_is_prepared_again(
    world: PushWorld,
) -> None:
    world.push(pushed("1.0"))
    assert world.prepare(pushed("1.0")) is None
    world.write(lambda tx: DocumentUnit(tx).delete(Key(IMAGES.key, "", digest_of(MANIFEST))))
    with pytest.raises(ImageGone):
        world.stream(lambda stream: record(stream, pushed("1.0"), None, None, ANN))


def test_a_manifest_that_comes_after_its_event_is_shown_under_the_tag(world: PushWorld) -> None:
    world.push(pushed("other"))
    content = MANIFEST + b" "
    digest = Digest.of(content)
    event = Change("elsewhere.example.com/web@" + digest, digest, 1)

    def imported() -> None:
        world.change(lambda stream: stream.record("1.0", event, ANN))

    imported()
    assert world.pulled("1.0") is None
    stored = manifests.Manifest(digest, IMAGE_MANIFEST, content)
    world.write(lambda tx: manifests.put(tx, WEB, stored, (), ANN.now))
    world.change(lambda stream: show_again(stream, [digest], ANN.now))
    assert world.pulled("1.0") == digest


def test_a_push_of_what_the_event_says_sets_a_wrong_tag_right(world: PushWorld) -> None:
    world.push(pushed("1.0"))
    world.write(lambda tx: tx.execute("DELETE FROM tags"))
    world.push(pushed("1.0"))
    assert world.pulled("1.0") == digest_of(MANIFEST)
