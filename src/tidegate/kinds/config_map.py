"""ConfigMap: settings and small files that others read."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, field

from tidegate.apimachinery.errors import FieldError, forbidden, invalid, too_long
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.names import config_key_faults
from tidegate.apimachinery.octets import decoded, encoded
from tidegate.apimachinery.resource import Column, Resource, Strategy

SIZE_LIMIT = 1024 * 1024
"""Bytes in all values of one ConfigMap, as in Kubernetes."""

_FROZEN = "field is immutable when `immutable` is set"


class ConfigMap(Object):
    """ConfigMap holds configuration for programs to consume: values and small files by key."""

    immutable: Annotated[
        bool | None,
        doc(
            "When true, data and binaryData can no longer be changed, only metadata can, and it "
            "cannot be set back; the ConfigMap has to be deleted and made anew."
        ),
    ] = None
    data: Annotated[
        dict[str, str],
        doc(
            "The values. A key consists of letters, digits, '-', '_' and '.'; it must not be in "
            "binaryData too. Values that are no UTF-8 go to binaryData."
        ),
    ] = field(default_factory=dict)
    binary_data: Annotated[
        dict[str, Annotated[str, Meta(extra_json_schema={"format": "byte"})]],
        doc("Values that are no UTF-8 text, in base64; their keys are not in data."),
    ] = field(default_factory=dict)


def _prepare(new: ConfigMap, _old: ConfigMap | None) -> None:
    new.binary_data = {
        key: encoded(decoded(value, "ConfigMap")) for key, value in new.binary_data.items()
    }


def _validate(new: ConfigMap, old: ConfigMap | None) -> Sequence[FieldError]:
    return [*(_frozen(new, old) if old is not None and old.immutable else ()), *_content(new)]


def _frozen(new: ConfigMap, old: ConfigMap) -> list[FieldError]:
    changed = {
        "immutable": not new.immutable,
        "data": new.data != old.data,
        "binaryData": new.binary_data != old.binary_data,
    }
    return [forbidden(name, _FROZEN) for name, differs in changed.items() if differs]


def _content(new: ConfigMap) -> list[FieldError]:
    faults = []
    for name, values in (("data", new.data), ("binaryData", new.binary_data)):
        for key in values:
            faults += [invalid(f"{name}[{key}]", key, why) for why in config_key_faults(key)]
    faults += [
        invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        for key in new.data
        if key in new.binary_data
    ]
    size = sum(len(value.encode()) for value in new.data.values())
    size += sum(len(decoded(value, "ConfigMap")) for value in new.binary_data.values())
    if size > SIZE_LIMIT:
        faults.append(too_long("", SIZE_LIMIT))
    return faults


CONFIG_MAPS = Resource(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    type=ConfigMap,
    namespaced=True,
    short_names=("cm",),
    columns=(
        Column(
            "Data",
            lambda each, _now: len(each.data) + len(each.binary_data),
            "How many values it holds.",
        ),
    ),
    strategy=Strategy(prepare=_prepare, validate=_validate),
)
