"""How an HTTPRoute or a Route splits traffic: read out of its JSON, and written as a JSON patch.

A rule counts when it sends to all of the Services whose weights are set: one that sends to a single
Service of them has nothing to split. A Route is one rule. Weights of other Services in a rule, and
all else of the object, are neither looked at nor written.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tidegate.kinds.rollout_traffic import ANNOTATION, HTTP_ROUTE, TrafficRule


class _Metadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    namespace: str = ""
    resource_version: str = ""
    annotations: dict[str, str] = {}


class _Backend(msgspec.Struct):
    name: str = ""
    group: str = ""
    kind: str | None = ""
    namespace: str = ""
    weight: int | None = None


class _Rule(msgspec.Struct, rename="camel"):
    backend_refs: list[_Backend] = []


class _Spec(msgspec.Struct, rename="camel"):
    rules: list[_Rule] = []
    to: _Backend = msgspec.field(default_factory=_Backend)
    alternate_backends: list[_Backend] | None = None


class _Object(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)


@dataclass(frozen=True, slots=True)
class Split:
    """What is seen of an object; with a `problem` nothing of it may be written.

    `places` are the JSON pointers of the Services of each rule that counts.
    """

    kind: str
    name: str
    uid: str = ""
    version: str = ""
    rules: Sequence[TrafficRule] = ()
    places: Sequence[Mapping[str, str]] = ()
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def split_of(
    kind: str, name: str, body: bytes | None, rollout: str, services: Collection[str]
) -> Split:
    """What there is of an object, for the Rollout of this name; `body` is None where it is gone.

    Who writes Rollouts is not told of objects that are not hers, not even that they are there.
    """
    none = f"there is no {kind} {name} with the annotation {ANNOTATION}: {rollout}"
    if body is None:
        return Split(kind, name, problem=none)
    try:
        found = msgspec.json.decode(body, type=_Object)
    except msgspec.DecodeError:
        return Split(kind, name, problem=none)
    metadata = found.metadata
    rules, places = [], []
    for backends in _rules(kind, found.spec, metadata.namespace):
        names = [each for each, _, _ in backends]
        if {*services} <= {*names} and len(names) == len({*names}):
            mine = [each for each in backends if each[0] in services]
            rules.append(TrafficRule(weights={each: weight for each, weight, _ in mine}))
            places.append({each: place for each, _, place in mine})
    problem = ""
    if metadata.annotations.get(ANNOTATION) != rollout:
        problem = none
    elif not rules:
        problem = f"{kind} {name} sends nothing to {', '.join(sorted(services))} together"
    return Split(kind, name, metadata.uid, metadata.resource_version, rules, places, problem)


def _rules(kind: str, spec: _Spec, namespace: str) -> Iterator[list[tuple[str, int, str]]]:
    """Service, weight and place of what each rule sends to."""
    if kind == HTTP_ROUTE:  # whose CRD sets 1 where there is none, a Route's 100
        for number, rule in enumerate(spec.rules):
            place = f"/spec/rules/{number}/backendRefs"
            yield [
                (each.name, 1 if each.weight is None else each.weight, f"{place}/{index}")
                for index, each in enumerate(rule.backend_refs)
                if _is_service(each, namespace)
            ]
        return
    found = [(spec.to, "/spec/to")]
    found += [
        (each, f"/spec/alternateBackends/{index}")
        for index, each in enumerate(spec.alternate_backends or ())
    ]
    yield [
        (each.name, 100 if each.weight is None else each.weight, place)
        for each, place in found
        if _is_service(each, namespace)
    ]


def _is_service(backend: _Backend, namespace: str) -> bool:
    if backend.group or backend.namespace not in ("", namespace):
        return False
    return backend.kind in (None, "", "Service")


def operations(split: Split, wanted: Sequence[TrafficRule]) -> list[dict[str, object]]:
    """The JSON patch that gives rules these weights; none where they have them.

    It is for the version that was seen; `patch_of` makes it one that others can apply later.
    """
    return [
        {"op": "add", "path": f"{places[service]}/weight", "value": weight}
        for rule, places, has in zip(wanted, split.places, split.rules, strict=True)
        for service, weight in sorted(rule.weights.items())
        if has.weights[service] != weight
    ]


def patch_of(split: Split, wanted: Sequence[TrafficRule]) -> str:
    """The same, which fails where another Service has taken the place of one; "" for none."""
    services = {place: name for places in split.places for name, place in places.items()}
    made: list[dict[str, object]] = []
    for each in operations(split, wanted):
        place = str(each["path"]).removesuffix("/weight")
        made.append({"op": "test", "path": f"{place}/name", "value": services[place]})
        made.append(each)
    return msgspec.json.encode(made).decode() if made else ""
