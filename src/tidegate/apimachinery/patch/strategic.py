"""Strategic merge patch: a merge patch that knows from the schema which lists are merged, and how.

It accepts and refuses what the Kubernetes API server does, in its words. Besides fields and null
(remove), a patch may hold directives:

    $patch: replace                  this object becomes the patch
    $patch: delete                   this object becomes empty; in a list, the element goes
    $retainKeys: [a, b]              fields that are not listed go first
    $setElementOrder/FIELD: [...]    the order of a merged list, by merge key or value
    $deleteFromPrimitiveList/FIELD   values that leave a merged list of scalars

A directive that Kubernetes would silently drop is dropped here too; none survives in a result.
"""

from typing import Any

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_values import bounded, go_text, go_type
from tidegate.apimachinery.patch.strategic_lists import (
    PATCH,
    Rules,
    merge_lists,
    remove_scalars,
    reorder,
)
from tidegate.apimachinery.schema import Schema

RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_SCALARS = "$deleteFromPrimitiveList/"


def apply(document: dict[str, Any], patch: Any, schema: Schema) -> dict[str, Any]:
    """`document`, whose shape is `schema`, after `patch`."""
    if not isinstance(patch, dict):
        raise BadRequest(
            f"json: cannot unmarshal {go_type(patch)}"
            " into Go value of type map[string]interface {}"
        )
    return merge(document, bounded(patch), schema)


def merge(current: dict[str, Any], patch: dict[str, Any], schema: Schema | None) -> dict[str, Any]:
    """One object merged; without a schema, lists are replaced and objects merged."""
    if PATCH in patch:
        return _directed(patch)
    merged = _retained(current, patch)
    ordered = _merge_ordered_lists(merged, patch, schema)
    for name, value in patch.items():
        if name.startswith(DELETE_SCALARS):
            _remove_scalars(merged, name.removeprefix(DELETE_SCALARS), value)
        elif name == RETAIN or name.startswith(ORDER) or name in ordered:
            continue
        elif value is None:
            merged.pop(name, None)
        else:
            _merge_field(merged, name, value, _of(schema, name))
    return merged


def _directed(patch: dict[str, Any]) -> dict[str, Any]:
    match patch[PATCH]:
        case "delete":
            return {}
        case "replace":
            return {name: kept(each) for name, each in patch.items() if _stays(name, each)}
    raise BadRequest(f"unknown patch type: {go_text(patch[PATCH])} in map: {go_text(patch)}")


def _retained(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The current fields that `$retainKeys` lets stay: all, if the patch does not say."""
    if RETAIN not in patch:
        return dict(current)
    listed = patch[RETAIN]
    set_here = {
        name
        for name, value in patch.items()
        if value is not None and name != RETAIN and not name.startswith((ORDER, DELETE_SCALARS))
    }
    if not isinstance(listed, list) or not set_here <= {e for e in listed if isinstance(e, str)}:
        raise BadRequest("invalid patch format of retainKeys")
    return {name: value for name, value in current.items() if name in listed}


def _merge_ordered_lists(
    merged: dict[str, Any], patch: dict[str, Any], schema: Schema | None
) -> set[str]:
    """Merges the lists whose order is given; their names, since they are done then."""
    done = set()
    for directive, order in patch.items():
        if not directive.startswith(ORDER):
            continue
        name = directive.removeprefix(ORDER)
        current, added = merged.get(name), patch.get(name)
        if not all(isinstance(each, list | None) for each in (order, current, added)):
            raise BadRequest("invalid patch format of setElementOrder list")
        if current is None and added is None:
            continue
        merged[name] = reorder(current, added, order or [], _rules(schema, name))
        if added is not None:
            done.add(name)
    return done


def _remove_scalars(merged: dict[str, Any], name: str, values: Any) -> None:
    if values is None:
        merged.pop(name, None)
    elif isinstance(merged.get(name), list) and isinstance(values, list):
        merged[name] = remove_scalars(merged[name], values)


def _merge_field(merged: dict[str, Any], name: str, value: Any, schema: Schema | None) -> None:
    current = merged.get(name)
    if isinstance(current, dict) and isinstance(value, dict):
        replaced = schema is not None and schema.patch_strategy == "replace"
        merged[name] = kept(value) if replaced else merge(current, value, schema)
    elif isinstance(current, list) and isinstance(value, list):
        merged[name] = merge_lists(current, value, _list_rules(schema))
    elif isinstance(value, dict) and PATCH in value:
        merged.pop(name, None)
    else:
        merged[name] = kept(value)


def kept(value: Any) -> Any:
    """What stays of a patch's value where there was nothing: neither nulls nor directives."""
    if isinstance(value, dict):
        return {name: kept(each) for name, each in value.items() if _stays(name, each)}
    if isinstance(value, list):
        return [kept(each) for each in value if not (isinstance(each, dict) and PATCH in each)]
    return value


def _stays(name: str, value: Any) -> bool:
    if value is None or (isinstance(value, dict) and PATCH in value):
        return False
    return name not in (PATCH, RETAIN) and not name.startswith((ORDER, DELETE_SCALARS))


def _of(schema: Schema | None, name: str) -> Schema | None:
    return None if schema is None else schema.of(name)


def _rules(schema: Schema | None, name: str) -> Rules:
    return _list_rules(_of(schema, name))


def _list_rules(schema: Schema | None) -> Rules:
    """How a list of this schema is merged; one that nothing is known of is replaced."""

    def merge_elements(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        return merge(current, patch, schema.items if schema is not None else None)

    merged = schema is not None and schema.patch_strategy == "merge"
    key = schema.merge_key if schema is not None else ""
    return Rules(merged, key, merge_elements, kept)
