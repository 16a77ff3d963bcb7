"""The shape of a kind, read once from its wire struct.

Strict decoding, strategic merge patch, server-side apply and the OpenAPI documents all walk this
one tree, so that they cannot disagree about a field. It describes JSON names and values, never
Python ones.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as types

from tidegate.apimachinery.meta import SHAPE, Open

_MERGE_KEY, _STRATEGY = "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"
_LIST_TYPE, _LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_MAP_TYPE = "x-kubernetes-map-type"


@dataclass(frozen=True, slots=True)
class Schema:
    """One value: `form` is object (a struct), map, array, string, integer, number, boolean or any.

    `name` is a struct's name in Python, under which it becomes an OpenAPI definition. `items` is
    the element of an array or the value of a map. The merge rules are those of `meta.doc`: empty
    where nothing was said, which means that lists are atomic and maps and structs are merged.
    """

    form: str
    description: str = ""
    format: str = ""
    name: str = ""
    struct: type[msgspec.Struct] | None = None
    fields: Mapping[str, "Schema"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    open: bool = False  # may hold fields beyond these, which are kept as they are
    items: "Schema | None" = None
    list_type: str = ""  # atomic, set or map
    list_keys: tuple[str, ...] = ()
    map_type: str = ""  # atomic, or empty for granular
    patch_strategy: str = ""  # merge or replace
    merge_key: str = ""

    def of(self, name: str) -> "Schema | None":
        """The schema of a field of a struct or of a map's value; None where anything goes."""
        if self.form == "object":
            return self.fields.get(name)
        return self.items if self.form == "map" else None

    def structs(self) -> Iterator["Schema"]:
        """This struct, if it is one, and every struct inside, each as often as it is used."""
        if self.form == "object":
            yield self
            for each in self.fields.values():
                yield from each.structs()
        elif self.items is not None:
            yield from self.items.structs()


@cache
def schema_of(struct: type[msgspec.Struct]) -> Schema:
    """The schema of a wire struct."""
    return _of(types.type_info(struct), "", {})


def _of(declared: types.Type, description: str, extra: Mapping[str, Any]) -> Schema:
    if isinstance(declared, types.Metadata):
        said = {**(declared.extra_json_schema or {}), **(declared.extra or {}), **extra}
        text = description or said.pop("description", "")
        return _of(declared.type, text, said)
    if isinstance(declared, types.UnionType):
        return _of(_shown_of(declared), description, extra)
    rules: dict[str, Any] = {
        "description": description,
        "format": extra.get("format", ""),
        "list_type": extra.get(_LIST_TYPE, ""),
        "list_keys": tuple(extra.get(_LIST_KEYS, ())),
        "map_type": extra.get(_MAP_TYPE, ""),
        "patch_strategy": extra.get(_STRATEGY, ""),
        "merge_key": extra.get(_MERGE_KEY, ""),
    }
    match declared:
        case types.StructType():
            return _struct(declared, rules)
        case types.DictType():
            if SHAPE in extra:
                return _of(types.type_info(extra[SHAPE]), description, extra)
            if isinstance(declared.value_type, types.AnyType):
                return Schema("any", **rules)
            return Schema("map", items=_of(declared.value_type, "", {}), **rules)
        case types.ListType() | types.VarTupleType():
            return Schema("array", items=_of(declared.item_type, "", {}), **rules)
    return Schema(_scalar(declared), **rules)


def _shown_of(union: types.UnionType) -> types.Type:
    """The X of `X | None`; a string where numbers are read too, as for quantities."""
    real = [each for each in union.types if not isinstance(each, types.NoneType)]
    return next((each for each in real if isinstance(each, types.StrType)), real[0])


def _struct(declared: types.StructType, rules: dict[str, Any]) -> Schema:
    fields = {each.encode_name: _of(each.type, "", {}) for each in declared.fields}
    required = tuple(
        each.encode_name
        for each in declared.fields
        if each.default is NODEFAULT and each.default_factory is NODEFAULT
    )
    return Schema(
        "object",
        name=declared.cls.__name__,
        struct=declared.cls,
        fields=fields,
        required=required,
        open=issubclass(declared.cls, Open),
        **{**rules, "description": rules["description"] or described(declared.cls)},
    )


def described(struct: type[msgspec.Struct]) -> str:
    """A struct's docstring as one text: the description of its kind."""
    return " ".join(inspect.cleandoc(struct.__doc__ or "").split())


def _scalar(declared: types.Type) -> str:
    match declared:
        case types.StrType() | types.BytesType() | types.LiteralType():
            return "string"
        case types.IntType():
            return "integer"
        case types.FloatType():
            return "number"
        case types.BoolType():
            return "boolean"
        case types.AnyType() | types.RawType():
            return "any"
    raise TypeError(f"{declared!r} has no place in a wire struct")
