"""BackgroundJob and ClusterBackgroundJob: what the server has to do, as far as it has come.

Two kinds as with roles: work for a project is in its namespace, where its members see it; work for
the whole registry is the cluster's. Read only: how to cause or stop a piece of work is said by
the object that it comes from.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.durations import epoch_seconds, human
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Column, Resource
from tidegate.metastore.jobs import Job
from tidegate.observability.timestamp import rfc3339_seconds

GROUP, VERSION = "tidegate.io", "v1"

SCHEDULED, WAITING, RUNNING, RETRYING, FINISHED = STATES = (
    "Scheduled",
    "Waiting",
    "Running",
    "Retrying",
    "Finished",
)


class BackgroundJobSpec(Wire):
    """What is to be done."""

    kind: Annotated[
        str, doc("Kind of work: import, scheduled-import, mirror, notification or another.")
    ] = ""
    name: Annotated[str, doc("What it is done to, such as PROJECT/STREAM:TAG.")] = ""
    lane: Annotated[
        str, doc("What it competes for with other work, such as the host of a registry.")
    ] = ""


class BackgroundJobProgress(Wire):
    """How far it is."""

    done: Annotated[int, doc("Pieces that are done.")] = field(default_factory=int)
    total: Annotated[int, doc("Pieces that there are; 0 when that is not known.")] = field(
        default_factory=int
    )


class BackgroundJobStatus(Wire):
    """How it stands."""

    state: Annotated[
        str,
        doc(
            "Scheduled (its time has not come), Waiting (for its turn), Running, Retrying (after a"
            " failure) or Finished."
        ),
    ] = ""
    progress: Annotated[BackgroundJobProgress, doc("How far it is.")] = field(
        default_factory=BackgroundJobProgress
    )
    due: Annotated[Time, doc("When it is to be done next.")] = ""
    started: Annotated[Time, doc("When it was begun last.")] = ""
    finished: Annotated[Time, doc("When it last ended, well or not.")] = ""
    attempts: Annotated[int, doc("Failures in a row.")] = 0
    error: Annotated[str, doc("What the last of them was.")] = ""


class BackgroundJob(Object):
    """BackgroundJob shows a piece of work that the server does for a project."""

    spec: Annotated[BackgroundJobSpec, doc("What is to be done.")] = field(
        default_factory=BackgroundJobSpec
    )
    status: Annotated[BackgroundJobStatus, doc("How it stands.")] = field(
        default_factory=BackgroundJobStatus
    )


class ClusterBackgroundJob(BackgroundJob):
    """ClusterBackgroundJob shows a piece of work that the server does for the whole registry."""


def _progress(job: BackgroundJob, _now: float) -> str:
    progress = job.status.progress
    if progress.total:
        return f"{progress.done}/{progress.total}"
    return str(progress.done) if progress.done else ""


def _due(job: BackgroundJob, now: float) -> str:
    if not job.status.due:
        return ""
    seconds = epoch_seconds(job.status.due) - now
    return f"in {human(seconds)}" if seconds > 0 else f"{human(-seconds)} ago"


_FIELDS: Mapping[str, Callable[[BackgroundJob], str]] = {
    "spec.kind": lambda each: each.spec.kind,
    "spec.lane": lambda each: each.spec.lane,
    "status.state": lambda each: each.status.state,
}

_COLUMNS = (
    Column("Kind", lambda each, _now: each.spec.kind, "Kind of work."),
    Column("Lane", lambda each, _now: each.spec.lane, "What it competes for."),
    Column("State", lambda each, _now: each.status.state, "How it stands."),
    Column("Progress", _progress, "How far it is."),
    Column("Due", _due, "When it is to be done next."),
    Column("Error", lambda each, _now: each.status.error, "What the last failure was."),
)

BACKGROUND_JOBS: Resource[BackgroundJob] = Resource(
    group=GROUP,
    version=VERSION,
    kind="BackgroundJob",
    plural="backgroundjobs",
    type=BackgroundJob,
    namespaced=True,
    short_names=("bgjob",),
    verbs=("get", "list"),
    columns=_COLUMNS,
    fields=_FIELDS,
)
CLUSTER_BACKGROUND_JOBS: Resource[BackgroundJob] = Resource(
    group=GROUP,
    version=VERSION,
    kind="ClusterBackgroundJob",
    plural="clusterbackgroundjobs",
    type=ClusterBackgroundJob,
    namespaced=False,
    short_names=("cbgjob",),
    verbs=("get", "list"),
    columns=_COLUMNS,
    fields=_FIELDS,
)


def shown(resource: Resource[BackgroundJob], job: Job, revision: int, now: float) -> BackgroundJob:
    """A row as an object."""
    made: Any = resource.type(api_version=resource.api_version, kind=resource.kind)
    shown: BackgroundJob = made
    shown.metadata.name = object_name(job)
    shown.metadata.namespace = job.project
    shown.metadata.creation_timestamp = rfc3339_seconds(job.created_at)
    shown.metadata.resource_version = str(revision)
    shown.spec = BackgroundJobSpec(job.kind, job.name, job.lane)
    shown.status = BackgroundJobStatus(
        state_of(job, now),
        BackgroundJobProgress(job.done, job.total),
        _time(_due_at(job, now)),
        _time(job.started_at),
        _time(job.finished_at),
        job.attempts,
        job.error,
    )
    return shown


def _due_at(job: Job, now: float) -> float | None:
    """When it is to be done next; while it is being done, only what comes after that."""
    if not job.holder:
        return job.due_at
    return job.again_at if job.again_at is not None and job.again_at > now else None


def state_of(job: Job, now: float) -> str:
    """See `BackgroundJobStatus.state`; what was left behind by a killed process waits."""
    if job.holder and job.lease_until > now:
        return RUNNING
    if job.due_at is None:
        return FINISHED
    if job.due_at <= now:
        return WAITING
    return RETRYING if job.attempts else SCHEDULED


def object_name(job: Job) -> str:
    """The name of the object: the kind and, within its project, what the work is done to."""
    return f"{job.kind}:{job.name.removeprefix(f'{job.project}/')}".replace("/", "|")


def job_names(namespace: str, name: str) -> list[tuple[str, str]]:
    """The kinds and names of jobs that may be shown under the name of an object."""
    kind, _, rest = name.replace("|", "/").partition(":")
    return [(kind, f"{namespace}/{rest}"), (kind, rest)] if namespace else [(kind, rest)]


def _time(moment: float | None) -> str:
    return "" if moment is None else rfc3339_seconds(moment)
