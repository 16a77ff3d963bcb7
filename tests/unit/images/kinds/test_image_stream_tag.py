"""Names of the parts of streams, and what may be said in writing a tag."""

import msgspec
import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream import TagReference
from tidegate.images.kinds.image_stream_image import (
    IMAGE_STREAM_IMAGES,
    ImageStreamImage,
    split_image_name,
)
from tidegate.images.kinds.image_stream_tag import (
    IMAGE_STREAM_TAGS,
    ImageStreamTag,
    split_tag_name,
)

STRATEGY = IMAGE_STREAM_TAGS.strategy
META = ObjectMeta(name="s:t", creation_timestamp="1970-01-01T00:00:00Z")
IMAGE = Image(metadata=ObjectMeta(name="sha256:1"), docker_image_reference="r.io/a")


@pytest.mark.parametrize("name", ["s", "s:", ":t", "s:t:u", ""])
def test_a_tag_has_exactly_one_colon(name: str) -> None:
    assert STRATEGY.name_fault is not None
    assert split_tag_name(name) is None
    assert STRATEGY.name_fault(name) == "must be of the form <stream_name>:<tag>"
    assert split_tag_name("s:t") == ("s", "t")
    assert STRATEGY.name_fault("s:t") is None
    assert STRATEGY.name_fault("s:a/b") == "may not contain '/'"


@pytest.mark.parametrize("name", ["s", "s@", "@i", "s@i@j"])
def test_an_image_of_a_stream_has_exactly_one_at(name: str) -> None:
    assert split_image_name(name) is None
    assert split_image_name("s@sha256:1") == ("s", "sha256:1")


def test_the_policy_and_the_generation_are_always_written() -> None:
    written = msgspec.to_builtins(ImageStreamTag())
    assert written["lookupPolicy"] == {"local": False}
    assert written["generation"] == 0


def test_annotations_of_a_tag_are_those_of_the_object() -> None:
    new = ImageStreamTag(tag=TagReference(name="t", annotations={"a": "1"}))
    STRATEGY.prepare(new, None)
    assert [str(each) for each in STRATEGY.validate(new, None)] == [
        (
            'tag.annotations: Invalid value: "<map>": tag annotations must not be provided or must '
            "be equal to the object meta annotations"
        )
    ]
    new.metadata.annotations = {"a": "1"}
    assert STRATEGY.validate(new, None) == []


def test_a_tag_may_say_nothing_of_its_source() -> None:
    new = ImageStreamTag(metadata=META)
    STRATEGY.prepare(new, None)
    assert list(STRATEGY.validate(new, None)) == []


def test_a_put_makes_the_tag() -> None:
    assert STRATEGY.update_creates
    assert "watch" not in IMAGE_STREAM_TAGS.verbs


def test_the_cells_of_a_tag() -> None:
    found = ImageStreamTag(metadata=META, image=IMAGE)
    assert [
        (each.name, each.priority, each.cell(found, 5)) for each in IMAGE_STREAM_TAGS.columns
    ] == [
        ("Image Reference", 0, "r.io/a"),
        ("Updated", 0, "5 seconds ago"),
        ("Image Name", 1, "sha256:1"),
    ]


def test_the_cells_of_an_image_of_a_stream() -> None:
    found = ImageStreamImage(metadata=META, image=IMAGE)
    assert [
        (each.name, each.priority, each.cell(found, 5)) for each in IMAGE_STREAM_IMAGES.columns
    ] == [
        ("Updated", 0, "5 seconds ago"),
        ("Image Reference", 1, "r.io/a"),
        ("Image Name", 1, "sha256:1"),
    ]
