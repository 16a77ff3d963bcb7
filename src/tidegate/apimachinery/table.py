"""Tables: objects as rows of printed cells, as `kubectl get` asks for them.

Columns come from the resource's declaration. A row carries the object's metadata unless the client
wants more or less of it; the metadata is copied as the bytes that were stored.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from tidegate.apimachinery.durations import since
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Cell, Resource
from tidegate.apimachinery.schema import schema_of

NONE, METADATA, OBJECT = "None", "Metadata", "Object"
"""What a row carries of its object (parameter includeObject)."""


class _Stored(msgspec.Struct):
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


class _Partial(msgspec.Struct):
    kind: str
    apiVersion: str  # noqa: N815  the name on the wire
    metadata: msgspec.Raw


class _Row(msgspec.Struct, omit_defaults=True):
    cells: Sequence[Cell]
    object: msgspec.Raw | None = None


_STORED = msgspec.json.Decoder(_Stored)
_encode = msgspec.json.Encoder().encode


@cache
def _decoder(kind: type[Object]) -> Callable[[bytes], Object]:
    return msgspec.json.Decoder(kind).decode


def partial(body: bytes, version: str = "v1", *, kind: str = "PartialObjectMetadata") -> bytes:
    """An object's metadata as a PartialObjectMetadata of meta.k8s.io."""
    return _encode(_Partial(kind, f"meta.k8s.io/{version}", _STORED.decode(body).metadata))


def column_definitions(resource: Resource[Any]) -> list[dict[str, Any]]:
    """What the columns of a table are."""
    meta = schema_of(ObjectMeta).fields
    columns = [
        _definition(each.name, each.type, each.format, each.description, each.priority)
        for each in resource.columns
    ]
    if resource.named:
        columns.insert(0, _definition("Name", "string", "name", meta["name"].description))
    if resource.age:
        columns.append(_definition("Age", "string", "", meta["creationTimestamp"].description))
    return columns


def _definition(
    name: str, kind: str, form: str, description: str, priority: int = 0
) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "format": form,
        "description": description,
        "priority": priority,
    }


def rows(
    resource: Resource[Any],
    bodies: Iterable[bytes],
    now: float,
    include: str,
    version: str,
    *,
    blank: bool = False,
) -> bytes:
    """The rows of these objects, as a JSON array; with `blank` nothing is in their cells."""
    cells = _no_cells if blank else _cells
    return _encode([_row(cells(resource, body, now), body, include, version) for body in bodies])


def _row(cells: Sequence[Cell], body: bytes, include: str, version: str) -> _Row:
    if include == NONE:
        return _Row(cells)
    return _Row(cells, msgspec.Raw(body if include == OBJECT else partial(body, version)))


def _no_cells(resource: Resource[Any], _body: bytes, _now: float) -> list[Cell]:
    return [""] * (len(resource.columns) + resource.named + resource.age)


def _cells(resource: Resource[Any], body: bytes, now: float) -> list[Cell]:
    kind: type[Object] = resource.type
    found = _decoder(kind)(body)
    cells: list[Cell] = [each.cell(found, now) for each in resource.columns]
    if resource.named:
        cells.insert(0, found.metadata.name)
    if resource.age:
        cells.append(since(found.metadata.creation_timestamp, now))
    return cells


def table(
    resource: Resource[Any],
    bodies: Iterable[bytes],
    metadata: bytes,
    now: float,
    *,
    include: str = METADATA,
    version: str = "v1",
    headed: bool = True,
    blank: bool = False,
) -> bytes:
    """A Table; `metadata` is its ListMeta in JSON. Without `headed` the columns are left out.

    `blank` is for what is no whole object, a bookmark: there is nothing to put into its cells.
    """
    columns = _encode(column_definitions(resource)) if headed else b"[]"
    return b"".join(
        (
            b'{"kind":"Table","apiVersion":"meta.k8s.io/',
            version.encode(),
            b'","metadata":',
            metadata,
            b',"columnDefinitions":',
            columns,
            b',"rows":',
            rows(resource, bodies, now, include, version, blank=blank),
            b"}",
        )
    )
