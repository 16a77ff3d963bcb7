"""What a Rollout says of traffic: which object splits it, how much goes to which Service.

The objects are the cluster's: an HTTPRoute of the Gateway API, whose backendRefs have weights, or a
Route of OpenShift. Only the declaration and what makes one valid; `delivery.rollouts` decides.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.apimachinery.meta import Time, Wire, doc
from tidegate.apimachinery.names import subdomain_faults

HTTP_ROUTE, ROUTE = "HTTPRoute", "Route"

ANNOTATION = "tidegate.io/rollout"
"""Of an HTTPRoute or Route: the Rollout of its namespace that may set its weights."""
FINALIZER = "tidegate.io/rollout-traffic"
"""Of a Rollout that owes weights: it goes once they are what they were."""

HEAVIEST = {HTTP_ROUTE: 1_000_000, ROUTE: 256}
"""Bounds of a weight, by the definitions of both kinds."""
SERVICES = {HTTP_ROUTE: 16, ROUTE: 4}
"""Services that one rule, or one Route, can send to."""


class RolloutTraffic(Wire):
    """The object that splits the traffic, in the namespace of this name; one of both."""

    http_route: Annotated[str, doc("Name of an HTTPRoute (gateway.networking.k8s.io/v1).")] = ""
    route: Annotated[str, doc("Name of a Route (route.openshift.io/v1).")] = ""


class TrafficRule(Wire):
    """How one rule splits the traffic."""

    weights: Annotated[dict[str, int], doc("Weights by Service.")] = field(default_factory=dict)


class TrafficStatus(Wire):
    """An object whose weights are not what they were before the rollout, or will not be."""

    kind: Annotated[str, doc("HTTPRoute or Route.")] = ""
    name: Annotated[str, doc("Its name.")] = ""
    uid: Annotated[str, doc("Its uid: one of the same name that is made later is another.")] = ""
    original: Annotated[
        list[TrafficRule],
        doc("What it had before, and gets again, by rule that splits.", list_type="atomic"),
    ] = field(default_factory=list)
    before: Annotated[
        list[TrafficRule], doc("What it had before it was to get these.", list_type="atomic")
    ] = field(default_factory=list)
    weights: Annotated[
        list[TrafficRule], doc("What it has, or is about to get.", list_type="atomic")
    ] = field(default_factory=list)
    written: Annotated[Time, doc("Since when it is known to have these.")] = ""
    returns: Annotated[bool, doc("Whether it is about to get back what it had.")] = False
    reported: Annotated[bool, doc("Whether a policy (mode Report) leaves writing them to you.")] = (
        False
    )
    patch: Annotated[
        str, doc("What is yours to write then: kubectl patch --type json --patch.")
    ] = ""


def object_of(traffic: RolloutTraffic | None) -> tuple[str, str] | None:
    """Kind and name of the object; None for none."""
    if traffic is None:
        return None
    return (HTTP_ROUTE, traffic.http_route) if traffic.http_route else (ROUTE, traffic.route)


def shown_weights(rules: Sequence[TrafficRule]) -> str:
    """`web 90, web-canary 10`, of the first rule."""
    if not rules:
        return ""
    return ", ".join(f"{name} {weight}" for name, weight in sorted(rules[0].weights.items()))


def traffic_faults(
    traffic: RolloutTraffic | None, steps: Sequence[Mapping[str, int]]
) -> list[FieldError]:
    """What is wrong with the object and with the weights of the steps."""
    faults = [] if traffic is None else _object_faults(traffic)
    found = object_of(traffic)
    services: set[str] = set()
    for index, weights in enumerate(steps):
        if not weights:
            continue
        path = f"spec.steps[{index}].weights"
        if found is None:
            why = "take spec.traffic, the HTTPRoute or Route that has them"
            faults.append(invalid(path, dict(weights), why))
            continue
        services = services or {*weights}
        if {*weights} != services:
            why = f"must be of the same Services in all steps: {', '.join(sorted(services))}"
            faults.append(invalid(path, dict(weights), why))
        faults += _weights_faults(path, found[0], weights)
    return faults


def _object_faults(traffic: RolloutTraffic) -> list[FieldError]:
    if bool(traffic.http_route) == bool(traffic.route):
        return [invalid("spec.traffic", "", "must have one of httpRoute and route")]
    kind, name = object_of(traffic) or ("", "")
    path = "spec.traffic.httpRoute" if kind == HTTP_ROUTE else "spec.traffic.route"
    return [invalid(path, name, each) for each in subdomain_faults(name)]


def _weights_faults(path: str, kind: str, weights: Mapping[str, int]) -> list[FieldError]:
    if not 2 <= len(weights) <= SERVICES[kind]:
        why = f"must be of 2 to {SERVICES[kind]} Services"
        return [invalid(path, dict(weights), why)]
    faults = [
        invalid(f"{path}[{name}]", weight, f"must be between 0 and {HEAVIEST[kind]}")
        for name, weight in weights.items()
        if not 0 <= weight <= HEAVIEST[kind]
    ]
    if not any(weights.values()):
        faults.append(invalid(path, dict(weights), "would send the traffic nowhere"))
    return faults
