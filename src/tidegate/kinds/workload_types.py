"""The kinds that run pods, and what is known here of their spec and status; see `pod_spec.py`.

As there: what tidegate reads, and the lists that clients merge by a key. The rest is kept as sent.
"""

from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.meta import Object, Open, Time, doc
from tidegate.kinds.pod_spec import PodSpec, PodTemplateSpec


class Condition(Open):
    """One thing that is known of an object."""

    type: Annotated[str, doc("What it is about.")] = ""


class Address(Open):
    """An address of a pod."""

    ip: Annotated[str, doc("The address.")] = ""


class Claimed(Open):
    """A claim of a pod."""

    name: Annotated[str, doc("Name of the claim in the pod.")] = ""


class WorkloadStatus(Open):
    """What somebody reported of the object. Nothing here runs it, so nothing here reports."""

    conditions: Annotated[list[Condition], doc("What is known.", merge_key="type")] = field(
        default_factory=list
    )


class PodStatus(WorkloadStatus):
    """What somebody reported of the pod. Nothing here runs it, so nothing here reports."""

    phase: Annotated[str, doc("Pending, Running, Succeeded, Failed or Unknown.")] = ""
    start_time: Annotated[Time, doc("When it was started.")] = ""
    host_ips: Annotated[list[Address], doc("Addresses of its node.", merge_key="ip")] = field(
        name="hostIPs", default_factory=list
    )
    pod_ips: Annotated[list[Address], doc("Its addresses.", merge_key="ip")] = field(
        name="podIPs", default_factory=list
    )
    resource_claim_statuses: Annotated[list[Claimed], doc("Its claims.", merge_key="name")] = field(
        default_factory=list
    )


class LabelSelector(Open):
    """Which pods belong to an object."""

    match_labels: Annotated[dict[str, str], doc("Labels that they all have.")] = field(
        default_factory=dict
    )


class WorkloadSpec(Open):
    """What is wanted. Fields of Kubernetes that are not listed here are kept as they are."""

    selector: Annotated[LabelSelector | None, doc("The pods that belong to it.", atomic=True)] = (
        None
    )
    template: Annotated[PodTemplateSpec, doc("The pods that are to be made.")] = field(
        default_factory=PodTemplateSpec
    )


class ReplicatedSpec(WorkloadSpec):
    """What is wanted. Fields of Kubernetes that are not listed here are kept as they are."""

    replicas: Annotated[int | None, doc("How many pods are wanted; 1 if not said.")] = None


class DeploymentSpec(ReplicatedSpec):
    """What is wanted. Fields of Kubernetes that are not listed here are kept as they are."""

    paused: Annotated[bool, doc("Whether changes are not to be rolled out.")] = False


class ReplicationControllerSpec(Open):
    """What is wanted. Fields of Kubernetes that are not listed here are kept as they are."""

    replicas: Annotated[int | None, doc("How many pods are wanted; 1 if not said.")] = None
    selector: Annotated[
        dict[str, str], doc("Labels of the pods; those of the template if not said.", atomic=True)
    ] = field(default_factory=dict)
    template: Annotated[PodTemplateSpec, doc("The pods that are to be made.")] = field(
        default_factory=PodTemplateSpec
    )


class JobSpec(WorkloadSpec):
    """What is wanted. Fields of Kubernetes that are not listed here are kept as they are."""

    parallelism: Annotated[int | None, doc("How many pods may run at a time.")] = None
    completions: Annotated[int | None, doc("How many pods have to succeed.")] = None
    suspend: Annotated[bool, doc("Whether no pods are to be made.")] = False


class JobTemplateSpec(Open):
    """The jobs that are to be made."""

    spec: Annotated[JobSpec, doc("What they run.")] = field(default_factory=JobSpec)


class CronJobSpec(Open):
    """What is wanted. Fields of Kubernetes that are not listed here are kept as they are."""

    schedule: Annotated[str, doc("When, in the format of cron.")] = ""
    suspend: Annotated[bool, doc("Whether no jobs are to be made.")] = False
    job_template: Annotated[JobTemplateSpec, doc("The jobs that are to be made.")] = field(
        default_factory=JobTemplateSpec
    )


REPORTED = "What was reported of it; nothing here runs it."


class Pod(Object):
    """Pod is a group of containers. It is kept as a record: nothing here runs it."""

    spec: Annotated[dict[str, Any], doc("What it runs.", shape=PodSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=PodStatus)] = field(default_factory=dict)


class ReplicationController(Object):
    """ReplicationController wants copies of a pod. It is kept as a record: nothing here runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=ReplicationControllerSpec)] = (
        field(default_factory=dict)
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )


class Deployment(Object):
    """Deployment wants copies of a pod, and says how they change. It is kept as a record: nothing
    here runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=DeploymentSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )


class DaemonSet(Object):
    """DaemonSet wants a pod on every node. It is kept as a record: nothing here runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=WorkloadSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )


class ReplicaSet(Object):
    """ReplicaSet wants copies of a pod. It is kept as a record: nothing here runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=ReplicatedSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )


class StatefulSet(Object):
    """StatefulSet wants copies of a pod that are told apart. It is kept as a record: nothing here
    runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=ReplicatedSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )


class Job(Object):
    """Job wants pods that end. It is kept as a record: nothing here runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=JobSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )


class CronJob(Object):
    """CronJob wants jobs at times. It is kept as a record: nothing here runs it."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=CronJobSpec)] = field(
        default_factory=dict
    )
    status: Annotated[dict[str, Any], doc(REPORTED, shape=WorkloadStatus)] = field(
        default_factory=dict
    )
