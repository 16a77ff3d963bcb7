"""How a value is divided into fields: what is owned as a whole, and what name each part has.

    struct, map         by field, unless declared atomic
    list                as a whole; by key or by value where it is declared a map or a set
    scalar              as a whole
    without a schema    objects (and null) by field, everything else as a whole

A value of another form than its schema's counts as a whole; refusing it is not done here.
"""

from enum import Enum
from typing import Any

from tidegate.apimachinery.apply.fieldset import field_element, key_element, value_element
from tidegate.apimachinery.schema import Schema


class Form(Enum):
    """How one value is owned."""

    WHOLE = "whole"
    MAP = "map"
    LIST = "list"


class Missing(Enum):
    """What is no value, not even null."""

    ABSENT = "absent"
    EMPTIED = "emptied"  # was an object or list, and everything in it has been taken out


ABSENT, EMPTIED = Missing.ABSENT, Missing.EMPTIED


def has_parts(value: Any) -> bool:
    """Whether there is an object or list that is not empty."""
    return isinstance(value, dict | list) and bool(value)


class Unidentified(ValueError):
    """An element of a list has nothing by which it could be told from the others."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(f"element {index}: {why}")


def form_of(value: Any, schema: Schema | None) -> Form:
    """How `value` is owned; null and an absent value are as their schema says."""
    empty = value is None or isinstance(value, Missing)
    if schema is None or schema.form == "any":
        atomic = schema is not None and schema.map_type == "atomic"
        parts = isinstance(value, dict) or (empty and value is not ABSENT)
        return Form.MAP if parts and not atomic else Form.WHOLE
    if schema.form in ("object", "map"):
        parts = isinstance(value, dict) or empty
        return Form.MAP if parts and schema.map_type != "atomic" else Form.WHOLE
    if schema.form == "array" and schema.list_type in ("map", "set"):
        return Form.LIST if isinstance(value, list) or empty else Form.WHOLE
    return Form.WHOLE


def parts_of(value: Any, form: Form, schema: Schema | None) -> list[tuple[str, Any]]:
    """The parts of a value with the elements that name them, in order; none of null."""
    if form is Form.MAP and isinstance(value, dict):
        return [(field_element(name), each) for name, each in value.items()]
    if form is Form.LIST and isinstance(value, list) and schema is not None:
        name = _key if schema.list_type == "map" else _set_value
        return [(name(place, each, schema), each) for place, each in enumerate(value)]
    return []


def rebuilt(form: Form, parts: list[tuple[str, Any]]) -> Any:
    """The value that has these parts."""
    if not parts:
        return EMPTIED
    if form is Form.MAP:
        return {element[2:]: each for element, each in parts}
    return [each for _element, each in parts]


def _key(place: int, value: Any, schema: Schema) -> str:
    if value is None:
        raise Unidentified(place, "associative list with keys may not have a null element")
    if not isinstance(value, dict):
        raise Unidentified(place, "associative list with keys may not have non-map elements")
    keys = {name: value[name] for name in schema.list_keys if name in value}
    if not keys:
        names = " ".join(f'"{each}"' for each in schema.list_keys)
        raise Unidentified(
            place,
            f"associative list with keys has an element that omits all key fields [{names}]"
            " (and doesn't have default values for any key fields)",
        )
    return key_element(keys)


def _set_value(place: int, value: Any, _schema: Schema) -> str:
    if not isinstance(value, dict | list | None):
        return value_element(value)
    if isinstance(value, dict):
        why = "associative list without keys has an element that's a map type"
    elif isinstance(value, list):
        why = "not supported: associative list with lists as elements"
    else:
        why = "associative list without keys has an element that's an explicit null"
    raise Unidentified(place, why)
