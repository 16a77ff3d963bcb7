"""Who manages which fields of an object: metadata.managedFields, read and written.

    entry = manager, operation (Apply or Update), apiVersion, subresource -> fields, time

An applier is one manager whatever version it applies; an updater is one per version. A kind has one
version here, so that the fields of every entry are of the same shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.apimachinery.apply import fields_v1
from tidegate.apimachinery.apply.fieldset import FieldSet

APPLY, UPDATE = "Apply", "Update"

STRIPPED = FieldSet.of(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    ]
)
"""Fields that nobody owns: the server sets them, or they say which object it is."""


@dataclass(frozen=True, slots=True, order=True)
class Manager:
    """Who: a name, and what it did."""

    name: str
    operation: str
    api_version: str  # empty for an applier
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """The fields that one manager owns, in which version, and when it last changed them."""

    fields: FieldSet
    api_version: str
    time: str = ""


Managers = Mapping[Manager, Entry]


def applier(name: str, subresource: str) -> Manager:
    return Manager(name or "unknown", APPLY, "", subresource)


def updater(name: str, api_version: str, subresource: str) -> Manager:
    return Manager(name or "unknown", UPDATE, api_version, subresource)


def entries_of(values: Mapping[str, Any]) -> Any:
    """What metadata.managedFields of an object holds, None where it has none."""
    metadata = values.get("metadata")
    return metadata.get("managedFields") if isinstance(metadata, dict) else None


def without_managers(values: Mapping[str, Any]) -> dict[str, Any]:
    """The object without its managedFields."""
    result = dict(values)
    if entries_of(values) is not None or "managedFields" in (values.get("metadata") or {}):
        metadata = values["metadata"]
        result["metadata"] = {
            name: each for name, each in metadata.items() if name != "managedFields"
        }
    return result


def with_managers(values: dict[str, Any], managers: Managers) -> dict[str, Any]:
    """The object with these managers; without managedFields if there are none."""
    if not managers:
        return values
    metadata = values.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    return {**values, "metadata": {**metadata, "managedFields": encode(managers)}}


def decode(entries: Any) -> dict[Manager, Entry]:
    """The managers in managedFields; ValueError where it cannot be read."""
    if entries is None:
        return {}
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ValueError("managedFields is no list of objects")
    return dict(_decode_entry(each) for each in entries)


def _decode_entry(entry: dict[str, Any]) -> tuple[Manager, Entry]:
    operation, version = entry.get("operation"), entry.get("apiVersion")
    if operation not in (APPLY, UPDATE):
        raise ValueError("operation must be `Apply` or `Update`")
    if not isinstance(version, str) or not version:
        raise ValueError("apiVersion must not be empty")
    if entry.get("fieldsType") != "FieldsV1":
        raise ValueError("fieldsType must be FieldsV1")
    name, subresource = str(entry.get("manager") or ""), str(entry.get("subresource") or "")
    manager = Manager(name, operation, version if operation == UPDATE else "", subresource)
    fields = fields_v1.decode(entry.get("fieldsV1") or {})
    return manager, Entry(fields, version, str(entry.get("time") or ""))


def encode(managers: Managers) -> list[dict[str, Any]]:
    """managedFields: appliers first, each sort by time."""

    def place(item: tuple[Manager, Entry]) -> tuple[str, ...]:
        manager, entry = item
        return (
            manager.operation,
            entry.time,
            manager.name,
            entry.api_version,
            manager.subresource,
        )

    return [_encode_entry(*item) for item in sorted(managers.items(), key=place)]


def _encode_entry(manager: Manager, entry: Entry) -> dict[str, Any]:
    encoded = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": entry.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields_v1.encode(entry.fields),
        "subresource": manager.subresource,
    }
    return {name: each for name, each in encoded.items() if each != ""}
