"""What every API object carries: kind, version, metadata; and how wire types are declared.

A wire type is a msgspec struct. It follows Go's reading of the conventions, which clients were
written against: a field that is absent has its zero value, and a zero value is not written, unless
the field has no default (then it is always written) or is `X | None` (then zero differs from
absent). Real defaults (`type: Opaque`) are therefore set by a strategy, not by the struct.
`doc` describes a field and says how lists in it are merged; the OpenAPI documents, strict decoding,
both kinds of merging patch and `kubectl explain` all read that one declaration.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Struct, field

SHAPE = "shape"

LIST_TYPES = ("atomic", "set", "map")


def doc(
    description: str,
    *,
    merge_key: str = "",
    keys: tuple[str, ...] = (),
    list_type: str = "",
    atomic: bool = False,
    replace: bool = False,
    format: str = "",  # noqa: A002  OpenAPI's word
    shape: "type[Open] | None" = None,
) -> msgspec.Meta:
    """A field's description, and how its value is merged.

    `merge_key` names the key by which strategic merge patch joins the objects of a list; `keys`
    those by which server-side apply does (`merge_key` alone implies them). `list_type="set"` is a
    list of scalars that both merge. `atomic` makes apply own a map or struct as a whole; `replace`
    makes strategic merge patch replace a map or struct whole. Without any of these a list is
    replaced (atomic) and a map or struct is merged.

    `shape` says what is known of a field that is a `dict[str, Any]` in Python.
    """
    extra: dict[str, Any] = {}
    if merge_key:
        extra["x-kubernetes-patch-strategy"] = "merge"
        extra["x-kubernetes-patch-merge-key"] = merge_key
        keys = keys or (merge_key,)
    if keys:
        extra["x-kubernetes-list-type"] = "map"
        extra["x-kubernetes-list-map-keys"] = list(keys)
    elif list_type:
        extra["x-kubernetes-list-type"] = list_type
        if list_type == "set":
            extra["x-kubernetes-patch-strategy"] = "merge"
    if atomic:
        extra["x-kubernetes-map-type"] = "atomic"
    if replace:
        extra["x-kubernetes-patch-strategy"] = "replace"
    if format:
        extra["format"] = format
    return msgspec.Meta(
        description=description,
        extra_json_schema=extra,
        extra=None if shape is None else {SHAPE: shape},
    )


Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with whole seconds, as metav1.Time is written."""

MicroTime = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with six decimals, as metav1.MicroTime is written."""


class Wire(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The parent of every wire struct: camelCase names, zero values left out.

    A subclass that holds a field whose JSON name is no plain camelCase form says
    `msgspec.field(name="clusterIP")`.
    """


class Open(Wire):
    """The parent of structs that say a part of what an object holds, and leave the rest as it is.

    No value is kept in one: a field is a `dict[str, Any]` with `doc(shape=...)`. What is declared
    has its type checked and is merged as it says; fields beyond are kept as they were sent.
    """


class OwnerReference(Wire):
    """Names an object that this one depends on; it goes when the last of its owners has gone."""

    api_version: Annotated[str, doc("API version of the owner.")]
    kind: Annotated[str, doc("Kind of the owner.")]
    name: Annotated[str, doc("Name of the owner.")]
    uid: Annotated[str, doc("UID of the owner.")]
    controller: Annotated[bool | None, doc("Whether the owner is the managing controller.")] = None
    block_owner_deletion: Annotated[
        bool | None, doc("Whether a foreground deletion of the owner waits for this object.")
    ] = None


class ManagedFieldsEntry(Wire):
    """Which fields one manager set, by one operation (server-side apply)."""

    manager: Annotated[str, doc("Name of the workflow that manages the fields.")] = ""
    operation: Annotated[str, doc("Apply or Update.")] = ""
    api_version: Annotated[str, doc("Version of the object that the fields belong to.")] = ""
    time: Annotated[Time, doc("When the manager last changed them.")] = ""
    fields_type: Annotated[str, doc("Always FieldsV1.")] = ""
    fields_v1: Annotated[
        dict[str, Any], doc("The fields, as a tree of f:name, k:{key} and v:value.", atomic=True)
    ] = field(name="fieldsV1", default_factory=dict)
    subresource: Annotated[str, doc("The subresource through which they were set.")] = ""


class ObjectMeta(Wire):
    """Metadata that every stored object has."""

    name: Annotated[str, doc("Name, unique among the kind in its namespace; never changes.")] = ""
    generate_name: Annotated[
        str, doc("Prefix of a name that the server completes when no name is given.")
    ] = ""
    namespace: Annotated[str, doc("Namespace that the object is in; empty for the cluster.")] = ""
    self_link: Annotated[str, doc("Deprecated; never set.")] = ""
    uid: Annotated[str, doc("Identity of this object in time and space, set by the server.")] = ""
    resource_version: Annotated[
        str, doc("Opaque version of the object; a write with an older one is refused.")
    ] = ""
    generation: Annotated[int, doc("Counts the changes of the desired state.")] = 0
    creation_timestamp: Annotated[Time, doc("When the object was made; set by the server.")] = ""
    deletion_timestamp: Annotated[
        Time, doc("When deletion was asked for; set while finalizers hold the object.")
    ] = ""
    deletion_grace_period_seconds: Annotated[
        int | None, doc("Seconds that the object may take to end.")
    ] = None
    labels: Annotated[dict[str, str], doc("Keys and values by which objects are selected.")] = {}
    annotations: Annotated[dict[str, str], doc("Keys and values for tools; not selectable.")] = {}
    owner_references: Annotated[
        list[OwnerReference], doc("Objects that this one depends on.", merge_key="uid")
    ] = []
    finalizers: Annotated[
        list[str], doc("What has to be done before the object goes.", list_type="set")
    ] = []
    managed_fields: Annotated[
        list[ManagedFieldsEntry], doc("Who manages which fields.", list_type="atomic")
    ] = []


class ListMeta(Wire):
    """Metadata of a list."""

    resource_version: str = ""
    continue_: str = field(name="continue", default="")
    remaining_item_count: int | None = None


class Object(Wire):
    """The parent of every kind that is served. Its docstring is the kind's description."""

    api_version: Annotated[str, doc("Version of the schema of this object, GROUP/VERSION.")] = ""
    kind: Annotated[str, doc("Name of the REST resource that this object represents.")] = ""
    metadata: Annotated[ObjectMeta, doc("Standard object metadata.")] = field(
        default_factory=ObjectMeta
    )
