"""The rules of `metadata` that hold for every kind, in the words of Kubernetes' validation.

It sees the new metadata and the old, never a store. What the server owns has been put back before
it is asked on an update, so that only a mistake of ours meets the rules of immutable fields there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.apimachinery.errors import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from tidegate.apimachinery.meta import ManagedFieldsEntry, ObjectMeta, OwnerReference
from tidegate.apimachinery.names import (
    label_faults,
    label_value_faults,
    path_segment_faults,
    qualified_name_faults,
    subdomain_faults,
)
from tidegate.apimachinery.resource import Resource

ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all keys and values of an object's annotations."""

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
"""Finalizers of the garbage collector: wait for the dependents; leave them alone."""

_IMMUTABLE = (
    ("name", "name"),
    ("namespace", "namespace"),
    ("uid", "uid"),
    ("creation_timestamp", "creationTimestamp"),
    ("deletion_timestamp", "deletionTimestamp"),
)


def validate_metadata(
    resource: Resource[Any], meta: ObjectMeta, old: ObjectMeta | None
) -> list[FieldError]:
    """Every fault of an object's metadata; `old` is None on create."""
    faults = list(_of_name(resource, meta) if old is None else _of_change(meta, old))
    faults += _of_namespace(resource, meta)
    faults += _of_labels(meta.labels)
    faults += _of_annotations(meta.annotations)
    faults += _of_owners(meta.owner_references)
    faults += _of_finalizers(meta.finalizers)
    faults += _of_managed_fields(meta.managed_fields)
    return faults


def _of_name(resource: Resource[Any], meta: ObjectMeta) -> Iterator[FieldError]:
    prefix = meta.generate_name
    if prefix.endswith("-") and len(prefix) > 1:
        prefix = prefix[:-2] + "a"  # what is generated goes on after the dash
    if prefix:
        for fault in _name_faults(resource, prefix):
            yield invalid("metadata.generateName", meta.generate_name, fault)
    if not meta.name:
        yield required("metadata.name", "name or generateName is required")
        return
    for fault in _name_faults(resource, meta.name):
        yield invalid("metadata.name", meta.name, fault)


def _name_faults(resource: Resource[Any], name: str) -> Sequence[str]:
    if resource.strategy.name_fault is None:
        return subdomain_faults(name)
    fault = resource.strategy.name_fault(name)
    # Whatever a kind allows, a name is one segment of a path.
    return path_segment_faults(name) if fault is None else [fault]


def _of_change(meta: ObjectMeta, old: ObjectMeta) -> Iterator[FieldError]:
    if old.deletion_timestamp:
        added = sorted(set(meta.finalizers) - set(old.finalizers))
        if added:
            listed = ", ".join(f'"{each}"' for each in added)
            yield forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )
    if meta.generation < old.generation:
        yield invalid("metadata.generation", meta.generation, "must not be decremented")
    for attribute, field in _IMMUTABLE:
        value = getattr(meta, attribute)
        if value != getattr(old, attribute):
            yield invalid(f"metadata.{field}", value, "field is immutable")


def _of_namespace(resource: Resource[Any], meta: ObjectMeta) -> Iterator[FieldError]:
    if not resource.namespaced:
        if meta.namespace:
            yield forbidden("metadata.namespace", "not allowed on this type")
    elif not meta.namespace:
        yield required("metadata.namespace")
    else:
        for fault in label_faults(meta.namespace):
            yield invalid("metadata.namespace", meta.namespace, fault)


def _of_labels(labels: Mapping[str, str]) -> Iterator[FieldError]:
    for key, value in labels.items():
        for fault in qualified_name_faults(key):
            yield invalid("metadata.labels", key, fault)
        for fault in label_value_faults(value):
            yield invalid("metadata.labels", value, fault)


def _of_annotations(annotations: Mapping[str, str]) -> Iterator[FieldError]:
    size = 0
    for key, value in annotations.items():
        size += len(key.encode()) + len(value.encode())
        for fault in qualified_name_faults(key.lower()):
            yield invalid("metadata.annotations", key, fault)
    if size > ANNOTATIONS_LIMIT:
        yield too_long("metadata.annotations", ANNOTATIONS_LIMIT)


def _of_owners(owners: Sequence[OwnerReference]) -> Iterator[FieldError]:
    controller = ""
    for index, owner in enumerate(owners):
        field = f"metadata.ownerReferences[{index}]"
        if owner.api_version and not _is_group_version(owner.api_version):
            yield invalid(
                f"{field}.apiVersion",
                owner.api_version,
                "must be <group>/<version> or <version>",
            )
        for name, value in (
            ("apiVersion", owner.api_version),
            ("kind", owner.kind),
            ("name", owner.name),
            ("uid", owner.uid),
        ):
            if not value:
                yield required(f"{field}.{name}", "must not be empty")
        if (owner.api_version, owner.kind) == ("v1", "Event"):
            yield invalid(field, owner.name, "/v1, Kind=Event is disallowed from being an owner")
        if owner.controller:
            if controller:
                yield invalid(
                    "metadata.ownerReferences",
                    owner.name,
                    "Only one reference can have Controller set to true. Found "
                    f'"true" in references for {controller} and {owner.kind}/{owner.name}',
                )
            controller = controller or f"{owner.kind}/{owner.name}"


def _is_group_version(text: str) -> bool:
    return text.count("/") <= 1 and bool(text.rpartition("/")[2])


def _of_finalizers(finalizers: Sequence[str]) -> Iterator[FieldError]:
    for each in finalizers:
        for fault in qualified_name_faults(each):
            yield invalid("metadata.finalizers", each, fault)
    if FOREGROUND in finalizers and ORPHAN in finalizers:
        yield invalid(
            "metadata.finalizers",
            f"[{' '.join(finalizers)}]",
            f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set",
        )


def _of_managed_fields(entries: Sequence[ManagedFieldsEntry]) -> Iterator[FieldError]:
    for index, entry in enumerate(entries):
        field = f"metadata.managedFields[{index}]"
        if not entry.operation:
            yield required(f"{field}.operation", "must not be empty")
        elif entry.operation not in ("Apply", "Update"):
            yield not_supported(f"{field}.operation", entry.operation, ("Apply", "Update"))
        if entry.fields_type not in ("", "FieldsV1"):
            yield invalid(f"{field}.fieldsType", entry.fields_type, "must be `FieldsV1`")
        if len(entry.manager) > 128:
            yield too_long(f"{field}.manager", 128)
