"""What runs pods, as documents: Pod, ReplicationController, and the kinds of apps and batch.

On a server without a cluster they are records. Nothing starts, schedules or counts a pod; but what
they say which images are in use is heeded: by `oc adm prune images` and `oc adm top images`, and by
whatever points workloads at new images. So `status` is what a client wrote into it, and spec is
kept as it was sent, with as many defaults as kubectl takes for granted. Of Kubernetes' rules those
are checked without which one could not tell which containers there are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.kinds.pod_spec import Json, container_names, images, pod_faults
from tidegate.kinds.workload_types import (
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    Pod,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
)


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of this module, as far as they differ; `pod` is where in its spec the pod is.

    `defaults` fills in a spec; `faults` says what is wrong with a spec that replaces another, or
    with a new one.
    """

    pod: tuple[str, ...] = ("template",)
    fresh: Mapping[str, Any] = field(default_factory=dict)  # the status of a new one
    defaults: Callable[[dict[str, Any]], None] = lambda _spec: None
    faults: Callable[[Json, Json | None], Sequence[FieldError]] = lambda _new, _old: ()

    def pod_of(self, spec: Json) -> Json:
        """The spec of the pod, or of those that are to be made."""
        path = (*self.pod, "spec") if self.pod else ()
        return _at(spec, *path)

    def strategy(self) -> Strategy[Any]:
        """How objects of the kind are written."""

        def prepare(new: Any, old: Any) -> None:
            new.status = dict(self.fresh) if old is None else old.status
            self.defaults(new.spec)

        def validate(new: Any, old: Any) -> Sequence[FieldError]:
            path = ".".join(("spec", *self.pod, "spec") if self.pod else ("spec",))
            before = None if old is None else old.spec
            return [*self.faults(new.spec, before), *pod_faults(self.pod_of(new.spec), path)]

        return Strategy(prepare=prepare, validate=validate, counts_generation=True)

    def columns(self) -> tuple[Column, ...]:
        """What a wide table says of the pods."""

        def shown(cell: Callable[[Json], str]) -> Callable[[Any, float], str]:
            return lambda each, _now: cell(self.pod_of(each.spec))

        return (
            Column("Containers", shown(container_names), "Names of the containers.", priority=1),
            Column("Images", shown(images), "Images of the containers.", priority=1),
        )


def _at(value: Json, *path: str) -> Json:
    """What is at a path; an empty object where there is nothing."""
    for name in path:
        value = value.get(name, {})
    return value


def _labels(spec: Json) -> Mapping[str, str]:
    labels: Mapping[str, str] = _at(spec, "template", "metadata", "labels")
    return labels


def _default_replicas(spec: dict[str, Any]) -> None:
    spec.setdefault("replicas", 1)


def _default_controller(spec: dict[str, Any]) -> None:
    _default_replicas(spec)
    if not spec.get("selector") and _labels(spec):
        spec["selector"] = dict(_labels(spec))


def _default_job(spec: dict[str, Any]) -> None:
    if "parallelism" not in spec:
        spec.setdefault("completions", 1)
        spec["parallelism"] = 1


def _selector_faults(new: Json, old: Json | None) -> Sequence[FieldError]:
    """A selector selects the pods of the template, and stays as it is."""
    selector = new.get("selector")
    if selector is None:
        return [required("spec.selector", "")]
    if not any(selector.get(each) for each in ("matchLabels", "matchExpressions")):
        return [invalid("spec.selector", selector, "empty selector is invalid")]
    faults = []
    labels = _labels(new)
    if not selector.get("matchLabels", {}).items() <= labels.items():
        why = "`selector` does not match template `labels`"
        faults.append(invalid("spec.template.metadata.labels", dict(labels), why))
    if old is not None and old.get("selector") != selector:
        faults.append(invalid("spec.selector", selector, "field is immutable"))
    return faults


def _controller_faults(new: Json, _old: Json | None) -> Sequence[FieldError]:
    selector, labels = new.get("selector"), _labels(new)
    if not selector:
        return [required("spec.selector", "")]
    if selector.items() <= labels.items():
        return ()
    why = "`selector` does not match template `labels`"
    return [invalid("spec.template.metadata.labels", dict(labels), why)]


