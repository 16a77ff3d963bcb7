"""The fields of what a client sent, held against the schema of a kind.

`Scan` goes through values as Go's decoder would: a null is the zero value, an unknown field is
noted and left out, base64 and times are checked. It leaves the types of scalars to msgspec, whose
complaints `go_error` says as Go does, since clients and people search for that text.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from tidegate.apimachinery.decoding.yaml_text import Repeating
from tidegate.apimachinery.patch.json_values import copied
from tidegate.apimachinery.schema import Schema


class Unreadable(Exception):
    """A value that its field cannot take, in the words of Go's decoder."""


class Scan:
    """One walk; `faults` are the unknown and repeated fields met, by their paths."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def struct(self, values: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
        """A struct's fields, without nulls and with what it must have."""
        self._note_repeated(values, path)
        found: dict[str, Any] = {}
        for name, value in values.items():
            field, here = schema.fields.get(name), _joined(path, name)
            if field is None and schema.open:
                self.faults += [f'duplicate field "{e}"' for e in repeated_fields(value, here)]
                found |= {} if value is None else {name: copied(value)}
            elif field is None:
                self.faults.append(f'unknown field "{here}"')
            elif value is not None:
                found[name] = self.value(value, field, here)
        for name in schema.required:
            if name not in found:
                found[name] = _zero(schema.fields[name])
        return found

    def value(self, value: Any, schema: Schema, path: str) -> Any:
        """A value of any form; one of the wrong type goes through as it is."""
        if schema.form == "object" and isinstance(value, dict):
            found = self.struct(value, schema, path)
            return _typed(found, schema, path) if schema.open else found
        if schema.form == "map" and isinstance(value, dict):
            return self._map(value, schema, path)
        if schema.form == "array" and isinstance(value, list):
            items = _items(schema)
            return [
                _zero(items) if each is None else self.value(each, items, f"{path}[{index}]")
                for index, each in enumerate(value)
            ]
        if isinstance(value, str):
            return _checked_text(value, schema.format)
        return copied(value)

    def _map(self, values: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
        self._note_repeated(values, path)
        items = _items(schema)
        return {
            name: _zero(items) if value is None else self.value(value, items, _joined(path, name))
            for name, value in values.items()
        }

    def _note_repeated(self, values: dict[str, Any], path: str) -> None:
        if isinstance(values, Repeating):
            self.faults += [f'duplicate field "{_joined(path, each)}"' for each in values.repeated]


def _typed(values: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
    """Values that stay a `dict`: nobody but this looks whether declared fields have their type."""
    try:
        msgspec.convert(values, schema.struct)
    except msgspec.ValidationError as error:
        raise Unreadable(go_error(str(error), schema, path)) from error
    return values


def repeated_fields(value: Any, path: str = "") -> Iterator[str]:
    """The paths of what was given more than once, in values that no schema describes."""
    if isinstance(value, Repeating):
        yield from (_joined(path, each) for each in value.repeated)
    if isinstance(value, dict):
        for name, each in value.items():
            yield from repeated_fields(each, _joined(path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from repeated_fields(each, f"{path}[{index}]")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _items(schema: Schema) -> Schema:
    """What is in a list or a map; the format of a field is that of its values."""
    items = schema.items or Schema("any")
    return replace(items, format=schema.format) if schema.format else items


def _zero(schema: Schema) -> Any:
    """What a null or an absent field is in Go."""
    match schema.form:
        case "object":
            return {name: _zero(schema.fields[name]) for name in schema.required}
        case "map" | "any":
            return {}
        case "array":
            return []
        case "integer" | "number":
            return 0
        case "boolean":
            return False
    return ""


def _checked_text(text: str, kind: str) -> str:
    if kind == "byte":
        return _base64(text)
    if kind == "date-time" and text:
        return _time(text)
    return text


_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


def _time(text: str) -> str:
    try:
        if _TIME.fullmatch(text):
            datetime.fromisoformat(re.sub(r"\.\d+", "", text))
            return text
    except ValueError:
        pass
    raise Unreadable('parsing time as "2006-01-02T15:04:05Z07:00": it is none')


def _base64(text: str) -> str:
    """Base64 in its canonical form: Go skips line ends, and writes what it read without them."""
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        fault = _base64_fault(text.encode())
        if fault is not None:
            raise Unreadable(f"illegal base64 data at input byte {fault}") from None
        decoded = binascii.a2b_base64(text)
        return binascii.b2a_base64(decoded, newline=False).decode()
    return text


_LINE_ENDS = b"\r\n"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _base64_fault(text: bytes) -> int | None:
    """The byte at which Go's `base64.StdEncoding` gives up."""
    shown = [(place, each) for place, each in enumerate(text) if each not in _LINE_ENDS]
    for index, (place, each) in enumerate(shown):
        if each in _ALPHABET:
            continue
        if each != ord("=") or index % 4 < 2:
            return place
        return _padding_fault(text, shown, index)
    return None if len(shown) % 4 == 0 else len(text) - len(shown) % 4


def _padding_fault(text: bytes, shown: list[tuple[int, int]], index: int) -> int | None:
    """Given the first `=`, at `index`: two are needed after two digits, one after three."""
    end = index + 1
    if index % 4 == 2:
        if end == len(shown):
            return len(text)
        if shown[end][1] != ord("="):
            return shown[end][0] - 1
        end += 1
    return None if end == len(shown) else shown[end][0]


_EXPECTED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`(?: - at .*?`\$(.*)`)?")
_STEP = re.compile(r"\.([^.\[\]]+)|\[[^\]]*\]")
_GOT = {"int": "number", "float": "number", "str": "string"}
_SCALARS = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool"}


def go_error(complaint: str, schema: Schema, above: str = "") -> str:
    """What msgspec says of a type in what is at the path `above`, as Go's decoder says it."""
    match = _EXPECTED.match(complaint)
    if match is None:
        return f"json: {complaint}"
    owner, at = schema, schema
    path = re.sub(r"\[[^\]]*\]", "", above).split(".") if above else []
    for step in _STEP.finditer(match[3] or ""):
        name = step[1]
        if name is None:
            at = _items(at)
            continue
        if at.form == "object":
            owner = at
            path.append(name)
        at = at.of(name) or Schema("any")
    got = _GOT.get(match[2], match[2])
    where = f"Go struct field {owner.name}.{'.'.join(path)}" if path else "Go value"
    return f"json: cannot unmarshal {got} into {where} of type {_go_name(at)}"


def _go_name(schema: Schema) -> str:
    match schema.form:
        case "object":
            return f"v1.{schema.name}"
        case "array":
            return f"[]{_go_name(_items(schema))}"
        case "map":
            return f"map[string]{_go_name(_items(schema))}"
    if schema.format == "byte":
        return "[]uint8"
    return _SCALARS.get(schema.form, "interface {}")
