"""The OpenAPI version 2 document as protobuf, the only form that kubectl before 1.27 reads.

The messages are those of gnostic's `OpenAPIv2.proto`: each is declared below as the document's own
keys with their field numbers, for the keys that `v2.py` writes. A key without a number is a
`KeyError`, so that nothing is left out unseen. Extensions (`x-…`) carry YAML text, of which JSON is
a part.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.apimachinery.openapi.definitions import Json
from tidegate.apimachinery.protobuf import delimited, flag, text

CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_AS = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""As kubectl asks. An answer that says so fails in kubectl 1.20: no media type may have an `@`."""

Field = Callable[[int, Any], bytes]
"""Writes the value of a field with this number."""


class Message:
    """A message: its fields by the document's keys, and the number of its extensions."""

    def __init__(self, extensions: int = 0) -> None:
        self._extensions = extensions
        self._fields: Mapping[str, tuple[int, Field]] = {}

    def declare(self, **fields: tuple[int, Field]) -> "Message":
        self._fields = {_SPELLED.get(name, name): each for name, each in fields.items()}
        return self

    def __call__(self, number: int, value: Mapping[str, Any]) -> bytes:
        return delimited(number, self.encoded(value))

    def encoded(self, value: Mapping[str, Any]) -> bytes:
        return b"".join(self._field(key, each) for key, each in value.items())

    def _field(self, key: str, value: Any) -> bytes:
        if key.startswith("x-"):
            yaml = text(2, msgspec.json.encode(value).decode())
            return delimited(self._extensions, text(1, key) + delimited(2, yaml))
        number, write = self._fields[key]
        return write(number, value)


_SPELLED = {"ref": "$ref", "in_": "in"}


def _each(write: Field) -> Field:
    """A repeated field."""
    return lambda number, values: b"".join(write(number, each) for each in values)


def _inside(field: int, write: Field) -> Field:
    """A message of one field."""
    return lambda number, value: delimited(number, write(field, value))


def _by_name(field: int, write: Field) -> Field:
    """A message that is a map: repeated pairs of a name and a value."""

    def pairs(number: int, values: Mapping[str, Any]) -> bytes:
        entries = (text(1, name) + write(2, each) for name, each in values.items())
        return delimited(number, b"".join(delimited(field, entry) for entry in entries))

    return pairs


def _strings(number: int, values: Sequence[str]) -> bytes:
    """A message that is a list of strings."""
    return delimited(number, b"".join(text(1, each) for each in values))


_schema = Message(extensions=31)
_schema.declare(
    ref=(1, text),
    format=(2, text),
    description=(4, text),
    required=(19, _each(text)),
    additionalProperties=(21, _inside(1, _schema)),
    type=(22, _inside(1, text)),
    items=(23, _inside(1, _schema)),
    properties=(25, _by_name(1, _schema)),
)

_body_parameter = Message(extensions=6).declare(
    description=(1, text), name=(2, text), in_=(3, text), required=(4, flag), schema=(5, _schema)
)
_path_parameter = Message(extensions=22).declare(
    required=(1, flag),
    in_=(2, text),
    description=(3, text),
    name=(4, text),
    type=(5, text),
    uniqueItems=(19, flag),
)
_query_parameter = Message(extensions=23).declare(
    required=(1, flag),
    in_=(2, text),
    description=(3, text),
    name=(4, text),
    type=(6, text),
    uniqueItems=(20, flag),
)


def _parameter(number: int, value: Mapping[str, Any]) -> bytes:
    """One of the kinds of parameters, inside a Parameter inside a ParametersItem."""
    match value["in"]:
        case "body":
            written = _body_parameter(1, value)
        case "path":
            written = delimited(2, _path_parameter(4, value))
        case _:
            written = delimited(2, _query_parameter(3, value))
    return delimited(number, delimited(1, written))


_response = Message(extensions=5).declare(
    description=(1, text),
    schema=(2, _inside(1, _schema)),
)
_operation = Message(extensions=13).declare(
    tags=(1, _each(text)),
    description=(3, text),
    operationId=(5, text),
    produces=(6, _each(text)),
    consumes=(7, _each(text)),
    parameters=(8, _each(_parameter)),
    responses=(9, _by_name(1, _inside(1, _response))),
    schemes=(10, _each(text)),
)
_path_item = Message().declare(
    get=(2, _operation),
    put=(3, _operation),
    post=(4, _operation),
    delete=(5, _operation),
    patch=(8, _operation),
)
_api_key = Message(extensions=5).declare(
    type=(1, text), name=(2, text), in_=(3, text), description=(4, text)
)
_document = Message(extensions=16).declare(
    swagger=(1, text),
    info=(2, Message().declare(title=(1, text), version=(2, text))),
    paths=(8, _by_name(2, _path_item)),
    definitions=(9, _by_name(1, _schema)),
    security=(12, _each(_by_name(1, _strings))),
    securityDefinitions=(13, _by_name(1, _inside(2, _api_key))),
)


def encoded(document: Json) -> bytes:
    """The document as an `openapi.v2.Document`."""
    return _document.encoded(document)
