"""ResourceQuota: how much a namespace may hold in all, and how much it does.

Only the declaration: what is counted, and refused, is decided where it is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.names import qualified_name_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.kinds.quantity import (
    QuantityInvalid,
    WireQuantity,
    canonical,
    parse_quantity,
)

_COUNTED = frozenset(
    {
        "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
_MEASURED = frozenset(
    {
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
        "requests.storage", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
        "limits.ephemeral-storage",
    }
)  # fmt: skip
_HUGE = ("hugepages-", "requests.hugepages-", "limits.hugepages-")

_OF_PODS = frozenset(
    {"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
)
_OF_CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})
_SCOPES: Mapping[str, frozenset[str]] = {
    "Terminating": _OF_PODS,
    "NotTerminating": _OF_PODS,
    "BestEffort": frozenset({"pods"}),
    "NotBestEffort": _OF_PODS,
    "PriorityClass": _OF_PODS,
    "CrossNamespacePodAffinity": _OF_PODS,
    "VolumeAttributesClass": _OF_CLAIMS,
}
_CONFLICTING = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_EXIST_ONLY = frozenset(_SCOPES) - {"PriorityClass", "VolumeAttributesClass"}


class ScopedResourceSelectorRequirement(Wire):
    """One condition on a scope."""

    scope_name: Annotated[str, doc("The scope that is asked about.")] = ""
    operator: Annotated[str, doc("In, NotIn, Exists or DoesNotExist.")] = ""
    values: Annotated[
        list[str], doc("For In and NotIn: at least one; else none.", list_type="atomic")
    ] = field(default_factory=list)


class ScopeSelector(Wire):
    """Conditions on scopes that all hold for what is counted."""

    match_expressions: Annotated[
        list[ScopedResourceSelectorRequirement], doc("The conditions.", list_type="atomic")
    ] = field(default_factory=list)


class ResourceQuotaSpec(Wire):
    """The limits that are wanted."""

    hard: Annotated[
        dict[str, WireQuantity],
        doc(
            "The limit of each named resource: openshift.io/imagestreams (image streams), "
            "tidegate.io/storage (bytes of images), count/RESOURCE.GROUP (objects of any "
            "resource), secrets, configmaps, and the compute resources of Kubernetes."
        ),
    ] = field(default_factory=dict)
    scopes: Annotated[
        list[str],
        doc("Counts only what matches all of these scopes; never changes.", list_type="atomic"),
    ] = field(default_factory=list)
    scope_selector: Annotated[
        ScopeSelector | None, doc("Like scopes, with operators and values.", atomic=True)
    ] = None


class ResourceQuotaStatus(Wire):
    """The limits that are enforced, and what is used of them."""

    hard: Annotated[dict[str, WireQuantity], doc("The enforced limit of each resource.")] = field(
        default_factory=dict
    )
    used: Annotated[dict[str, WireQuantity], doc("What the namespace holds now.")] = field(
        default_factory=dict
    )


class ResourceQuota(Object):
    """ResourceQuota limits how much all objects of a namespace together may use."""

    spec: Annotated[ResourceQuotaSpec, doc("The limits that are wanted.")] = field(
        default_factory=ResourceQuotaSpec
    )
    status: Annotated[ResourceQuotaStatus, doc("The limits as enforced, and current use.")] = field(
        default_factory=ResourceQuotaStatus
    )


def canonical_amounts(amounts: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    """Amounts as the server writes them."""
    return {name: canonical(amount) for name, amount in amounts.items()}


def _prepare(new: ResourceQuota, old: ResourceQuota | None) -> None:
    new.status = ResourceQuotaStatus() if old is None else old.status
    new.spec.hard = canonical_amounts(new.spec.hard)


def _prepare_status(new: ResourceQuota, old: ResourceQuota | None) -> None:
    if old is not None:
        new.spec = old.spec
    new.status.hard = canonical_amounts(new.status.hard)
    new.status.used = canonical_amounts(new.status.used)


def _validate(new: ResourceQuota, old: ResourceQuota | None) -> Sequence[FieldError]:
    faults: list[FieldError] = []
    for path, amounts in (
        ("spec.hard", new.spec.hard),
        ("status.hard", new.status.hard),
        ("status.used", new.status.used),
    ):
        for name, amount in sorted(amounts.items()):
            faults += _name_faults(name, f"{path}[{name}]")
            faults += _amount_faults(name, amount, f"{path}[{name}]")
    faults += _scope_faults("spec.scopes", new.spec.scopes, new.spec.hard)
    if new.spec.scope_selector is not None:
        faults += _selector_faults(new.spec.scope_selector, new.spec.hard)
    if old is not None and set(old.spec.scopes) != set(new.spec.scopes):
        faults.append(invalid("spec.scopes", ",".join(new.spec.scopes), "field is immutable"))
    return faults


def _name_faults(name: str, path: str) -> list[FieldError]:
    if faults := qualified_name_faults(name):
        return [invalid(path, name, why) for why in faults]
    if "/" in name or name in _COUNTED or name in _MEASURED or name.startswith(_HUGE):
        return []
    return [invalid(path, name, "must be a standard resource for quota")]


def _amount_faults(name: str, amount: str | float, path: str) -> list[FieldError]:
    try:
        quantity = parse_quantity(amount)
    except QuantityInvalid as error:
        return [invalid(path, str(amount), str(error))]
    faults = []
    if quantity.nano < 0:
        faults.append(invalid(path, str(amount), "must be greater than or equal to 0"))
    if _is_whole(name) and not quantity.is_whole:
        faults.append(invalid(path, str(amount), "must be an integer"))
    return faults


def _is_whole(name: str) -> bool:
    """Whether there are only whole ones: counted objects, and what others have defined."""
    return name in _COUNTED or ("/" in name and "kubernetes.io/" not in name)


def _scope_faults(path: str, scopes: Sequence[str], hard: Mapping[str, object]) -> list[FieldError]:
    faults = []
    for scope in scopes:
        of = _SCOPES.get(scope)
        if of is None:
            faults.append(invalid(path, scope, "unsupported scope"))
        elif any(name in _COUNTED | _MEASURED and name not in of for name in hard):
            faults.append(invalid(path, scope, "unsupported scope applied to resource"))
    faults += [
        invalid(path, ",".join(pair), "conflicting scopes")
        for pair in _CONFLICTING
        if set(pair) <= set(scopes)
    ]
    return faults


def _selector_faults(selector: ScopeSelector, hard: Mapping[str, object]) -> list[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    faults = _scope_faults(
        f"{path}.scopeName", [each.scope_name for each in selector.match_expressions], hard
    )
    for each in selector.match_expressions:
        if each.scope_name in _EXIST_ONLY and each.operator != "Exists":
            faults.append(
                invalid(
                    f"{path}.operator",
                    each.operator,
                    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                    "ResourceQuotaScopeNotBestEffort or "
                    "ResourceQuotaScopeCrossNamespacePodAffinity",
                )
            )
        faults += _values_faults(each, path)
    return faults


def _values_faults(each: ScopedResourceSelectorRequirement, path: str) -> list[FieldError]:
    if each.operator in ("In", "NotIn"):
        if each.values:
            return []
        why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [required(f"{path}.values", why)]
    if each.operator in ("Exists", "DoesNotExist"):
        if not each.values:
            return []
        why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [invalid(f"{path}.values", ",".join(each.values), why)]
    return [invalid(f"{path}.operator", each.operator, "not a valid selector operator")]


def _used(quota: ResourceQuota, *, limits: bool) -> str:
    return ", ".join(
        f"{name}: {canonical(quota.status.used.get(name, '0'))}/{canonical(hard)}"
        for name, hard in sorted(quota.status.hard.items())
        if name.startswith("limits.") is limits
    )


RESOURCE_QUOTAS = Resource(
    group="",
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    type=ResourceQuota,
    namespaced=True,
    short_names=("quota",),
    columns=(
        Column(
            "Request",
            lambda each, _now: _used(each, limits=False),
            "What is used of each resource, and its limit.",
        ),
        Column(
            "Limit",
            lambda each, _now: _used(each, limits=True),
            "The same for what containers may use at most.",
        ),
    ),
    strategy=Strategy(prepare=_prepare, validate=_validate),
    subresources={
        "status": Subresource(
            verbs=("get", "patch", "update"), kind="ResourceQuota", type=ResourceQuota
        )
    },
)

RESOURCE_QUOTA_STATUS = replace(
    RESOURCE_QUOTAS, strategy=Strategy(prepare=_prepare_status, validate=_validate)
)
"""The same documents as they are written through `status`."""
