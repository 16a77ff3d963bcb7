"""imagestreamimports: the rules of a request (image-api 7.1), answered without fetching."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.images.image_world import World, call
from tidegate.apimachinery.errors import Invalid, NotFound, UpdateConflict
from tidegate.apimachinery.store import Key
from tidegate.images.imports.unfetched import ImportStorage
from tidegate.images.kinds.image_stream_import import ImageStreamImport
from tidegate.metastore.documents import Documents, DocumentUnit


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.write(
        lambda tx: DocumentUnit(tx).put(Key("namespaces", "", "shop"), "u", lambda _: b"{}")
    )
    return world


def asked(spec: dict[str, Any], namespace: str = "shop", **metadata: str) -> ImageStreamImport:
    values = {"metadata": {"name": "web", "namespace": namespace, **metadata}, "spec": spec}
    return msgspec.convert(values, ImageStreamImport)


def create(world: World, new: ImageStreamImport) -> dict[str, Any]:
    namespace = new.metadata.namespace
    body = world.run(
        lambda db: ImportStorage(Documents(db)).create(call("create", namespace=namespace), new)
    )
    answer: dict[str, Any] = msgspec.json.decode(body)
    return answer


def image(name: str, **more: Any) -> dict[str, Any]:
    return {"from": {"kind": "DockerImage", "name": name}, **more}


def test_every_image_is_answered_for_in_order_and_none_was_fetched(world: World) -> None:
    new = asked({"import": True, "images": [image("docker.io/x:1"), image("quay.io/a/b")]})
    answer = create(world, new)
    first, second = answer["status"]["images"]
    assert first["status"]["status"] == second["status"]["status"] == "Failure"
    assert first["status"]["reason"] == "NotImplemented"
    assert '"docker.io/x:1" was not imported' in first["status"]["message"]
    assert [each["tag"] for each in (first, second)] == ["1", "latest"]
    assert answer["spec"]["images"][0]["to"] == {"name": "1"}
    assert "import" not in answer["status"]


def test_a_repository_is_answered_for_too(world: World) -> None:
    answer = create(world, asked({"repository": image("quay.io/a/b")}))
    assert answer["status"]["repository"]["status"]["status"] == "Failure"


def test_a_search_for_everything_finds_nothing(world: World) -> None:
    answer = create(world, asked({"images": [image("*")]}))
    assert answer["status"]["images"][0]["status"]["status"] == "Failure"


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({}, "you must specify at least one image or a repository import"),
        ({"images": [{"from": {"kind": "X", "name": "a"}}]}, "only DockerImage is supported"),
        (
            {"images": [image("a", to={"name": ""})]},
            "the name of the target tag must be specified",
        ),
        (
            {"repository": image("a/b:c")},
            "you must specify an image repository, not a tag or ID",
        ),
    ],
)
def test_the_rules_of_a_request(world: World, spec: dict[str, Any], fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        create(world, asked(spec))


def test_the_project_has_to_be_there(world: World) -> None:
    with pytest.raises(NotFound, match=r'^namespaces "other" not found'):
        create(world, asked({"images": [image("a")]}, namespace="other"))


def test_a_version_that_is_sent_is_that_of_the_stream(world: World) -> None:
    spec = {"images": [image("a")]}
    with pytest.raises(NotFound, match=r'^imagestreams.image.openshift.io "web" not found'):
        create(world, asked(spec, resourceVersion="1"))
    world.stream()
    current = world.revision()
    with pytest.raises(UpdateConflict) as refused:
        create(world, asked(spec, resourceVersion="1"))
    assert str(refused.value) == (
        'Operation cannot be fulfilled on imagestream.image.openshift.io "web": '
        f'the image stream was updated from "1" to "{current}"'
    )
    create(world, asked(spec, resourceVersion=current))
    create(world, asked(spec))
