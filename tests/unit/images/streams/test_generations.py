"""Generations of tags (image-api 4.3 and its tests 1 and 2)."""

from typing import Any

import pytest

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.images.kinds.image_stream import TagImportPolicy, TagReference
from tidegate.images.streams.generations import is_moved, kept, settled


def tag(name: str = "docker.io/x:1", namespace: str = "", **more: Any) -> TagReference:
    origin = ObjectReference(kind="DockerImage", name=name, namespace=namespace)
    return TagReference(name="t", from_=origin, **{"generation": 3, **more})


@pytest.mark.parametrize("written", [7, 3, None])
def test_what_a_user_writes_of_a_generation_gives_way_to_what_is_stored(
    written: int | None,
) -> None:
    assert kept(tag(), tag(generation=written)) == tag()


def test_zero_asks_for_another_import() -> None:
    wanted = kept(tag(), tag(generation=0))
    assert wanted != tag()
    assert settled(tag(), wanted, "shop", 9).generation == 9


def test_a_new_tag_gets_the_generation_of_the_stream_whatever_it_says() -> None:
    for written in (None, 0, 7):
        assert settled(None, kept(None, tag(generation=written)), "shop", 9).generation == 9


@pytest.mark.parametrize(
    "other",
    [
        tag("docker.io/x:2"),
        tag(namespace="other"),
        tag(reference=True),
        tag(import_policy=TagImportPolicy(import_mode="PreserveOriginal")),
    ],
)
def test_a_tag_from_somewhere_else_gets_a_new_generation(other: TagReference) -> None:
    assert is_moved(tag(), other, "shop")
    assert settled(tag(), kept(tag(), other), "shop", 9).generation == 9


@pytest.mark.parametrize(
    "other",
    [
        tag(annotations={"a": "b"}),
        tag(namespace="shop"),
        tag(import_policy=TagImportPolicy(scheduled=True, insecure=True)),
        TagReference(
            name="t",
            from_=ObjectReference(kind="ImageStreamTag", name="docker.io/x:1"),
            generation=3,
        ),
        TagReference(name="t", generation=3),
    ],
)
def test_other_changes_leave_the_generation_of_the_tag(other: TagReference) -> None:
    assert not is_moved(tag(), other, "shop")
    assert settled(tag(), kept(tag(), other), "shop", 9).generation == 3


def test_a_tag_that_never_had_a_generation_gets_one() -> None:
    old = tag(generation=None)
    assert settled(old, kept(old, tag(generation=None)), "shop", 9).generation == 9
