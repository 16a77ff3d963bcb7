"""Namespace, Project and ProjectRequest: how they are written, printed and checked.

    Active --DELETE--> Terminating --emptied by a controller--> gone

Every Namespace has the finalizer "kubernetes", which only the controller takes off: a project's
end cannot be hurried past its content. Wire forms, names and texts are Kubernetes' and OpenShift's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, Qualified, invalid
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.names import label_faults, qualified_name_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.auth.projects.proxy import proxy_faults

GROUP = "project.openshift.io"

ACTIVE, TERMINATING = "Active", "Terminating"

FINALIZER = "kubernetes"
"""Holds a namespace until it is empty."""

NAME_LABEL = "kubernetes.io/metadata.name"
"""Label of every namespace: its name, for selectors."""

DESCRIPTION = "openshift.io/description"
DISPLAY_NAME = "openshift.io/display-name"
REQUESTER = "openshift.io/requester"

PROJECT = Qualified("project", GROUP)
"""As refusals name one; OpenShift says it in the singular."""

SYSTEM_NAMESPACES = ("default", "kube-public", "kube-system", "openshift", "openshift-config")
"""Namespaces that are always there."""

_STANDARD_FINALIZERS = (FINALIZER, "orphan", "foregroundDeletion")
_EDITABLE = (DESCRIPTION, DISPLAY_NAME)


class NamespaceSpec(Wire):
    """What a namespace waits for before it goes."""

    finalizers: Annotated[
        list[str],
        doc("What has to be done before the namespace goes.", list_type="atomic"),
    ] = field(default_factory=list)


class NamespaceCondition(Wire):
    """One thing that is to be said about a namespace on its way out."""

    type: Annotated[str, doc("What is said, such as NamespaceContentRemaining.")] = ""
    status: Annotated[str, doc("True, False or Unknown.")] = ""
    last_transition_time: Annotated[Time, doc("Since when it is so.")] = ""
    reason: Annotated[str, doc("Why, in one word.")] = ""
    message: Annotated[str, doc("Why, for people.")] = ""


class NamespaceStatus(Wire):
    """Where a namespace is in its life."""

    phase: Annotated[str, doc("Active, or Terminating while it is being deleted.")] = ""
    conditions: Annotated[
        list[NamespaceCondition], doc("What is to be said about it.", merge_key="type")
    ] = field(default_factory=list)


class Namespace(Object):
    """Namespace provides a scope for names.

    A project is a namespace; the first part of a repository's name is its project.
    """

    spec: Annotated[NamespaceSpec, doc("What the namespace waits for.")] = field(
        default_factory=NamespaceSpec
    )
    status: Annotated[NamespaceStatus, doc("Where it is in its life.")] = field(
        default_factory=NamespaceStatus
    )


class ProjectSpec(NamespaceSpec):
    """What a project waits for before it goes."""


class ProjectStatus(NamespaceStatus):
    """Where a project is in its life."""


class Project(Object):
    """Project is a namespace as its members see it: the unit of isolation and collaboration.

    Listing projects shows those that one may get. Users make projects by a ProjectRequest.
    """

    spec: Annotated[ProjectSpec, doc("What the project waits for.")] = field(
        default_factory=ProjectSpec
    )
    status: Annotated[ProjectStatus, doc("Where it is in its life.")] = field(
        default_factory=ProjectStatus
    )


class ProjectRequest(Object):
    """ProjectRequest asks for a project, whose administrator the requester becomes."""

    display_name: Annotated[str, doc("The name that people read.")] = ""
    description: Annotated[str, doc("What the project is for.")] = ""


def namespace_name_fault(name: str) -> str | None:
    faults = label_faults(name)
    return faults[0] if faults else None


def project_name_fault(name: str) -> str | None:
    if len(name) < 2:
        return "must be at least 2 characters long"
    return namespace_name_fault(name)


def may_go(namespace: Namespace) -> bool:
    """Whether a namespace can go as far as spec.finalizers say: never before it was emptied."""
    return bool(namespace.metadata.deletion_timestamp) and not namespace.spec.finalizers


def terminate(namespace: Namespace) -> None:
    """What a namespace becomes when its deletion begins."""
    namespace.status.phase = TERMINATING


def prepare_namespace(new: Namespace, old: Namespace | None) -> None:
    """Spec and status of a namespace belong to its subresources."""
    if old is None:
        if FINALIZER not in new.spec.finalizers:
            new.spec.finalizers = [*new.spec.finalizers, FINALIZER]
        new.status = NamespaceStatus(phase=ACTIVE)
    else:
        new.spec, new.status = old.spec, old.status
    _label(new)


def _label(new: Namespace) -> None:
    if new.metadata.name:
        new.metadata.labels = {**new.metadata.labels, NAME_LABEL: new.metadata.name}


def _prepare_status(new: Namespace, old: Namespace | None) -> None:
    _label(new)
    if old is not None:
        new.spec = old.spec


def _prepare_finalizers(new: Namespace, old: Namespace | None) -> None:
    _label(new)
    if old is None:
        return
    new.status = old.status
    if FINALIZER in old.spec.finalizers and FINALIZER not in new.spec.finalizers:
        new.spec.finalizers = [*new.spec.finalizers, FINALIZER]


def _validate_namespace(new: Namespace, _old: Namespace | None) -> Sequence[FieldError]:
    faults = list(proxy_faults(new.metadata.annotations))
    for each in new.spec.finalizers:
        faults += [invalid("spec.finalizers", each, why) for why in qualified_name_faults(each)]
        if "/" not in each and each not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            faults.append(invalid("spec.finalizers", each, why))
    return faults


def _validate_status(new: Namespace, _old: Namespace | None) -> Sequence[FieldError]:
    phase = new.status.phase
    if not new.metadata.deletion_timestamp:
        if phase != ACTIVE:
            why = "may only be 'Active' if `deletionTimestamp` is empty"
            return [invalid("status.Phase", phase, why)]
    elif phase != TERMINATING:
        why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        return [invalid("status.Phase", phase, why)]
    return ()


def _validate_project(new: Project, old: Project | None) -> Sequence[FieldError]:
    annotations = new.metadata.annotations
    shown = annotations.get(DISPLAY_NAME, "")
    faults = []
    if "\n" in shown or "\t" in shown:
        path = f"metadata.annotations[{DISPLAY_NAME}]"
        faults.append(invalid(path, shown, "may not contain a new line or tab"))
    if old is not None:
        before = {k: v for k, v in old.metadata.annotations.items() if k not in _EDITABLE}
        after = {k: v for k, v in annotations.items() if k not in _EDITABLE}
        faults += _fixed("metadata.annotations", after, before)
        faults += _fixed("metadata.labels", new.metadata.labels, old.metadata.labels)
    return faults


def _fixed(path: str, new: Mapping[str, str], old: Mapping[str, str]) -> list[FieldError]:
    """A project's members may not change what others rely on."""
    why = "field is immutable, try updating the namespace"
    return [
        invalid(f"{path}[{key}]", new.get(key, old.get(key)), why)
        for key in dict.fromkeys((*new, *old))
        if new.get(key) != old.get(key)
    ]


