from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tidegate.apimachinery.resource import Resource
from tidegate.kinds.registries.mirror_sets import (
    IMAGE_CONTENT_SOURCE_POLICIES,
    IMAGE_DIGEST_MIRROR_SETS,
    IMAGE_TAG_MIRROR_SETS,
    STATUS_STRATEGY,
)

MIRROR_SETS: list[tuple[Resource[Any], str]] = [
    (IMAGE_DIGEST_MIRROR_SETS, "imageDigestMirrors"),
    (IMAGE_TAG_MIRROR_SETS, "imageTagMirrors"),
]
ALL = [*MIRROR_SETS, (IMAGE_CONTENT_SOURCE_POLICIES, "repositoryDigestMirrors")]


def made(resource: Resource[Any], field: str, *mirrors: dict[str, Any]) -> Any:
    return msgspec.convert(
        {"metadata": {"name": "a"}, "spec": {field: list(mirrors)}}, resource.type
    )


def faults(resource: Resource[Any], new: Any, old: Any = None) -> list[str]:
    return [str(each) for each in resource.strategy.validate(new, old)]


@pytest.mark.parametrize(("resource", "field"), MIRROR_SETS)
def test_a_set_has_sources_and_mirrors(resource: Resource[Any], field: str) -> None:
    assert faults(resource, msgspec.convert({}, resource.type)) == []
    good: list[dict[str, Any]] = [
        {"source": "*.redhat.io", "mirrors": ["mirror.local:5000/redhat"]},
        {"source": "quay.io/org/app", "mirrorSourcePolicy": "NeverContactSource"},
    ]
    assert faults(resource, made(resource, field, *good)) == []


@pytest.mark.parametrize(("resource", "field"), MIRROR_SETS)
def test_a_bad_entry_is_refused_with_its_place(resource: Resource[Any], field: str) -> None:
    bad: list[dict[str, Any]] = [
        {"mirrors": ["a"]},
        {"source": "https://quay.io"},
        {"source": "quay.io", "mirrors": ["*.local", "a", "a"], "mirrorSourcePolicy": "Maybe"},
    ]
    place = f"spec.{field}"
    assert [each.partition(" ")[0] for each in faults(resource, made(resource, field, *bad))] == [
        f"{place}[0].source:",
        f"{place}[1].source:",
        f"{place}[2].mirrors[0]:",
        f"{place}[2].mirrors[2]:",
        f"{place}[2].mirrorSourcePolicy:",
    ]
    stored = made(resource, field, *bad)
    assert faults(resource, made(resource, field, *bad), stored) == []  # as it was


def test_an_older_policy_takes_anything_but_no_source() -> None:
    resource, field = ALL[2]
    assert faults(resource, made(resource, field, {"source": "*", "mirrors": ["b c"]})) == []
    assert faults(resource, made(resource, field, {"mirrors": ["a"]})) == [
        "spec.repositoryDigestMirrors[0].source: Required value"
    ]


@pytest.mark.parametrize(("resource", "field"), ALL)
def test_a_table_says_what_is_mirrored(resource: Resource[Any], field: str) -> None:
    (column,) = resource.columns
    new = made(resource, field, {"source": "quay.io"}, {"source": "gcr.io"})
    assert column.cell(new, 0.0) == "quay.io,gcr.io"
    assert column.cell(made(resource, field), 0.0) == "<none>"


@pytest.mark.parametrize(("resource", "field"), ALL)
def test_through_status_nothing_changes(resource: Resource[Any], field: str) -> None:
    old, new = made(resource, field, {"source": "quay.io"}), made(resource, field)
    replace(resource, strategy=STATUS_STRATEGY).strategy.prepare(new, old)
    assert new.spec == old.spec


@pytest.mark.parametrize(("resource", "field"), MIRROR_SETS)
def test_a_status_of_another_cluster_is_left_out(resource: Resource[Any], field: str) -> None:
    new = msgspec.convert({"spec": {field: []}, "status": {}}, resource.type)
    resource.strategy.prepare(new, None)
    assert "status" not in msgspec.to_builtins(new)
