"""The verdict on one request: names rewritten, pull policies set, prohibited images refused.

Invariants: an object that a controller owns keeps its images, since its owner would put back what
is changed (and a Deployment would make replica sets for ever); a write changes nothing that it did
not touch; a Job or a Build, whose images may not change, is never rewritten by an update.

What forbids goes further than what rewrites: pods are held to the rules on execution and on pull
policy whoever owns them, because anybody may write an owner into a pod.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.apimachinery.errors import FieldError, Qualified, forbidden, invalid_object
from tidegate.images.admission.pull_policy import insisted_on, policy_for
from tidegate.images.admission.resolution import (
    UNTOUCHED,
    ImageSought,
    Resolved,
    Sought,
    StreamLookup,
    resolve,
    seek,
)
from tidegate.images.admission.review import AdmissionRequest, Verdict
from tidegate.images.admission.workloads import (
    BUILDS,
    JOBS,
    PODS,
    RESOURCES,
    Place,
    Workload,
    read_workload,
)

IGNORE_RULES = "alpha.image.policy.openshift.io/ignore-rules"
"""On a project: the rules, separated by commas, that do not hold in it."""

EXECUTION_DENIED = "execution-denied"

PROHIBITED = "this image is prohibited by policy"

NAMES_LIMIT = 500
"""Different images in one object; each is a look-up."""

NamespaceAnnotations = Callable[[str], Awaitable[Mapping[str, str]]]
"""The annotations of a project; none for one that does not exist."""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked, read."""

    request: AdmissionRequest
    resource: tuple[str, str]
    workload: Workload
    updates: bool

    @property
    def rewrites(self) -> bool:
        """Whether names may be replaced."""
        fixed = self.updates and self.resource in (BUILDS, JOBS)
        return not self.workload.owned and not fixed

    @property
    def executes(self) -> bool:
        """Whether the object itself runs its images."""
        return self.resource in (PODS, BUILDS)

    @property
    def sets_policies(self) -> bool:
        """Whether pull policies may be set: not where the cluster lets nobody change them."""
        if self.updates:
            return self.rewrites and self.resource != PODS
        return not self.workload.owned or self.resource == PODS


async def decide(
    request: AdmissionRequest,
    streams: StreamLookup,
    annotations: NamespaceAnnotations,
    hosts: Collection[str],
) -> Verdict:
    """The verdict on a request; `WorkloadInvalid` for an object that cannot be read."""
    resource = (request.resource.group, request.resource.resource)
    updates = request.operation == "UPDATE"
    if resource not in RESOURCES or request.sub_resource or not request.namespace:
        return Verdict()
    if not updates and request.operation != "CREATE":
        return Verdict()
    workload = read_workload(resource, request.object, request.old_object if updates else None)
    case = _Case(request, resource, workload, updates)
    asked = _asked(case, hosts)
    if len(set(asked.values())) > NAMES_LIMIT:
        fault = forbidden(_spec(case), f"more than {NAMES_LIMIT} different images")
        return _refused(case, [fault])
    project = await annotations(request.namespace)
    resolved = {each: await resolve(each, streams) for each in dict.fromkeys(asked.values())}
    outcomes = {place: resolved[sought] for place, sought in asked.items()}
    if case.executes and EXECUTION_DENIED not in project.get(IGNORE_RULES, "").split(","):
        faults = [forbidden(at.field, PROHIBITED) for at, each in outcomes.items() if each.denied]
        if faults:
            return _refused(case, faults)
    insisted, warning = insisted_on(project)
    patch = [
        operation
        for place in case.workload.places
        for operation in _operations(case, place, outcomes.get(place, UNTOUCHED), insisted)
    ]
    warnings = [warning] if warning and case.sets_policies else []
    return Verdict(patch, warnings=[*warnings, *_missing(resolved.values())])


def _asked(case: _Case, hosts: Collection[str]) -> dict[Place, Sought]:
    """What to look up for each place that this write changed."""
    found: dict[Place, Sought] = {}
    for place in case.workload.places:
        if not place.image_changed:
            continue
        sought = seek(place, case.request.namespace, hosts, resolve_all=case.workload.resolve_all)
        if sought is not None and _matters(case, sought):
            found[place] = sought
    return found


def _matters(case: _Case, sought: Sought) -> bool:
    """Whether the answer could change the verdict.

    A name that would be rewritten, but is not in this object, is pulled from somewhere else: what
    the stream of that name holds says nothing about it.
    """
    if isinstance(sought, ImageSought) or not sought.rewrites:
        return case.executes
    return case.rewrites


def _operations(
    case: _Case, place: Place, outcome: Resolved, insisted: str
) -> Iterator[dict[str, Any]]:
    """The operations of a JSON patch for one place."""
    image = place.image
    if outcome.image and outcome.image != image:
        image = outcome.image
        yield {"op": "replace", "path": f"{place.pointer}/{place.member}", "value": image}
    if place.pull_policy is None or not image or not case.sets_policies:
        return
    if not place.image_changed and not place.policy_changed:
        return
    policy = policy_for(image, place.pull_policy, insisted)
    if policy != place.pull_policy:
        # "add" to a member that is there replaces it (RFC 6902 section 4.1).
        yield {"op": "add", "path": f"{place.pointer}/imagePullPolicy", "value": policy}


def _missing(outcomes: Collection[Resolved]) -> Iterator[str]:
    for each in outcomes:
        if each.missing is not None:
            sought = each.missing
            yield (
                f"image stream {sought.namespace}/{sought.stream} has no image for tag "
                f'"{sought.tag}" yet: pulls fail until it has'
            )


def _spec(case: _Case) -> str:
    return case.workload.places[0].field.partition(".")[0]


def _refused(case: _Case, faults: list[FieldError]) -> Verdict:
    kind = Qualified(case.request.kind.kind, case.request.kind.group)
    return Verdict(refusal=invalid_object(kind, case.request.name, faults))