def _cron_faults(new: Json, _old: Json | None) -> Sequence[FieldError]:
    return () if new.get("schedule") else [required("spec.schedule", "")]


def _in_spec(name: str) -> Callable[[Any], str]:
    return lambda each: each.spec.get(name, "")


def _phase(pod: Pod) -> str:
    phase: str = pod.status.get("phase", "")
    return phase


def _selector(each: Any, _now: float) -> str:
    selector = each.spec.get("selector") or {}
    labels = selector.get("matchLabels", {}) if each.kind != "ReplicationController" else selector
    return ",".join(f"{name}={value}" for name, value in labels.items())


_REPLICAS = Column(
    "Replicas", lambda each, _now: each.spec.get("replicas"), "How many are wanted.", "integer"
)
_SELECTOR = Column("Selector", _selector, "Labels of its pods.", priority=1)

R = TypeVar("R", bound=Object)


def _resource(
    type_: type[R],
    group: str,
    short_name: str,
    workload: Workload,
    *columns: Column,
    fields: Mapping[str, Callable[[R], str]] | None = None,
) -> Resource[R]:
    kind = type_.__name__
    last = [each for each in columns if each.priority]
    return Resource(
        group=group,
        version="v1",
        kind=kind,
        plural=f"{kind.lower()}s",
        type=type_,
        namespaced=True,
        short_names=(short_name,) if short_name else (),
        categories=("all",),
        columns=(*(each for each in columns if not each.priority), *workload.columns(), *last),
        fields=fields or {},
        strategy=workload.strategy(),
        subresources={
            "status": Subresource(verbs=("get", "patch", "update"), kind=kind, type=type_)
        },
    )


_SELECTING = Workload(faults=_selector_faults)
_REPLICATED = replace(_SELECTING, defaults=_default_replicas)

PODS = _resource(
    Pod,
    "",
    "po",
    Workload(pod=(), fresh={"phase": "Pending"}),
    Column("Status", lambda each, _now: _phase(each), "What was reported of it last."),
    Column("Node", lambda each, _now: each.spec.get("nodeName"), "Where it is.", priority=1),
    fields={
        "spec.nodeName": _in_spec("nodeName"),
        "spec.serviceAccountName": _in_spec("serviceAccountName"),
        "status.phase": _phase,
    },
)
"""A new pod is Pending, as in Kubernetes, and stays so until somebody reports something else."""

REPLICATION_CONTROLLERS = _resource(
    ReplicationController,
    "",
    "rc",
    Workload(defaults=_default_controller, faults=_controller_faults),
    _REPLICAS,
    _SELECTOR,
)
DEPLOYMENTS = _resource(Deployment, "apps", "deploy", _REPLICATED, _REPLICAS, _SELECTOR)
DAEMON_SETS = _resource(DaemonSet, "apps", "ds", _SELECTING, _SELECTOR)
REPLICA_SETS = _resource(ReplicaSet, "apps", "rs", _REPLICATED, _REPLICAS, _SELECTOR)
STATEFUL_SETS = _resource(StatefulSet, "apps", "sts", _REPLICATED, _REPLICAS, _SELECTOR)
JOBS = _resource(Job, "batch", "", Workload(defaults=_default_job))
CRON_JOBS = _resource(
    CronJob,
    "batch",
    "cj",
    Workload(pod=("jobTemplate", "spec", "template"), faults=_cron_faults),
    Column("Schedule", lambda each, _now: each.spec.get("schedule"), "When, as cron has it."),
    Column(
        "Suspend", lambda each, _now: bool(each.spec.get("suspend")), "Whether it waits.", "boolean"
    ),
)

WORKLOADS: tuple[Resource[Any], ...] = (
    PODS,
    REPLICATION_CONTROLLERS,
    DEPLOYMENTS,
    DAEMON_SETS,
    REPLICA_SETS,
    STATEFUL_SETS,
    JOBS,
    CRON_JOBS,
)
"""Every kind that runs pods."""


def _prepare_status(new: Any, old: Any) -> None:
    if old is not None:
        new.spec = old.spec


def status_of(workload: Resource[Any]) -> Resource[Any]:
    """The same documents as they are written through `status`."""
    return replace(workload, strategy=Strategy(prepare=_prepare_status))
