"""What becomes of ownership when an object changes: the rules of structured-merge-diff.

- Whoever writes a field owns it; who owned another value of it does not any more.
- Who applies a value that is there already shares it; another value is a conflict.
- What is removed is owned by nobody.
- What an applier no longer applies goes, unless somebody else owns it too.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from tidegate.apimachinery.apply.comparison import Comparison, compare, fields_of
from tidegate.apimachinery.apply.fieldset import (
    NOTHING,
    FieldSet,
    Path,
    is_named,
    is_unknown,
    schema_below,
)
from tidegate.apimachinery.apply.managers import STRIPPED, UPDATE, Entry, Manager, Managers
from tidegate.apimachinery.apply.merging import merge, settled, without
from tidegate.apimachinery.patch.json_values import equal
from tidegate.apimachinery.schema import Schema

UPDATERS = 10
"""Entries of updates that are kept apart, as in Kubernetes; older ones become one."""

ANCIENT = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Clash:
    """A field to be applied with another value than its manager gave it."""

    manager: Manager
    path: Path


@dataclass(frozen=True, slots=True)
class Applied:
    """An object after an apply, and what is in its way unless it is forced."""

    values: dict[str, Any]
    managers: dict[Manager, Entry]
    clashes: tuple[Clash, ...]


def after_update(
    managers: Managers, comparison: Comparison, me: Manager, now: str
) -> dict[Manager, Entry]:
    """The managers after `me` has changed an object as `comparison` says."""
    left = _deprived(managers, comparison)
    written = comparison.written().difference(STRIPPED)
    if not written.is_empty():
        mine = left[me].fields if me in left else NOTHING
        left[me] = Entry(written.union(mine), me.api_version, now)
    return _capped(left)


def after_apply(
    live: dict[str, Any],
    applied: dict[str, Any],
    schema: Schema,
    managers: Managers,
    me: Manager,
    mine: Entry,
    ignored: FieldSet,
) -> Applied:
    """`live` after `me` has applied `applied`; `mine` has the version and time of doing so."""
    last = managers.get(me)
    fields = fields_of(applied, schema).recursive_difference(ignored)
    current = {**managers, me: replace(mine, fields=fields)}
    merged = merge(live, applied, schema)
    if last is not None:
        merged = _pruned(merged, current, last, schema)
    comparison = compare(live, merged, schema).without(ignored)
    others = {manager: entry for manager, entry in current.items() if manager != me}
    clashes = tuple(_clashes(others, comparison))
    values: dict[str, Any] = settled(merged, schema)
    left = _deprived(others, comparison)
    fields = fields.difference(STRIPPED)
    if not fields.is_empty():
        same = (
            last is not None
            and last.fields == fields
            and equal(_stored(live, schema), _stored(values, schema))
        )
        time = last.time if last is not None and same else mine.time
        left[me] = Entry(fields, mine.api_version, time)
    return Applied(values, left, clashes)


def _stored(value: Any, schema: Schema | None) -> Any:
    """`value` without what is not stored: the fields of structs that mean the same as none."""
    if is_unknown(schema) or not isinstance(value, dict):
        return value
    kept = {name: _stored(each, schema_below(schema, f"f:{name}")) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each or not is_named(schema, f"f:{name}")}


def _deprived(managers: Managers, comparison: Comparison) -> dict[Manager, Entry]:
    """The managers without what was written or removed; those that keep nothing are gone."""
    written = comparison.overwritten()
    left = {}
    for manager, entry in managers.items():
        fields = entry.fields.difference(written).difference(comparison.removed)
        if not fields.is_empty():
            left[manager] = replace(entry, fields=fields)
    return left


def _clashes(managers: Managers, comparison: Comparison) -> list[Clash]:
    written = comparison.overwritten()
    return [
        Clash(manager, path)
        for manager in sorted(managers)
        for path in managers[manager].fields.intersection(written).paths()
    ]


def _pruned(
    merged: dict[str, Any], managers: Managers, last: Entry, schema: Schema
) -> dict[str, Any]:
    """`merged` without what an applier applied `last` and nobody claims any more.

    Taking out an element of a list or a map takes out all that is in it, hence the two steps that
    put back what others own, and what nobody owns but the applier never applied.
    """
    owned = reduce(FieldSet.union, (entry.fields for entry in managers.values()), NOTHING)
    if last.fields.difference(owned).is_empty():
        return merged
    before, claimed = last.fields.with_named_fields(schema), owned.with_named_fields(schema)
    whole = fields_of(merged, schema).with_named_fields(schema)
    pruned = without(merged, before, schema)
    left = fields_of(pruned, schema).with_named_fields(schema)
    pruned = without(merged, whole.difference(left.union(claimed)), schema)
    left = fields_of(pruned, schema).with_named_fields(schema)
    result: dict[str, Any] = without(merged, whole.difference(left).intersection(before), schema)
    return result


def _capped(managers: dict[Manager, Entry]) -> dict[Manager, Entry]:
    """The managers, the oldest updaters of each version made one where there are too many."""
    updaters = [manager for manager in managers if manager.operation == UPDATE]
    surplus = len(updaters) - UPDATERS
    first: dict[str, Manager] = {}
    for manager in sorted(updaters, key=lambda each: (managers[each].time, each)):
        if surplus <= 0:
            break
        bucket = Manager(ANCIENT, UPDATE, manager.api_version)
        if manager.api_version not in first:
            first[manager.api_version] = manager
        elif manager != bucket:
            if bucket not in managers:
                managers[bucket] = managers.pop(first[manager.api_version])
            entry = managers.pop(manager)
            fields = entry.fields.union(managers[bucket].fields)
            managers[bucket] = replace(entry, fields=fields)
            surplus -= 1
    return managers
