"""imagesignatures: what openshift-apiserver answers (image-api 8.5), and where they are kept."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.images.image_world import World, call, digest
from tidegate.apimachinery.errors import (
    AlreadyExists,
    BadRequest,
    Invalid,
    NotFound,
    RequestTooLarge,
)
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import DeleteOptions
from tidegate.apimachinery.store import Key
from tidegate.images import signatures
from tidegate.images.kinds.image_signature import ImageSignature, SignatureCondition
from tidegate.images.signatures import WAITING, SignatureStorage
from tidegate.metastore.documents import Documents, DocumentUnit


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.image("a")
    return world


def signature(name: str = "one", content: str = "AA==", image: str = "a") -> ImageSignature:
    return ImageSignature(
        metadata=ObjectMeta(name=f"{digest(image)}@{name}"), type="AtomicImageV1", content=content
    )


def create(world: World, new: ImageSignature, *, dry_run: bool = False) -> dict[str, Any]:
    body = world.run(
        lambda db: SignatureStorage(Documents(db), lambda: 1_790_000_000.0).create(
            call("create", dry_run=dry_run), new
        )
    )
    made: dict[str, Any] = msgspec.json.decode(body)
    return made


def delete(world: World, name: str, *, dry_run: bool = False) -> None:
    world.run(
        lambda db: SignatureStorage(Documents(db)).delete(
            call("delete", name, dry_run=dry_run), name, DeleteOptions()
        )
    )


def kept(world: World, letter: str = "a") -> list[str]:
    image = world.stored(letter)
    assert image is not None
    return [each.metadata.name.partition("@")[2] for each in image.signatures]


def wait(world: World, name: str, kind: str = "AtomicImageV1", image: str = "a") -> None:
    """Leave a signature as the version before kept it."""
    full = f"{digest(image)}@{name}"
    body = {
        "kind": "ImageSignature",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": full, "uid": f"uid-{name}", "resourceVersion": "1"},
        "type": kind,
        "content": f"{name}0000"[:4],
    }
    world.write(
        lambda tx: DocumentUnit(tx).put(
            Key(WAITING, "", full), f"uid-{name}", lambda _revision: msgspec.json.encode(body)
        )
    )


def test_a_signature_is_appended_to_its_image_under_a_new_version(world: World) -> None:
    before = world.stored("a")
    made = create(world, signature())
    assert made["kind"] == "ImageSignature"
    assert made["apiVersion"] == "image.openshift.io/v1"
    assert made["metadata"]["name"] == f"{digest('a')}@one"
    assert made["metadata"]["uid"]
    assert made["metadata"]["creationTimestamp"] == "2026-09-21T14:13:20Z"
    create(world, signature("two", "AAA="))
    assert kept(world) == ["one", "two"]
    after = world.stored("a")
    assert before is not None
    assert after is not None
    assert after.metadata.resource_version > before.metadata.resource_version
    assert after.metadata.uid == before.metadata.uid


def test_only_a_verifier_says_what_is_true_of_a_signature(world: World) -> None:
    new = signature()
    new.conditions = [SignatureCondition(type="Trusted", status="True")]
    new.image_identity = "r/shop/web:v1"
    assert not {"conditions", "imageIdentity"} & set(create(world, new))


def test_a_signature_without_an_image_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match=f'^images.image.openshift.io "{digest("b")}" not found'):
        create(world, signature(image="b"))
    with pytest.raises(NotFound, match=r'^images.image.openshift.io "x" not found'):
        delete(world, "x@y")


@pytest.mark.parametrize(("name", "content"), [("one", "AAA="), ("two", "AA==")])
def test_a_name_and_a_content_are_taken_once(world: World, name: str, content: str) -> None:
    create(world, signature())
    with pytest.raises(AlreadyExists) as refused:
        create(world, signature(name, content))
    assert str(refused.value) == (
        f'imageSignatures.image.openshift.io "{digest("a")}@{name}" already exists'
    )


def test_faults_are_told_as_of_any_object(world: World) -> None:
    new = ImageSignature(metadata=ObjectMeta(name="x", labels={"a": "b"}), content="no base64!")
    with pytest.raises(Invalid) as refused:
        create(world, new)
    assert {each.field for each in refused.value.causes} == {
        "metadata.labels",
        "metadata.name",
        "type",
        "content",
    }


def test_a_signature_is_taken_off_its_image(world: World) -> None:
    create(world, signature())
    create(world, signature("two", "AAA="))
    delete(world, f"{digest('a')}@one")
    assert kept(world) == ["two"]
    with pytest.raises(NotFound, match=r'^imageSignatures.image.openshift.io ".*@one" not found'):
        delete(world, f"{digest('a')}@one")


@pytest.mark.parametrize("name", ["x", "x@", "@y", "a@b@c"])
def test_a_signature_is_named_by_its_image_too(world: World, name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        delete(world, name)
    assert str(refused.value) == (
        "ImageSignatures must be accessed with <imageName>@<signatureName>"
    )


def test_rehearsals_leave_the_image_as_it_is(world: World) -> None:
    create(world, signature(), dry_run=True)
    assert kept(world) == []
    create(world, signature())
    delete(world, f"{digest('a')}@one", dry_run=True)
    assert kept(world) == ["one"]


def test_an_image_has_room_for_so_many(world: World) -> None:
    large = "A" * 1_000_000
    create(world, signature("one", large))
    with pytest.raises(RequestTooLarge):
        create(world, signature("two", "B" * 1_000_000))
    assert kept(world) == ["one"]


def test_what_the_version_before_kept_is_put_into_the_image_by_the_next_write(
    world: World,
) -> None:
    wait(world, "older")
    wait(world, "short", kind="atomic")
    create(world, signature())
    assert kept(world) == ["older", "short", "one"]
    image = world.stored("a")
    assert image is not None
    assert {each.type for each in image.signatures} == {"AtomicImageV1"}
    assert world.write(lambda tx: signatures.kept(DocumentUnit(tx), digest("a"))) == []


def test_what_waits_can_be_deleted(world: World) -> None:
    wait(world, "older")
    delete(world, f"{digest('a')}@older")
    assert kept(world) == []
    assert world.write(lambda tx: signatures.kept(DocumentUnit(tx), digest("a"))) == []


def test_all_that_waits_for_an_image_is_found_and_nothing_else(world: World) -> None:
    for number in range(45):
        wait(world, f"n{number:02}")
    wait(world, "other", image="b")

    def names(letter: str) -> list[str]:
        found = world.write(lambda tx: signatures.waiting(DocumentUnit(tx), digest(letter)))
        return [each.metadata.name.partition("@")[2] for each in found]

    assert names("a") == [f"n{number:02}" for number in range(45)]
    assert names("a") == []
    assert names("b") == ["other"]