def _prepare_project(new: Project, old: Project | None) -> None:
    if old is not None:
        new.spec, new.status = old.spec, old.status


def _validate_request(new: ProjectRequest, _old: ProjectRequest | None) -> Sequence[FieldError]:
    return _validate_project(Project(metadata=new.metadata), None)


_READ_WRITE = ("create", "delete", "get", "list", "patch", "update", "watch")

NAMESPACES = Resource(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    type=Namespace,
    namespaced=False,
    verbs=_READ_WRITE,
    short_names=("ns",),
    columns=(Column("Status", lambda each, _now: each.status.phase, "Where it is in its life."),),
    fields={"status.phase": lambda each: each.status.phase},
    strategy=Strategy(
        name_fault=namespace_name_fault, prepare=prepare_namespace, validate=_validate_namespace
    ),
    subresources={
        "finalize": Subresource(verbs=("update",), kind="Namespace", type=Namespace),
        "status": Subresource(verbs=("get", "patch", "update"), kind="Namespace", type=Namespace),
    },
)

NAMESPACE_STATUS = replace(
    NAMESPACES,
    strategy=Strategy(
        name_fault=namespace_name_fault, prepare=_prepare_status, validate=_validate_status
    ),
)
NAMESPACE_FINALIZERS = replace(
    NAMESPACES,
    strategy=Strategy(
        name_fault=namespace_name_fault, prepare=_prepare_finalizers, validate=_validate_namespace
    ),
)
"""The same documents as they are written through a subresource."""

PROJECTS = Resource(
    group=GROUP,
    version="v1",
    kind="Project",
    plural="projects",
    type=Project,
    namespaced=False,
    verbs=_READ_WRITE,
    age=False,
    columns=(
        Column(
            "Display Name",
            lambda each, _now: each.metadata.annotations.get(DISPLAY_NAME, ""),
            "The name that people read.",
        ),
        Column("Status", lambda each, _now: each.status.phase, "Where it is in its life."),
    ),
    fields={"status.phase": lambda each: each.status.phase},
    strategy=Strategy(
        name_fault=project_name_fault, prepare=_prepare_project, validate=_validate_project
    ),
)

PROJECT_REQUESTS = Resource(
    group=GROUP,
    version="v1",
    kind="ProjectRequest",
    plural="projectrequests",
    type=ProjectRequest,
    namespaced=False,
    verbs=("create", "list"),
    age=False,
    strategy=Strategy(name_fault=project_name_fault, validate=_validate_request),
)
