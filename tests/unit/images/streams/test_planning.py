"""What a write of a whole stream does to it, and what its writer cannot say (image-api 4.3)."""

from typing import Any

import pytest

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ManagedFieldsEntry, ObjectMeta
from tidegate.images.kinds.image_stream import (
    ImageStream,
    ImageStreamSpec,
    ImageStreamStatus,
    NamedTagEventList,
    TagEvent,
    TagReference,
)
from tidegate.images.streams.planning import (
    CHANGES,
    MANAGERS_LIMIT,
    Wish,
    foreign_sources,
    happened,
    malformed,
    plan_spec,
    plan_status,
    prepare_spec,
    prepare_status,
)
from tidegate.images.streams.rendering import TAGS_OMITTED


def tag(name: str, source: str = "", **more: Any) -> TagReference:
    origin = ObjectReference(kind="ImageStreamTag", name=source) if source else None
    return TagReference(name=name, **{"from_": origin, **more})


def event(letter: str, generation: int = 1, created: str = "2026-01-01T00:00:00Z") -> TagEvent:
    image = "sha256:" + letter * 64
    return TagEvent(
        created=created,
        docker_image_reference=f"docker.io/x@{image}",
        image=image,
        generation=generation,
    )


def stream(
    *tags: TagReference,
    generation: int = 1,
    history: dict[str, list[TagEvent]] | None = None,
    annotations: dict[str, str] | None = None,
) -> ImageStream:
    return ImageStream(
        metadata=ObjectMeta(
            name="web", namespace="shop", generation=generation, annotations=annotations or {}
        ),
        spec=ImageStreamSpec(tags=list(tags)),
        status=ImageStreamStatus(
            tags=[NamedTagEventList(tag=name, items=items) for name, items in history.items()]
            if history
            else []
        ),
    )


def test_a_new_stream_has_no_past_and_all_its_tags_are_of_its_first_generation() -> None:
    new = stream(tag("b", "x", generation=9), tag("a"), history={"a": [event("d")]})
    prepare_spec(new, None)
    assert [(each.name, each.generation) for each in new.spec.tags] == [("a", 1), ("b", 1)]
    assert new.status == ImageStreamStatus()


def test_of_two_tags_of_one_name_the_last_counts() -> None:
    new = stream(tag("a", "x"), tag("a", "y"))
    prepare_spec(new, None)
    assert [each.from_.name for each in new.spec.tags if each.from_] == ["y"]


def test_a_tag_that_changed_is_of_the_generation_that_the_change_makes() -> None:
    old = stream(tag("a", "x", generation=2), tag("b", "x", generation=1), generation=4)
    prepare_spec(old, old)
    new = stream(tag("a", "y", generation=2), tag("b", "x"), tag("c"), generation=4)
    prepare_spec(new, old)
    assert [(each.name, each.generation) for each in new.spec.tags] == [
        ("a", 5),
        ("b", 1),
        ("c", 5),
    ]


def test_only_tags_that_were_shown_and_are_gone_are_taken_away() -> None:
    old = stream(tag("a", "x", generation=1), tag("b", "x", generation=1))
    new = stream(tag("b", "y", generation=2), tag("c", generation=2), generation=2)
    plan = plan_spec(new, old)
    assert plan.wishes == [
        Wish("a", None),
        Wish("b", new.spec.tags[0], moved=True),
        Wish("c", new.spec.tags[1], moved=False, is_new=True),
    ]
    assert plan.header.spec.tags == []


def test_what_is_said_of_omissions_is_neither_taken_nor_stored() -> None:
    old = stream(annotations={TAGS_OMITTED: "5", "a": "b"})
    new = stream(annotations={"a": "b"})
    prepare_spec(new, old)
    assert new.metadata.annotations == old.metadata.annotations  # so that nothing changes
    assert plan_spec(new, old).header.metadata.annotations == {"a": "b"}
    made = stream(annotations={TAGS_OMITTED: "5"})
    prepare_spec(made, None)
    assert made.metadata.annotations == {}


