"""Definitions of the OpenAPI documents: a JSON schema for each wire struct, under its known name.

Clients of Kubernetes and OpenShift know the definitions by name: `io.k8s.api.core.v1.Secret`,
`com.github.openshift.api.project.v1.Project`. So names follow from the group and version of the
resource that owns a struct, and the structs inside it are named beside it; what all resources
share has a home of its own, as in meta/v1. Schemas come from `schema.py` alone. Invariant: one name
is one shape; two structs that claim one name with different fields are refused when the program is
assembled.

A schema here is written as version 2 writes it, with `$ref`s that start with `reference`; version 3
wraps them (see `v3.py`).

Where a struct is `Open`, version 3 says so with `x-kubernetes-preserve-unknown-fields`. Version 2
has nothing that its clients would heed: kubectl before 1.25 would refuse what is not declared, and
merge by this document where its own knowledge of the kind is better. So such a kind is an object
there, of which no more is said, and which is not found by its group, version and kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.apimachinery.decoding.messages import DeleteOptions, Status
from tidegate.apimachinery.discovery import Declared, kind_of_subresource
from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ListMeta, Object, ObjectMeta
from tidegate.apimachinery.schema import Schema, described, schema_of

Json = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
PATCH = f"{META}.Patch"
"""A body of any patch type: no schema says more."""

KIND_OF = "x-kubernetes-group-version-kind"

_HOMES = {
    ObjectMeta.__module__: META,
    Status.__module__: META,
    ObjectReference.__module__: "io.k8s.api.core.v1",
}
"""Prefixes of structs that belong to no resource, by their modules."""

_FORMATS = {"integer": "int64", "number": "double"}


class ConflictingDefinitions(ValueError):
    """Two structs of different shape would have one name."""


@dataclass(frozen=True, slots=True)
class GroupVersionKind:
    group: str
    version: str
    kind: str

    @property
    def definition(self) -> str:
        """Name of its definition."""
        return f"{prefix(self.group, self.version)}.{self.kind}"

    def json(self) -> Json:
        return {"group": self.group, "kind": self.kind, "version": self.version}


def prefix(group: str, version: str) -> str:
    """What the names of a group's definitions begin with.

    The domain is reversed for groups that are neither Kubernetes' nor OpenShift's, as for custom
    resources.
    """
    first, _, domain = group.partition(".")
    if not domain or domain.endswith("k8s.io"):
        return f"io.k8s.api.{first or 'core'}.{version}"
    if domain.endswith("openshift.io"):
        return f"com.github.openshift.api.{first}.{version}"
    return ".".join((*reversed(group.split(".")), version))


def kind_of(resource: Declared) -> GroupVersionKind:
    return GroupVersionKind(resource.group, resource.version, resource.kind)


def list_kind_of(resource: Declared) -> GroupVersionKind:
    kind = resource.list_kind or f"{resource.kind}List"
    return GroupVersionKind(resource.group, resource.version, kind)


class Definitions:
    """The definitions that some resources need; `reference` is what their `$ref`s begin with.

    `open_kinds` says whether kinds with fields beyond the declared ones are described.
    """

    def __init__(
        self, resources: Sequence[Declared], reference: str, *, open_kinds: bool = True
    ) -> None:
        self._reference = reference
        self._open_kinds = open_kinds
        self._written: dict[str, Json] = {}
        self._kinds: dict[str, list[Json]] = {}
        for each in (Status, DeleteOptions, ListMeta):
            self._add(schema_of(each), META, each.__name__)
        for resource in resources:
            self._add_resource(resource)
        self._write(
            PATCH,
            {"description": "Patch is a change as its Content-Type says.", "type": "object"},
        )

    def ref(self, name: str) -> Json:
        return {"$ref": self._reference + name}

    def json(self) -> dict[str, Json]:
        """Every definition, by name."""
        return {
            name: {**written, KIND_OF: self._kinds[name]} if name in self._kinds else written
            for name, written in sorted(self._written.items())
        }

    def _add_resource(self, resource: Declared) -> None:
        self._add_kind(resource.type, kind_of(resource))
        if "list" in resource.verbs:
            self._add_list(resource)
        for sub in resource.subresources.values():
            self._add_kind(sub.type, GroupVersionKind(*kind_of_subresource(resource, sub)))

    def _add_kind(self, struct: type[Object], kind: GroupVersionKind) -> None:
        shape = schema_of(struct)
        if not self._open_kinds and any(each.open for each in shape.structs()):
            self._write(kind.definition, {"description": shape.description, "type": "object"})
            return
        self._add(shape, prefix(kind.group, kind.version), kind.kind)
        self._note_kind(kind)

    def _note_kind(self, kind: GroupVersionKind) -> None:
        kinds = self._kinds.setdefault(kind.definition, [])
        if kind.json() not in kinds:
            kinds.append(kind.json())

    def _add(self, shape: Schema, place: str, name: str) -> None:
        """The definition of a struct, and of those inside."""
        self._write(f"{place}.{name}", self._definition(shape, place))
        for field in shape.fields.values():
            for each in field.structs():
                self._write(self._name(each, place), self._definition(each, place))

    def _write(self, name: str, definition: Json) -> None:
        if self._written.setdefault(name, definition) != definition:
            raise ConflictingDefinitions(f"two structs of different shape are {name}")

    def _name(self, shape: Schema, place: str) -> str:
        module = shape.struct.__module__ if shape.struct is not None else ""
        return f"{_HOMES.get(module, place)}.{shape.name}"

    def _definition(self, shape: Schema, place: str) -> Json:
        definition: Json = {"type": "object"}
        if shape.struct is not None and (text := described(shape.struct)):
            definition["description"] = text
        if shape.required:
            definition["required"] = list(shape.required)
        if shape.fields:
            definition["properties"] = {
                name: self._property(each, place) for name, each in sorted(shape.fields.items())
            }
        if shape.open:
            definition["x-kubernetes-preserve-unknown-fields"] = True
        return definition

    def _property(self, shape: Schema, place: str) -> Json:
        written: Json = {"description": shape.description} if shape.description else {}
        return written | self._type(shape, place) | _extensions(shape)

    def _type(self, shape: Schema, place: str) -> Json:
        match shape.form:
            case "object":
                return self.ref(self._name(shape, place))
            case "any":
                return {"type": "object"}
            case "map":
                return {"type": "object", "additionalProperties": self._inside(shape, place)}
            case "array":
                return {"type": "array", "items": self._inside(shape, place)}
        written = {"type": shape.form}
        if format_ := shape.format or _FORMATS.get(shape.form):
            written["format"] = format_
        return written

    def _inside(self, shape: Schema, place: str) -> Json:
        return self._type(shape.items, place) if shape.items is not None else {}

    def _add_list(self, resource: Declared) -> None:
        kind = list_kind_of(resource)
        definition = {
            "description": f"{kind.kind} is a list of {resource.kind} objects.",
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"description": "Version of the list.", "type": "string"},
                "items": {
                    "description": f"List of {resource.plural}.",
                    "type": "array",
                    "items": self.ref(kind_of(resource).definition),
                },
                "kind": {"description": "Kind of the list.", "type": "string"},
                "metadata": {"description": "Standard list metadata."}
                | self.ref(f"{META}.ListMeta"),
            },
        }
        self._write(kind.definition, definition)
        self._note_kind(kind)


def _extensions(shape: Schema) -> Json:
    """How clients merge a field, and servers its applied changes."""
    said = {
        "x-kubernetes-list-map-keys": list(shape.list_keys),
        "x-kubernetes-list-type": shape.list_type,
        "x-kubernetes-map-type": shape.map_type,
        "x-kubernetes-patch-merge-key": shape.merge_key,
        "x-kubernetes-patch-strategy": shape.patch_strategy,
    }
    return {name: value for name, value in said.items() if value}
