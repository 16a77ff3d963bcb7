"""Cells and cases of openshift-apiserver's printer of ImageTags (printer_test.go)."""

import pytest

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image_stream import (
    NamedTagEventList,
    TagEvent,
    TagEventCondition,
    TagReference,
)
from tidegate.images.kinds.image_tag import IMAGE_TAGS, ImageTag, shown
from tidegate.images.kinds.tag_reference import TagImportPolicy

STRATEGY = IMAGE_TAGS.strategy
IMAGE = "sha256:0000000000"


def tag(kind: str, name: str, namespace: str = "", generation: int | None = None) -> TagReference:
    source = ObjectReference(kind=kind, name=name, namespace=namespace)
    return TagReference(name="t", from_=source, generation=generation)


def status(*events: TagEvent, failed: str = "") -> NamedTagEventList:
    condition = TagEventCondition(
        type="ImportSuccess",
        status="False" if failed else "",
        reason=failed or "WithoutCondition",
        last_transition_time="1970-01-01T00:01:00Z",
    )
    return NamedTagEventList(tag="t", items=list(events), conditions=[condition])


@pytest.mark.parametrize(
    ("spec", "cells"),
    [
        (None, ("", "")),
        (TagReference(name="t"), ("", "")),
        (tag("DockerImage", "mysql:1"), ("Tag", "mysql:1")),
        (tag("ImageStreamTag", "b:c", "a"), ("Tag", "istag a/b:c")),
        (tag("ImageStreamTag", "b:c"), ("Tag", "istag/b:c")),
        (tag("ImageStreamTag", "c"), ("Track", "istag/c")),
        (tag("ImageStreamImage", f"a@{IMAGE}", "a"), ("Tag", f"image/{IMAGE}")),
        (tag("ImageStreamImage", IMAGE), ("Tag", "InvalidRefName")),
        (tag("Other", "x"), ("Tag", "InvalidRefKind")),
    ],
)
def test_a_tag_without_history_shows_its_source(
    spec: TagReference | None, cells: tuple[str, str]
) -> None:
    assert shown(ImageTag(spec=spec)) == cells


def test_references_and_schedules_have_their_own_words() -> None:
    spec = tag("DockerImage", "a")
    spec.reference = True
    assert shown(ImageTag(spec=spec)) == ("Ref", "a")
    spec.import_policy = TagImportPolicy(scheduled=True)
    assert shown(ImageTag(spec=spec)) == ("Scheduled", "a")


def test_the_newest_event_says_more_than_the_spec() -> None:
    spec = tag("DockerImage", "a", generation=2)
    old, same = TagEvent(image=IMAGE, generation=1), TagEvent(image=IMAGE, generation=2)
    assert shown(ImageTag(spec=spec, status=status(old))) == ("Tag", "Importing")
    assert shown(ImageTag(spec=spec, status=status(same))) == ("Tag", f"image/{IMAGE}")
    recorded = TagEvent(docker_image_reference="r.io/b", generation=2)
    assert shown(ImageTag(spec=spec, status=status(recorded))) == ("Tag", "r.io/b")
    assert shown(ImageTag(spec=spec, status=status(TagEvent()))) == ("Tag", "a")


def test_a_newer_generation_than_the_spec_s_was_pushed() -> None:
    pushed = TagEvent(image=IMAGE, generation=3)
    assert shown(ImageTag(status=status(pushed))) == ("Push", f"image/{IMAGE}")
    spec = tag("DockerImage", "a", generation=2)
    assert shown(ImageTag(spec=spec, status=status(pushed))) == ("Push", f"image/{IMAGE}")
    alias = tag("ImageStreamTag", "b", generation=2)
    assert shown(ImageTag(spec=alias, status=status(pushed))) == ("Track", f"image/{IMAGE}")


def test_a_failed_import_is_said_before_all_else() -> None:
    found = ImageTag(spec=tag("DockerImage", "a"), status=status(failed="Unauthorized"))
    assert shown(found) == ("Tag", "ImportFailed (Unauthorized)")


def test_the_cells_of_a_tag() -> None:
    event = TagEvent(created="1970-01-01T00:00:00Z", image=IMAGE)
    found = ImageTag(status=status(event, event))
    assert [(each.name, each.cell(found, 65)) for each in IMAGE_TAGS.columns] == [
        ("Spec", "Push"),
        ("Status", f"image/{IMAGE}"),
        ("History", 2),
        ("Updated", "5 seconds ago"),
    ]
    nothing = ImageTag(spec=TagReference(name="t"))
    assert [each.cell(nothing, 65) for each in IMAGE_TAGS.columns] == ["", "", None, ""]


def faults(new: ImageTag, old: ImageTag | None = None) -> list[str]:
    STRATEGY.prepare(new, old)
    return [str(each) for each in STRATEGY.validate(new, old)]


def test_a_tag_is_made_with_a_spec_of_its_name() -> None:
    meta = ObjectMeta(name="s:t")
    assert faults(ImageTag(metadata=meta, spec=tag("DockerImage", "a"))) == []
    required = "spec: Required value: spec is a required field during creation"
    assert faults(ImageTag(metadata=meta)) == [required]
    assert faults(ImageTag(metadata=meta), ImageTag()) == []
    other = ImageTag(metadata=meta, spec=TagReference(name="u"))
    assert faults(other) == ['spec.name: Invalid value: "u": must match image tag name']
