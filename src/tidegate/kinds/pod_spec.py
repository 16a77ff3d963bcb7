"""What is known here of a pod and of templates of pods: images, and how lists in them are merged.

Nothing here runs a pod. So only that is declared which tidegate reads, beside the lists that
clients of Kubernetes merge by a key: kubectl takes the keys from its own knowledge of these kinds,
and sends one element where it means the list. Invariant: every list that Kubernetes merges in a pod
is declared, with its key; everything else is kept as it was sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.errors import FieldError, duplicate, invalid, required
from tidegate.apimachinery.meta import ObjectMeta, Open, doc
from tidegate.apimachinery.names import label_faults

Json = Mapping[str, Any]


class Named(Open):
    """Something in a pod, by its name."""

    name: Annotated[str, doc("Its name, unique in the list.")] = ""


class ContainerPort(Open):
    """A port of a container."""

    container_port: Annotated[int, doc("Number of the port.", format="int32")] = 0
    protocol: Annotated[str, doc("TCP, UDP or SCTP.")] = ""


class VolumeMount(Open):
    """Where a volume is in a container."""

    mount_path: Annotated[str, doc("Path in the container.")] = ""
    name: Annotated[str, doc("Name of the volume.")] = ""


class VolumeDevice(Open):
    """A volume as a block device of a container."""

    device_path: Annotated[str, doc("Path of the device in the container.")] = ""
    name: Annotated[str, doc("Name of the volume.")] = ""


class Container(Open):
    """A container of a pod."""

    name: Annotated[str, doc("Name of the container, unique in the pod.")] = ""
    image: Annotated[str, doc("The image that it would run.")] = ""
    image_pull_policy: Annotated[str, doc("Always, IfNotPresent or Never.")] = ""
    env: Annotated[list[Named], doc("Environment variables.", merge_key="name")] = field(
        default_factory=list
    )
    ports: Annotated[
        list[ContainerPort],
        doc("Ports.", merge_key="containerPort", keys=("containerPort", "protocol")),
    ] = field(default_factory=list)
    volume_mounts: Annotated[
        list[VolumeMount], doc("Volumes that it sees.", merge_key="mountPath")
    ] = field(default_factory=list)
    volume_devices: Annotated[list[VolumeDevice], doc("Block devices.", merge_key="devicePath")] = (
        field(default_factory=list)
    )


class HostAlias(Open):
    """Names of an address."""

    ip: Annotated[str, doc("The address.")] = ""


class TopologySpreadConstraint(Open):
    """How pods are spread."""

    topology_key: Annotated[str, doc("The label of nodes that pods are spread over.")] = ""
    when_unsatisfiable: Annotated[str, doc("DoNotSchedule or ScheduleAnyway.")] = ""


class PodSpec(Open):
    """What a pod runs. Fields of Kubernetes that are not listed here are kept as they are."""

    containers: Annotated[list[Container], doc("The containers.", merge_key="name")] = field(
        default_factory=list
    )
    init_containers: Annotated[
        list[Container], doc("Containers that run before.", merge_key="name")
    ] = field(default_factory=list)
    ephemeral_containers: Annotated[
        list[Container], doc("Containers that were added to look into it.", merge_key="name")
    ] = field(default_factory=list)
    image_pull_secrets: Annotated[
        list[Named], doc("Secrets with which images are pulled.", merge_key="name")
    ] = field(default_factory=list)
    service_account_name: Annotated[str, doc("The service account that it runs as.")] = ""
    node_name: Annotated[str, doc("The node that it runs on.")] = ""
    volumes: Annotated[list[Named], doc("The volumes.", merge_key="name")] = field(
        default_factory=list
    )
    host_aliases: Annotated[
        list[HostAlias], doc("Names that it resolves by itself.", merge_key="ip")
    ] = field(default_factory=list)
    topology_spread_constraints: Annotated[
        list[TopologySpreadConstraint],
        doc(
            "How it is spread among others.",
            merge_key="topologyKey",
            keys=("topologyKey", "whenUnsatisfiable"),
        ),
    ] = field(default_factory=list)
    scheduling_gates: Annotated[
        list[Named], doc("What has to be gone before it is scheduled.", merge_key="name")
    ] = field(default_factory=list)
    eviction_responders: Annotated[
        list[Named], doc("Who is asked before it is evicted.", merge_key="name")
    ] = field(default_factory=list)
    resource_claims: Annotated[list[Named], doc("Claims of devices.", merge_key="name")] = field(
        default_factory=list
    )


class PodTemplateSpec(Open):
    """The pods that are to be made."""

    metadata: Annotated[ObjectMeta, doc("Labels and annotations of the pods.")] = field(
        default_factory=ObjectMeta
    )
    spec: Annotated[PodSpec, doc("What they run.")] = field(default_factory=PodSpec)


def containers(pod: Json) -> Iterator[tuple[str, Json]]:
    """The containers that a pod's spec starts with, each with its path below the spec."""
    for member in ("initContainers", "containers"):
        for index, each in enumerate(pod.get(member, ())):
            yield f"{member}[{index}]", each


def images(pod: Json) -> str:
    """The images of a pod's containers as one cell."""
    return ",".join(each.get("image", "") for each in pod.get("containers", ()))


def container_names(pod: Json) -> str:
    """The names of a pod's containers as one cell."""
    return ",".join(each.get("name", "") for each in pod.get("containers", ()))


def pod_faults(pod: Json, path: str) -> Sequence[FieldError]:
    """What is wrong with the containers of a pod's spec, which is at `path`."""
    faults = [] if pod.get("containers") else [required(f"{path}.containers", "")]
    names: set[str] = set()
    for place, container in containers(pod):
        name, here = container.get("name", ""), f"{path}.{place}"
        if not name:
            faults.append(required(f"{here}.name", ""))
        elif problems := label_faults(name):
            faults += [invalid(f"{here}.name", name, why) for why in problems]
        elif name in names:
            faults.append(duplicate(f"{here}.name", name))
        names.add(name)
        if not container.get("image"):
            faults.append(required(f"{here}.image", ""))
    return faults