def test_managers_of_more_fields_than_a_push_should_write_anew_are_let_go() -> None:
    fields: dict[str, Any] = {
        "f:spec": {f"k:{number}": {} for number in range(MANAGERS_LIMIT // 4)}
    }
    new = stream()
    new.metadata.managed_fields = [ManagedFieldsEntry(manager="me", fields_v1=fields)]
    prepare_spec(new, None)
    assert new.metadata.managed_fields == []


def test_the_status_leaves_what_is_wanted_and_the_generation_as_they_are() -> None:
    old = stream(tag("a", "x", generation=3), generation=5)
    new = stream(tag("b"), generation=9, history={"a": [event("d")]})
    prepare_status(new, old)
    assert new.spec == old.spec
    assert new.metadata.generation == 5


@pytest.mark.parametrize(
    ("before", "generation"),
    [
        ({"a": [event("e")]}, 3),  # another event: of the tag's generation
        ({}, 5),  # the first one: of the stream's
        ({"a": [event("d")]}, 5),  # the same one
    ],
)
def test_an_event_without_a_generation_gets_one(
    before: dict[str, list[TagEvent]], generation: int
) -> None:
    old = stream(tag("a", "x", generation=3), generation=5, history=before)
    new = stream(history={"a": [event("d", 0)]})
    prepare_status(new, old)
    assert new.status.tags[0].items[0].generation == generation


def test_a_tag_without_events_and_conditions_is_none() -> None:
    new = stream(history={"a": [], "b": [event("d")]})
    prepare_status(new, stream())
    assert [each.tag for each in new.status.tags] == ["b"]


def test_events_that_are_gone_are_removed_and_new_ones_come_oldest_first() -> None:
    old = stream(history={"a": [event("c"), event("b"), event("a")], "b": [event("d")]})
    new = stream(history={"a": [event("f"), event("e"), event("c"), event("a")]})
    first, second = plan_status(new, old).pasts
    assert dict(first.removed) == {happened(event("b")): 1}
    assert list(first.added) == [event("e"), event("f")]
    assert (second.tag, dict(second.removed)) == ("b", {happened(event("d")): 1})


def test_of_two_events_that_look_the_same_one_may_go() -> None:
    old = stream(history={"a": [event("d"), event("e"), event("d")]})
    new = stream(history={"a": [event("d"), event("e")]})
    (past,) = plan_status(new, old).pasts
    assert dict(past.removed) == {happened(event("d")): 1}
    assert not past.added


def test_another_generation_of_the_newest_event_is_all_that_changes() -> None:
    old = stream(history={"a": [event("d", 1), event("e", 1)]})
    new = stream(history={"a": [event("d", 2), event("e", 1)]})
    (past,) = plan_status(new, old).pasts
    assert not past.removed
    assert list(past.added) == [event("d", 2)]


@pytest.mark.parametrize("source", ["a:b:c", ":b", "a:", "Not-A-Name:b"])
def test_a_source_is_a_tag_or_a_tag_of_a_stream(source: str) -> None:
    (fault,) = malformed(plan_spec(stream(tag("t", source)), None))
    assert fault.field == "spec.tags[t].from.name"


def test_sources_of_other_projects_are_asked_about_once_each() -> None:
    def there(name: str, source: str, namespace: str = "prod") -> TagReference:
        origin = ObjectReference(kind="ImageStreamTag", name=source, namespace=namespace)
        return TagReference(name=name, from_=origin)

    unchanged = there("same", "app:v1")
    new = stream(
        there("a", "web:v1"), there("b", "web:v2"), there("c", "web:v1", "shop"), unchanged
    )
    plan = plan_spec(new, stream(unchanged))
    assert foreign_sources(plan) == {"prod/web": ["a", "b"]}


def test_a_write_changes_only_so_many_tags() -> None:
    many = stream(*(tag(f"t{number}") for number in range(CHANGES)))
    assert malformed(plan_spec(many, None)) == []
    one_more = stream(*many.spec.tags, tag("latest"))
    (fault,) = malformed(plan_spec(one_more, None))
    assert fault.field == "spec.tags"
    assert malformed(plan_spec(one_more, many)) == []


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "a" * 129, "v1.at-20260101T000000Z"])
def test_a_new_tag_has_a_name_that_can_be_kept_and_pulled(name: str) -> None:
    odd = stream(tag(name))
    (fault,) = malformed(plan_spec(odd, None))
    assert fault.field == "spec.tags.name"
    assert malformed(plan_spec(stream(tag(name, "x:1")), odd)) == []  # one that is there stays
