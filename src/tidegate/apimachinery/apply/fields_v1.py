"""FieldsV1: a set of field paths as the JSON tree in metadata.managedFields.

An element whose tree is empty is a member; one with paths below it is a member if it has `.` too.
"""

import json
from functools import lru_cache
from typing import Any

from tidegate.apimachinery.apply.fieldset import (
    REMEMBERED_LENGTH,
    FieldSet,
    field_element,
    key_element,
    order,
    value_element,
)
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_values import bounded

SELF = "."


def encode(fields: FieldSet) -> dict[str, Any]:
    """The tree of a set, in sorted order."""
    tree: dict[str, Any] = {}
    for element in sorted(fields.members | fields.children.keys(), key=order):
        below = encode(fields.below(element))
        tree[element] = {SELF: {}, **below} if element in fields.members and below else below
    return tree


def decode(tree: Any) -> FieldSet:
    """The set of a tree; ValueError where it is none."""
    if not isinstance(tree, dict):
        raise ValueError("fieldsV1 is no object")
    members: set[str] = set()
    children: dict[str, FieldSet] = {}
    for text, below in tree.items():
        if text == SELF:
            continue
        element = _element(text)
        if not element:
            continue
        found = decode(below)
        if found.is_empty() or SELF in below:
            members.add(element)
        if not found.is_empty():
            known = children.get(element)
            children[element] = found if known is None else known.union(found)
    return FieldSet(frozenset(members), children)


def _element(text: str) -> str:
    """The one spelling of an element; empty for a sort that is unknown, which Kubernetes drops."""
    return (_read if len(text) <= REMEMBERED_LENGTH else _read.__wrapped__)(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> str:
    kind, colon, content = text[:1], text[1:2], text[2:]
    if colon != ":":
        raise ValueError(f"{text!r} is no element of a field path")
    if kind == "f":
        return field_element(content)
    if kind == "i":
        return f"i:{int(content)}"
    if kind not in ("k", "v"):
        return ""
    value = _value(content)
    if kind == "v":
        return value_element(value)
    if not isinstance(value, dict):
        raise ValueError(f"{text!r} has no keys")
    return key_element(value)


def _value(content: str) -> Any:
    """The JSON in an element, which nests no deeper than the object that it is an element of."""
    try:
        return bounded(json.loads(content))
    except (BadRequest, RecursionError) as error:
        raise ValueError("an element of a field path nests too deep") from error
