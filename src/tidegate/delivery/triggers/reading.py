"""From the JSON of an object to a `Workload`: which kinds there are, and where each has its pod.

Reads only the fields that it needs, so that an object of any version and with any other field goes
through. An object without triggers costs a search for their name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from tidegate.delivery.triggers.annotation import (
    ANNOTATION,
    AnnotationInvalid,
    Entry,
    FieldPathInvalid,
    Selected,
    entries_of,
    selected,
    source_of,
)
from tidegate.delivery.triggers.openshift_triggers import build_triggers, deployment_triggers
from tidegate.delivery.triggers.pod import Container, Metadata, Pod, at, pod_at
from tidegate.delivery.triggers.workload import (
    BuildTrigger,
    Place,
    Source,
    Trigger,
    Workload,
    WorkloadKey,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind that can have triggers; `pod` is where in it the template of its pods is."""

    group: str
    version: str
    plural: str
    kind: str
    pod: tuple[str, ...] = ("spec", "template")
    marker: bytes = ANNOTATION.encode()  # without which an object has no triggers
    openshift: bool = False

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"


ANNOTATED = (
    Shape("apps", "v1", "deployments", "Deployment"),
    Shape("apps", "v1", "statefulsets", "StatefulSet"),
    Shape("apps", "v1", "daemonsets", "DaemonSet"),
    Shape("batch", "v1", "cronjobs", "CronJob", ("spec", "jobTemplate", "spec", "template")),
)
DEPLOYMENT_CONFIGS = Shape(
    "apps.openshift.io",
    "v1",
    "deploymentconfigs",
    "DeploymentConfig",
    marker=b"imageChangeParams",
    openshift=True,
)
BUILD_CONFIGS = Shape(
    "build.openshift.io",
    "v1",
    "buildconfigs",
    "BuildConfig",
    marker=b"imageChange",
    openshift=True,
)
SHAPES: Mapping[str, Shape] = {
    each.resource: each for each in (*ANNOTATED, DEPLOYMENT_CONFIGS, BUILD_CONFIGS)
}
"""Every kind that can have triggers, by resource."""


class _Object(msgspec.Struct):
    metadata: Metadata | None = None


class WorkloadUnreadable(ValueError):
    """An object a field of which has another type than it should."""


def workload_of(shape: Shape, body: bytes) -> Workload | None:
    """The workload in an object; None for one without triggers, or that is going.

    `WorkloadUnreadable` for what is no object of the kind.
    """
    if shape.marker not in body:
        return None
    try:
        metadata = msgspec.json.decode(body, type=_Object).metadata or Metadata()
        if metadata.deletion_timestamp:
            return None
        known = partial(_workload, shape, metadata)
        if shape is BUILD_CONFIGS:
            builds = build_triggers(body, metadata.namespace)
            return known(builds=builds) if builds else None
        pod = pod_at(at(body, shape.pod))
        known = partial(known, account=pod.account)
        if shape is DEPLOYMENT_CONFIGS:
            triggers = deployment_triggers(body, metadata.namespace, pod)
            return known(triggers=triggers) if triggers else None
        return _annotated(known, shape, metadata, pod)
    except RecursionError as error:
        raise WorkloadUnreadable("the object is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorkloadUnreadable(f"the object cannot be read: {error}") from error


def _workload(
    shape: Shape,
    metadata: Metadata,
    *,
    account: str = "default",
    triggers: tuple[Trigger, ...] = (),
    builds: tuple[BuildTrigger, ...] = (),
    fault: str = "",
) -> Workload:
    return Workload(
        key=WorkloadKey(shape.resource, metadata.namespace, metadata.name),
        api_version=shape.api_version,
        kind=shape.kind,
        uid=metadata.uid,
        version=metadata.resource_version,
        labels=metadata.labels or {},
        account=account,
        triggers=triggers,
        builds=builds,
        fault=fault,
    )


def _annotated(
    known: Callable[..., Workload], shape: Shape, metadata: Metadata, pod: Pod
) -> Workload | None:
    text = (metadata.annotations or {}).get(ANNOTATION)
    if not text:
        return None
    try:
        entries = entries_of(text)
        triggers = _triggers(entries, ".".join((*shape.pod, "spec")), metadata.namespace, pod)
    except AnnotationInvalid as error:
        return known(fault=f"the annotation {ANNOTATION} is ignored: {error}")
    except FieldPathInvalid as error:
        return known(fault=str(error))
    return known(triggers=triggers) if triggers else None


def _triggers(entries: Sequence[Entry], path: str, namespace: str, pod: Pod) -> tuple[Trigger, ...]:
    """The triggers that are not paused; one that is wrong leaves the object as it is."""
    found: dict[Source, list[Place]] = {}
    for entry in entries:
        source = source_of(entry, namespace)
        if source is None:
            continue
        selection = selected(entry.fieldPath or "", path)
        if selection is None:
            continue
        container = container_of(selection, pod)
        pointer = "/" + "/".join((*path.split("."), container.list_name, str(container.index)))
        found.setdefault(source, []).append(
            Place(f"{pointer}/image", container.name, container.image, container.has_image)
        )
    return tuple(Trigger(source, tuple(places)) for source, places in found.items())


def container_of(selection: Selected, pod: Pod) -> Container:
    """The container that is selected; a name is looked for among all of them."""
    if selection.name:
        for each in pod.containers:
            if each.name == selection.name:
                return each
        raise FieldPathInvalid(f"there is no container {selection.name[:100]!r}")
    for each in pod.containers:
        if (each.initial, each.index) == (selection.initial, selection.position):
            return each
    raise FieldPathInvalid(f"there is no container at index {selection.position}")
