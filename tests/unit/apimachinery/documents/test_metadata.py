"""Texts as k8s.io/apimachinery's pkg/api/validation/objectmeta.go writes them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.apimachinery.documents_world import CRATES, WIDGETS
from tidegate.apimachinery.documents.metadata import ANNOTATIONS_LIMIT, validate_metadata
from tidegate.apimachinery.meta import ManagedFieldsEntry, ObjectMeta, OwnerReference
from tidegate.apimachinery.resource import Strategy

NOT_EMPTY = "Required value: must not be empty"


def meta(**fields: Any) -> ObjectMeta:
    return ObjectMeta(**{"name": "a", "namespace": "shop", **fields})


def faults(**fields: Any) -> list[str]:
    """What is wrong with new metadata, as `FIELD: fault`, cut before the examples."""
    return [str(each).partition(" (e.g.")[0] for each in validate_metadata(
        WIDGETS, meta(**fields), None
    )]  # fmt: skip


def reference(**fields: Any) -> OwnerReference:
    return OwnerReference(
        **{"api_version": "example.com/v1", "kind": "Widget", "name": "o", "uid": "u", **fields}
    )


def test_good_metadata_has_no_faults() -> None:
    assert (
        faults(
            labels={"app": "x", "example.com/tier": ""},
            annotations={"Example.com/Note": "any text\n"},
            finalizers=["example.com/x", "foregroundDeletion"],
            owner_references=[reference(controller=True), reference(api_version="v1")],
            managed_fields=[
                ManagedFieldsEntry(manager="m", operation="Apply", fields_type="FieldsV1")
            ],
        )
        == []
    )


def test_a_namespace_is_for_what_has_one() -> None:
    assert faults(namespace="") == ["metadata.namespace: Required value"]
    assert faults(namespace="a.b") == [
        'metadata.namespace: Invalid value: "a.b": must not contain dots'
    ]
    assert [str(each) for each in validate_metadata(CRATES, meta(), None)] == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


def test_a_kind_may_have_names_of_its_own_as_long_as_they_fit_a_path() -> None:
    strategy: Strategy[Any] = Strategy(name_fault=lambda name: "no x" if "x" in name else None)
    resource = replace(WIDGETS, strategy=strategy)

    def told(name: str) -> list[str]:
        return [str(each) for each in validate_metadata(resource, meta(name=name), None)]

    assert told("system:Node") == []
    assert told("x") == ['metadata.name: Invalid value: "x": no x']
    assert told("a/b%") == [
        "metadata.name: Invalid value: \"a/b%\": may not contain '/'",
        "metadata.name: Invalid value: \"a/b%\": may not contain '%'",
    ]
    assert told("..") == ["metadata.name: Invalid value: \"..\": may not be '..'"]


def test_keys_and_values_of_labels_are_judged() -> None:
    assert faults(labels={"a b": "-"}) == [
        (
            'metadata.labels: Invalid value: "a b": name part must consist of alphanumeric '
            "characters, "
            "'-', '_' or '.', and must start and end with an alphanumeric character"
        ),
        (
            'metadata.labels: Invalid value: "-": a valid label must be an empty string or '
            "consist of "
            "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character"
        ),
    ]


def test_annotations_have_good_keys_and_256_kib() -> None:
    assert faults(annotations={"a": "x" * (ANNOTATIONS_LIMIT - 1)}) == []
    assert faults(annotations={"a": "x" * ANNOTATIONS_LIMIT}) == [
        "metadata.annotations: Too long: may not be more than 262144 bytes"
    ]
    assert len(faults(annotations={"a": "é" * (ANNOTATIONS_LIMIT // 2)})) == 1
    assert faults(annotations={"/a": ""}) == [
        'metadata.annotations: Invalid value: "/a": prefix part must be non-empty'
    ]


@pytest.mark.parametrize("field", ["api_version", "kind", "name", "uid"])
def test_a_reference_names_its_owner_in_full(field: str) -> None:
    (fault,) = faults(owner_references=[reference(**{field: ""})])
    wire = "apiVersion" if field == "api_version" else field
    assert fault == f"metadata.ownerReferences[0].{wire}: {NOT_EMPTY}"


def test_a_reference_has_a_version_and_no_event_is_an_owner() -> None:
    for bad in ("a/b/c", "a/"):
        assert faults(owner_references=[reference(api_version=bad)]) == [
            (
                f'metadata.ownerReferences[0].apiVersion: Invalid value: "{bad}": must be '
                "<group>/<version> or <version>"
            )
        ]
    assert faults(owner_references=[reference(api_version="v1", kind="Event")]) == [
        (
            'metadata.ownerReferences[0]: Invalid value: "o": /v1, Kind=Event is disallowed from '
            "being "
            "an owner"
        )
    ]


def test_an_object_has_one_controller() -> None:
    both = [reference(controller=True), reference(name="p", controller=True)]
    assert faults(owner_references=both) == [
        (
            'metadata.ownerReferences: Invalid value: "p": Only one reference can have '
            "Controller set "
            'to true. Found "true" in references for Widget/o and Widget/p'
        )
    ]


def test_finalizers_are_qualified_names_and_agree() -> None:
    assert faults(finalizers=["/x"]) == [
        'metadata.finalizers: Invalid value: "/x": prefix part must be non-empty'
    ]
    assert faults(finalizers=["orphan", "foregroundDeletion"]) == [
        (
            'metadata.finalizers: Invalid value: "[orphan foregroundDeletion]": finalizer orphan '
            "and "
            "foregroundDeletion cannot be both set"
        )
    ]


def test_managed_fields_are_judged() -> None:
    entries = [
        ManagedFieldsEntry(),
        ManagedFieldsEntry(operation="Eat", fields_type="V2", manager="m" * 129),
    ]
    assert faults(managed_fields=entries) == [
        f"metadata.managedFields[0].operation: {NOT_EMPTY}",
        (
            'metadata.managedFields[1].operation: Unsupported value: "Eat": supported values: '
            '"Apply", '
            '"Update"'
        ),
        'metadata.managedFields[1].fieldsType: Invalid value: "V2": must be `FieldsV1`',
        "metadata.managedFields[1].manager: Too long: may not be more than 128 bytes",
    ]


def test_what_identifies_an_object_does_not_change() -> None:
    old = meta(uid="u", generation=2, creation_timestamp="t", finalizers=["x/y"])
    new = meta(
        name="b",
        namespace="yard",
        uid="v",
        generation=1,
        creation_timestamp="s",
        deletion_timestamp="r",
    )
    told = [str(each) for each in validate_metadata(WIDGETS, new, old)]
    assert told == [
        "metadata.generation: Invalid value: 1: must not be decremented",
        'metadata.name: Invalid value: "b": field is immutable',
        'metadata.namespace: Invalid value: "yard": field is immutable',
        'metadata.uid: Invalid value: "v": field is immutable',
        'metadata.creationTimestamp: Invalid value: "s": field is immutable',
        'metadata.deletionTimestamp: Invalid value: "r": field is immutable',
    ]


def test_an_update_may_keep_a_name_that_would_not_be_given_today() -> None:
    assert validate_metadata(WIDGETS, meta(name="Old_Name"), meta(name="Old_Name")) == []


def test_an_object_that_is_being_deleted_may_lose_finalizers_but_gain_none() -> None:
    old = meta(deletion_timestamp="t", finalizers=["x/a", "x/b"])
    lost = meta(deletion_timestamp="t", finalizers=["x/a"])
    assert validate_metadata(WIDGETS, lost, old) == []
    gained = meta(deletion_timestamp="t", finalizers=["x/d", "x/a", "x/c"])
    assert [str(each) for each in validate_metadata(WIDGETS, gained, old)] == [
        (
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
            'deleted, found new finalizers []string{"x/c", "x/d"}'
        )
    ]
