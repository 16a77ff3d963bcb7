"""Server-side apply: one manager says what it wants of an object; the rest stays as it is."""

from collections.abc import Mapping
from typing import Any

from tidegate.apimachinery.apply import last_applied
from tidegate.apimachinery.apply.comparison import compare
from tidegate.apimachinery.apply.conflicts import ApplyConflict
from tidegate.apimachinery.apply.fieldset import NOTHING, FieldSet
from tidegate.apimachinery.apply.managers import (
    STRIPPED,
    Entry,
    Manager,
    applier,
    decode,
    entries_of,
    updater,
    with_managers,
    without_managers,
)
from tidegate.apimachinery.apply.ownership import Applied, after_apply, after_update
from tidegate.apimachinery.apply.validation import check_typed, type_text
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_values import bounded
from tidegate.apimachinery.schema import Schema

BEFORE = "before-first-apply"
"""Who owns what is in an object whose managers were not kept when it is first applied."""


def apply(
    current: Mapping[str, Any] | None,
    applied: dict[str, Any],
    schema: Schema,
    manager: str,
    force: bool,
    api_version: str,
    now: str,
    subresource: str = "",
    ignored: FieldSet = NOTHING,
) -> dict[str, Any]:
    """The object after `manager` has applied `applied` to `current`, None where there is none.

    `ApplyConflict` where others own a field with another value, unless `force` takes it from them.
    `now` is RFC 3339 with whole seconds; `ignored` are the fields that a write to this resource or
    subresource resets. An apply that changes nothing returns what is equal to `current`.
    """
    _check(current, applied, schema, api_version)
    applied = _unset_by_server(applied)
    live = without_managers(current or {})
    managers = _managers(current or {}, live, schema, api_version, now)
    me, mine = applier(manager, subresource), Entry(NOTHING, api_version, now)
    outcome = after_apply(live, applied, schema, managers, me, mine, ignored)
    if outcome.clashes and not force:
        _check_clashes(outcome, live, schema, manager, api_version)
    values = outcome.values
    if manager == last_applied.KUBECTL and last_applied.annotated(values):
        values = last_applied.in_step(values, applied)
    return with_managers(values, outcome.managers)


def _check(
    current: Mapping[str, Any] | None, applied: dict[str, Any], schema: Schema, api_version: str
) -> None:
    bounded(applied)
    kind = applied.get("kind")
    if applied.get("apiVersion") != api_version or not kind:
        raise BadRequest(f"invalid object type: {type_text(applied)}")
    if current is not None and current.get("kind", kind) != kind:
        raise BadRequest(f"invalid object type: {type_text(applied)}")
    if entries_of(applied) is not None:
        raise BadRequest("metadata.managedFields must be nil")
    check_typed(applied, schema)


def _unset_by_server(applied: dict[str, Any]) -> dict[str, Any]:
    """What is applied without nulls in what the server sets: exports say creationTimestamp: null.

    Applied as it stands that would unset it.
    """
    metadata = applied.get("metadata")
    if not isinstance(metadata, dict):
        return applied
    servers = STRIPPED.below("f:metadata").members
    kept = {
        name: each
        for name, each in metadata.items()
        if each is not None or f"f:{name}" not in servers
    }
    return {**applied, "metadata": kept}


def _managers(
    current: Mapping[str, Any],
    live: dict[str, Any],
    schema: Schema,
    api_version: str,
    now: str,
) -> dict[Manager, Entry]:
    try:
        managers = decode(entries_of(current))
    except ValueError:
        managers = {}
    if managers:
        return managers
    return after_update({}, compare({}, live, schema), updater(BEFORE, api_version, ""), now)


def _check_clashes(
    outcome: Applied, live: dict[str, Any], schema: Schema, manager: str, api_version: str
) -> None:
    """Refuses what is in the way, but for what `kubectl` takes over from its client side."""
    allowed = NOTHING
    if manager == last_applied.KUBECTL:
        allowed = last_applied.unchanged_since(live, schema, api_version)
    clashes = [each for each in outcome.clashes if not allowed.has(each.path)]
    if clashes:
        raise ApplyConflict(clashes)
