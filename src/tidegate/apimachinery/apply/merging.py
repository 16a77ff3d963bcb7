"""Merging what is applied into what is there, and taking fields out again.

A value whose last part was taken out is `EMPTIED` while fields are still being taken out and put
back, because it is known to have been there then; `settled` ends that.
"""

from collections.abc import Iterator
from typing import Any

from tidegate.apimachinery.apply.fieldset import FieldSet, is_unknown, schema_below
from tidegate.apimachinery.apply.shape import (
    ABSENT,
    EMPTIED,
    Form,
    form_of,
    has_parts,
    parts_of,
    rebuilt,
)
from tidegate.apimachinery.schema import Schema


def merge(current: Any, applied: Any, schema: Schema | None) -> Any:
    """`current` with what `applied` says; nothing is removed."""
    form = form_of(applied, schema)
    if form is Form.WHOLE or current is ABSENT or form_of(current, schema) is not form:
        return applied
    if not has_parts(current) and not has_parts(applied):
        return applied
    before, after = parts_of(current, form, schema), parts_of(applied, form, schema)
    there, wanted = _single(before), dict(after)
    parts = []
    for element, each in _interleaved(before, after):
        if each is not ABSENT:
            parts.append((element, each))
            continue
        below = schema_below(schema, element)
        parts.append((element, merge(there.get(element, ABSENT), wanted[element], below)))
    return rebuilt(form, parts)


def _single(parts: list[tuple[str, Any]]) -> dict[str, Any]:
    """The parts by element; duplicates are nothing that could be merged with."""
    found: dict[str, Any] = {}
    for element, each in parts:
        found[element] = ABSENT if element in found else each
    return found


def _interleaved(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]]
) -> Iterator[tuple[str, Any]]:
    """The order of a merged value: parts that only `before` has with their value, others without.

    What is applied keeps its order. What is not comes before the first applied part that it came
    before, as structured-merge-diff orders lists.
    """
    known = {element for element, _each in before}
    applied = {element for element, _each in after}
    shared = iter([element for element, _each in after if element in known])
    awaited = next(shared, None)
    end = ("", ABSENT)
    waiting = iter(before)
    element, each = next(waiting, end)
    for wanted, _value in after:
        while element and element != awaited:
            if element not in applied:
                yield element, each
            element, each = next(waiting, end)
        yield wanted, ABSENT
        if wanted == awaited:
            awaited = next(shared, None)
        if wanted == element:
            element, each = next(waiting, end)
    while element:
        if element not in applied:
            yield element, each
        element, each = next(waiting, end)


def without(value: Any, fields: FieldSet, schema: Schema | None) -> Any:
    """`value` without `fields`; whatever is owned as a whole goes when any part of it goes."""
    form = form_of(value, schema)
    kept: list[tuple[str, Any]] = []
    for element, each in parts_of(value, form, schema):
        below = fields.below(element)
        if element in fields.members:
            continue
        left = each if below.is_empty() else without(each, below, schema_below(schema, element))
        kept.append((element, left))
    return rebuilt(form, kept)


def settled(value: Any, schema: Schema | None) -> Any:
    """`value` without what is emptied, and without nulls.

    In what no schema describes null is a value, and an object without fields is one too.
    """
    unknown = is_unknown(schema)
    if value is EMPTIED:
        return {}
    if isinstance(value, dict):
        return {
            name: settled(each, schema_below(schema, f"f:{name}"))
            for name, each in value.items()
            if unknown or each not in (None, EMPTIED)
        }
    if isinstance(value, list):
        items = None if schema is None else schema.items
        return [settled(each, items) for each in value if each is not EMPTIED]
    return value
