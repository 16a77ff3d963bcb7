"""Whether a workload is rolled out, from its own status, as `kubectl rollout status` decides."""

import msgspec

from tidegate.delivery.rollouts.facts import Look

NOT_RUN = "nothing reports on it: the state of workloads takes a cluster that runs them"


class _Condition(msgspec.Struct):
    type: str = ""
    reason: str = ""


class _Metadata(msgspec.Struct):
    generation: int = 0


class _Spec(msgspec.Struct):
    replicas: int | None = None


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    ready_replicas: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: list[_Condition] = []


class _Object(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def ready(kind: str, body: bytes) -> Look:
    """How the object of this kind goes; kinds without a rollout are ready."""
    judge = _KINDS.get(kind)
    if judge is None:
        return Look(True, "")
    try:
        found = msgspec.json.decode(body, type=_Object)
    except msgspec.DecodeError:
        return Look(None, "its status cannot be read")
    if not found.status.observed_generation:
        return Look(None, NOT_RUN)
    if found.status.observed_generation < found.metadata.generation:
        return Look(None, "its controller has not seen the change")
    return judge(found)


def _deployment(found: _Object) -> Look:
    status, wanted = found.status, _wanted(found)
    if any(each.reason == "ProgressDeadlineExceeded" for each in status.conditions):
        return Look(False, "exceeded its progress deadline")
    if status.updated_replicas < wanted:
        return Look(None, f"{status.updated_replicas} of {wanted} replicas are updated")
    if status.replicas > status.updated_replicas:
        return Look(None, f"{status.replicas - status.updated_replicas} old replicas are left")
    if status.available_replicas < status.updated_replicas:
        return Look(None, f"{status.available_replicas} of {wanted} replicas are available")
    return Look(True, "rolled out")


def _stateful_set(found: _Object) -> Look:
    status, wanted = found.status, _wanted(found)
    if status.ready_replicas < wanted:
        return Look(None, f"{status.ready_replicas} of {wanted} replicas are ready")
    if status.update_revision != status.current_revision and status.updated_replicas < wanted:
        return Look(None, f"{status.updated_replicas} of {wanted} replicas are updated")
    return Look(True, "rolled out")


def _daemon_set(found: _Object) -> Look:
    status = found.status
    wanted = status.desired_number_scheduled
    if status.updated_number_scheduled < wanted:
        return Look(None, f"{status.updated_number_scheduled} of {wanted} pods are updated")
    if status.number_available < wanted:
        return Look(None, f"{status.number_available} of {wanted} pods are available")
    return Look(True, "rolled out")


def _wanted(found: _Object) -> int:
    return 1 if found.spec.replicas is None else found.spec.replicas


_KINDS = {"Deployment": _deployment, "StatefulSet": _stateful_set, "DaemonSet": _daemon_set}
