"""Whether what is applied fits its schema: no unknown field, nothing twice, every key there.

Server-side apply is strict whatever fieldValidation says, because a field that it does not know
cannot be owned. The texts are structured-merge-diff's.
"""

from collections.abc import Iterator
from typing import Any

from tidegate.apimachinery.apply.fieldset import shown
from tidegate.apimachinery.apply.shape import Form, Unidentified, form_of, parts_of
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_values import go_text, go_type
from tidegate.apimachinery.schema import Schema


def check_typed(applied: dict[str, Any], schema: Schema) -> None:
    """Refuses an object that does not fit."""
    faults = list(_faults("", applied, schema))
    if not faults:
        return
    metadata = applied.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    listed = faults[0] if len(faults) == 1 else "\n  ".join(["errors:", *faults])
    raise BadRequest(
        f"failed to create typed patch object ({names.get('namespace') or ''}/"
        f"{names.get('name') or ''}; {type_text(applied)}): {listed}"
    )


def type_text(values: dict[str, Any]) -> str:
    """An object's type as Go prints a GroupVersionKind: `/v1, Kind=Pod`."""
    version, kind = str(values.get("apiVersion") or ""), values.get("kind") or ""
    return f"{'' if '/' in version else '/'}{version}, Kind={kind}"


def _faults(path: str, value: Any, schema: Schema | None) -> Iterator[str]:
    if value is None or schema is None or schema.form == "any":
        return
    match schema.form:
        case "object" | "map":
            yield from _map_faults(path, value, schema)
        case "array":
            yield from _list_faults(path, value, schema)
        case _:
            if why := _scalar_fault(value, schema.form):
                yield _at(path, why)


def _map_faults(path: str, value: Any, schema: Schema) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _at(path, f"expected map, got &{{{go_text(value)}}}")
        return
    for name, each in value.items():
        here, below = f"{path}.{name}", schema.of(name)
        if below is None and schema.form == "object" and not schema.open:
            yield _at(here, "field not declared in schema")
        yield from _faults(here, each, below)


def _list_faults(path: str, value: Any, schema: Schema) -> Iterator[str]:
    if not isinstance(value, list):
        yield _at(path, f"expected list, got &{{{go_text(value)}}}")
        return
    if form_of(value, schema) is Form.LIST:
        try:
            parts = parts_of(value, Form.LIST, schema)
        except Unidentified as error:
            yield _at(path, str(error))
            return
    else:
        parts = [(f"i:{place}", each) for place, each in enumerate(value)]
    seen = set()
    for element, each in parts:
        if element in seen:
            yield _at(path, f"duplicate entries for key {shown((element,))}")
        seen.add(element)
        yield from _faults(path + shown((element,)), each, schema.items)


def _scalar_fault(value: Any, form: str) -> str:
    """Why a value is no scalar of this form; numbers may stand for strings, as in quantities."""
    found = go_type(value)
    if form == "string" and found in ("bool", "object", "array"):
        return f"expected string, got &value.valueUnstructured{{Value:{go_text(value)}}}"
    if form == "boolean" and found != "bool":
        return f"expected boolean, got &{{{go_text(value)}}}"
    if form in ("integer", "number") and found != "number":
        kind = {"object": "map[string]interface {}", "array": "[]interface {}"}.get(found, found)
        return f"expected numeric (int or float), got {kind}"
    return ""


def _at(path: str, why: str) -> str:
    return f"{path}: {why}" if path else why
