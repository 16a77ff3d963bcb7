import json
from typing import Any

import pytest

from tests.unit.delivery.triggers.things import entry, source
from tidegate.delivery.triggers.annotation import (
    AnnotationInvalid,
    FieldPathInvalid,
    Selected,
    entries_of,
    selected,
    source_of,
    tag_source,
)

POD = "spec.template.spec"


def sources(*entries: dict[str, Any]) -> list[str]:
    read = [source_of(each, "shop") for each in entries_of(json.dumps(list(entries)))]
    return [str(each) if each else "-" for each in read]


def test_a_tag_is_of_the_namespace_of_the_object_unless_another_is_named() -> None:
    elsewhere = {"from": {"kind": "ImageStreamTag", "name": "web:1", "namespace": "lab"}}
    assert sources(entry(), elsewhere | {"fieldPath": "x"}) == ["shop/web:1", "lab/web:1"]


def test_an_entry_that_is_paused_or_names_no_tag_follows_nothing() -> None:
    def named(**reference: str) -> dict[str, Any]:
        return {"from": reference, "fieldPath": json.dumps(reference)}

    assert (
        sources(
            entry(paused=True),
            named(kind="DockerImage", name="web:1"),
            named(kind="ImageStreamTag", name="web:1", apiVersion="image.openshift.io/v1"),
            named(kind="ImageStreamTag", name="web"),
            named(kind="ImageStreamTag", name=":1"),
            named(kind="ImageStreamTag", name="Web:1"),
            named(kind="ImageStreamTag", name="a/b:1"),
            named(kind="ImageStreamTag", name=f"web:{'1' * 129}"),
            named(kind="ImageStreamTag", name="web:1\n"),
            {"fieldPath": ""},
        )
        == ["-"] * 10
    )


def test_names_that_no_tag_can_have_are_followed_by_nobody() -> None:
    assert tag_source("web:1:2", "shop") is None
    assert tag_source("web:1", "Shop") is None
    assert tag_source("web:1", "shop") == source("shop/web:1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '"text"',
        "[1]",
        '[{"paused": "true"}]',  # a text is no boolean, so that the object is ignored
        '[{"from": "web:1"}]',
        '[{"fieldPath": 3}]',
        '[{"fieldPath": "a"}, {"fieldPath": "a"}]',
        '[{"fieldPath": "a", "paused": true}, {"fieldPath": "a"}]',
        json.dumps([{"fieldPath": str(index)} for index in range(257)]),
        json.dumps([{"fieldPath": "a" * 66_000}]),
        "[" * 30_000,
        '[{"from": ' * 3_000,
        '["\\ud800"',
    ],
)
def test_an_annotation_that_cannot_be_meant_counts_for_nothing(text: str) -> None:
    with pytest.raises(AnnotationInvalid):
        entries_of(text)


def test_null_and_an_empty_list_are_no_triggers() -> None:
    assert list(entries_of("null")) == list(entries_of("[]")) == []


def test_a_container_is_selected_by_index_or_by_name() -> None:
    assert selected(f"{POD}.containers[0].image", POD) == Selected(False, position=0)
    assert selected(f"{POD}.initContainers[12].image", POD) == Selected(True, position=12)
    by_name = selected(f'{POD}.containers[?(@.name=="a b")].image', POD)
    assert by_name == Selected(False, name="a b")


def test_a_path_outside_of_the_pod_is_skipped() -> None:
    for path in ("spec.replicas", "", "spec.template.specs", POD, "spec.jobTemplate.spec"):
        assert selected(path, POD) is None


@pytest.mark.parametrize(
    "path",
    [
        ".containers[0]",
        ".containers[0].imagePullPolicy",
        ".containers[0].image.name",
        ".containers[0",
        ".containers.0.image",
        ".ephemeralContainers[0].image",
        ".volumes[0].image",
        ".containers[].image",
        ".containers[-1].image",
        ".containers[٣].image",
        ".containers[99999].image",
        ".containers[*].image",
        ".containers[@name=='web'].image",
        ".containers[?(@.name=='web')].image",
        '.containers[?(@.name == "web")].image',
        '.containers[?(@.name=="")].image',
        '.containers[?(@.name=="web"].image',
    ],
)
def test_a_path_in_the_pod_that_is_no_image_of_a_container_is_a_fault(path: str) -> None:
    with pytest.raises(FieldPathInvalid):
        selected(f"{POD}{path}", POD)
