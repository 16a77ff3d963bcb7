"""LimitRange: how large one thing in a namespace may be.

Only the declaration: images and image streams are measured where they are written.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, duplicate, forbidden, invalid, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.names import qualified_name_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.kinds.quantity import (
    NANO,
    Quantity,
    QuantityInvalid,
    WireQuantity,
    canonical,
    parse_quantity,
)

_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_OF_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD = _OF_CONTAINERS | {
    "storage", "requests.cpu", "requests.memory", "requests.storage",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
    "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
    "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
}  # fmt: skip

Amounts = dict[str, WireQuantity]
_Parsed = Mapping[str, Mapping[str, Quantity]]


class LimitRangeItem(Wire):
    """The limits of one type of thing."""

    type: Annotated[
        str,
        doc(
            "What is limited: openshift.io/Image (max storage of one image), "
            "openshift.io/ImageStream (max openshift.io/images and openshift.io/image-tags of one "
            "stream), Pod, Container or PersistentVolumeClaim."
        ),
    ]
    max: Annotated[Amounts, doc("The most that one may have, by resource name.")] = field(
        default_factory=dict
    )
    min: Annotated[Amounts, doc("The least that one has to have.")] = field(default_factory=dict)
    default: Annotated[Amounts, doc("The limit of one that sets none.")] = field(
        default_factory=dict
    )
    default_request: Annotated[Amounts, doc("The request of one that sets none.")] = field(
        default_factory=dict
    )
    max_limit_request_ratio: Annotated[
        Amounts, doc("How many times larger a limit may be than its request.")
    ] = field(default_factory=dict)


class LimitRangeSpec(Wire):
    """Limits by the type of what they limit."""

    limits: Annotated[
        list[LimitRangeItem], doc("The limits, one item for each type.", list_type="atomic")
    ] = field(default_factory=list)


class LimitRange(Object):
    """LimitRange limits how large each single thing in a namespace may be."""

    spec: Annotated[LimitRangeSpec, doc("The limits.")] = field(default_factory=LimitRangeSpec)


_MAPS = ("max", "min", "default", "default_request", "max_limit_request_ratio")
_WIRE_NAMES = {
    "default_request": "defaultRequest",
    "max_limit_request_ratio": "maxLimitRequestRatio",
}


def _prepare(new: LimitRange, _old: LimitRange | None) -> None:
    for item in new.spec.limits:
        if item.type == "Container":
            item.default = {**item.max, **item.default}
            item.default_request = {**item.min, **item.default, **item.default_request}
        for name in _MAPS:
            amounts = getattr(item, name)
            setattr(item, name, {key: canonical(each) for key, each in amounts.items()})


def _validate(new: LimitRange, _old: LimitRange | None) -> Sequence[FieldError]:
    faults: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(new.spec.limits):
        path = f"spec.limits[{index}]"
        faults += _type_faults(item.type, f"{path}.type")
        if item.type in seen:
            faults.append(duplicate(f"{path}.type", item.type))
        seen.add(item.type)
        faults += _item_faults(item, path)
    return faults


def _type_faults(text: str, path: str) -> list[FieldError]:
    if faults := qualified_name_faults(text):
        return [invalid(path, text, why) for why in faults]
    if "/" in text or text in _TYPES:
        return []
    return [invalid(path, text, "must be a standard limit type or fully qualified")]


def _item_faults(item: LimitRangeItem, path: str) -> list[FieldError]:
    faults: list[FieldError] = []
    parsed: dict[str, dict[str, Quantity]] = {}
    for name in _MAPS:
        amounts = getattr(item, name)
        where = f"{path}.{_WIRE_NAMES.get(name, name)}"
        if amounts and item.type == "Pod" and name in ("default", "default_request"):
            faults.append(forbidden(where, "may not be specified when `type` is 'Pod'"))
            continue
        parsed[name] = {}
        for key, amount in sorted(amounts.items()):
            faults += _resource_faults(item.type, key, f"{where}[{key}]")
            try:
                parsed[name][key] = parse_quantity(amount)
            except QuantityInvalid as error:
                faults.append(invalid(f"{where}[{key}]", str(amount), str(error)))
    if item.type == "PersistentVolumeClaim" and "storage" not in {**item.max, **item.min}:
        why = "either minimum or maximum storage value is required, but neither was provided"
        faults.append(required(f"{path}.limits", why))
    for key in sorted({key for amounts in parsed.values() for key in amounts}):
        faults += _order_faults(parsed, key, path)
    return faults


def _resource_faults(kind: str, name: str, path: str) -> list[FieldError]:
    if faults := qualified_name_faults(name):
        return [invalid(path, name, why) for why in faults]
    if "/" in name or name.startswith("hugepages-"):
        return []
    if kind in ("Pod", "Container"):
        if name in _OF_CONTAINERS:
            return []
        return [invalid(path, name, "must be a standard resource for containers")]
    if name in _STANDARD:
        return []
    return [invalid(path, name, "must be a standard resource type or fully qualified")]


_ORDER: tuple[tuple[str, str, str, str, str], ...] = (
    # smaller, larger, where, whose value is shown, words
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min", "default_request", "defaultRequest", "default_request",
        "min value {} is greater than default request value {}",
    ),
    (
        "default_request", "max", "defaultRequest", "default_request",
        "default request value {} is greater than max value {}",
    ),
    (
        "default_request", "default", "defaultRequest", "default_request",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)  # fmt: skip


def _order_faults(parsed: _Parsed, key: str, path: str) -> list[FieldError]:
    of = {name: amounts[key] for name, amounts in parsed.items() if key in amounts}
    faults = [
        invalid(f"{path}.{where}[{key}]", str(of[shown]), words.format(of[smaller], of[larger]))
        for smaller, larger, where, shown, words in _ORDER
        if smaller in of and larger in of and of[smaller] > of[larger]
    ]
    ratio = of.get("max_limit_request_ratio")
    if ratio is not None:
        where = f"{path}.maxLimitRequestRatio[{key}]"
        if ratio.nano < NANO:
            faults.append(invalid(where, str(ratio), f"ratio {ratio} is less than 1"))
        if "min" in of and "max" in of and of["min"].nano > 0:
            bound = Fraction(of["max"].nano, of["min"].nano)
            if Fraction(ratio.nano, NANO) > bound:
                why = f"ratio {ratio} is greater than max/min = {float(bound):f}"
                faults.append(invalid(where, str(ratio), why))
    return faults


def _created(each: LimitRange, _now: float) -> str:
    return each.metadata.creation_timestamp


LIMIT_RANGES = Resource(
    group="",
    version="v1",
    kind="LimitRange",
    plural="limitranges",
    type=LimitRange,
    namespaced=True,
    short_names=("limits",),
    age=False,
    columns=(Column("Created At", _created, "When it was made.", type="date"),),
    strategy=Strategy(prepare=_prepare, validate=_validate),
)
