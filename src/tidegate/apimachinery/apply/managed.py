"""Keeping metadata.managedFields through creates, updates and patches that are no apply."""

from collections.abc import Mapping
from typing import Any

from tidegate.apimachinery.apply.comparison import compare
from tidegate.apimachinery.apply.fieldset import NOTHING, FieldSet
from tidegate.apimachinery.apply.managers import (
    Entry,
    Manager,
    decode,
    entries_of,
    updater,
    with_managers,
    without_managers,
)
from tidegate.apimachinery.apply.ownership import after_update
from tidegate.apimachinery.apply.shape import Unidentified
from tidegate.apimachinery.patch.json_values import equal
from tidegate.apimachinery.schema import Schema


def track_update(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    schema: Schema,
    manager: str,
    api_version: str,
    now: str,
    subresource: str = "",
    ignored: FieldSet = NOTHING,
) -> dict[str, Any]:
    """`new` with managedFields as they are after `manager` has made it of `old`.

    `old` is None for a create; `now` is RFC 3339 with whole seconds; `ignored` are the fields that
    a write to this resource or subresource resets, so that nobody becomes their owner. `new` may
    say managedFields itself: a client may edit them, and [] or [{}] ends their keeping until
    somebody applies.
    """
    current, wanted = without_managers(old or {}), without_managers(new)
    managers = _at_first(old or {}, new, subresource)
    metadata = current.get("metadata")
    if not managers and isinstance(metadata, dict) and metadata.get("uid"):
        return wanted
    try:
        comparison = compare(current, wanted, schema).without(ignored)
    except Unidentified:  # what is invalid is refused by whoever validates it
        return with_managers(wanted, _readable(old or {}))
    me = updater(manager, api_version, subresource)
    return with_managers(wanted, after_update(managers, comparison, me, now))


def with_settled_times(current: Mapping[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """`wanted`, with the times of `current` if nothing but times differs between the two.

    What is applied may be another spelling of what is there (1000m for 1), which shows only once
    both are decoded and their defaults filled in; a write that changes nothing must change no time.
    """
    entries = entries_of(current)
    if entries is None or not equal(_without_times(current), _without_times(wanted)):
        return wanted
    return {**wanted, "metadata": {**wanted["metadata"], "managedFields": entries}}


def _without_times(values: Mapping[str, Any]) -> Any:
    entries = entries_of(values)
    if not isinstance(entries, list):
        return values
    bare = [{name: each for name, each in one.items() if name != "time"} for one in entries]
    return {**values, "metadata": {**values["metadata"], "managedFields": sorted(bare, key=str)}}


def _at_first(
    old: Mapping[str, Any], new: Mapping[str, Any], subresource: str
) -> dict[Manager, Entry]:
    """The managers before the change: those that the request says, if it may and does."""
    said = entries_of(new)
    if subresource:
        return _readable(old)
    if said in ([], [{}]):
        return {}
    return _readable(new) or _readable(old)


def _readable(values: Mapping[str, Any]) -> dict[Manager, Entry]:
    try:
        return decode(entries_of(values))
    except ValueError:
        return {}
