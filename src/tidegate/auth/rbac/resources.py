"""The resources of group rbac.authorization.k8s.io, declared."""

from tidegate.apimachinery.durations import since
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.auth.rbac.kinds import (
    GROUP,
    VERSION,
    ClusterRole,
    ClusterRoleBinding,
    Role,
    RoleBinding,
    Subject,
)
from tidegate.auth.rbac.validation import (
    cluster_role_binding_faults,
    cluster_role_faults,
    name_fault,
    prepare_binding,
    prepare_cluster_role,
    role_binding_faults,
    role_faults,
)


def _created(role: Role | ClusterRole, _now: float) -> str:
    return role.metadata.creation_timestamp


def _role(binding: RoleBinding | ClusterRoleBinding, _now: float) -> str:
    return f"{binding.role_ref.kind}/{binding.role_ref.name}"


def _users(binding: RoleBinding | ClusterRoleBinding, _now: float) -> str:
    return ", ".join(each.name for each in binding.subjects if each.kind == "User")


def _groups(binding: RoleBinding | ClusterRoleBinding, _now: float) -> str:
    return ", ".join(each.name for each in binding.subjects if each.kind == "Group")


def _accounts(binding: RoleBinding | ClusterRoleBinding, _now: float) -> str:
    return ", ".join(_account(each) for each in binding.subjects if each.kind == "ServiceAccount")


def _account(subject: Subject) -> str:
    return f"{subject.namespace}/{subject.name}"


def _age(binding: RoleBinding | ClusterRoleBinding, now: float) -> str:
    return since(binding.metadata.creation_timestamp, now)


_CREATED = Column(
    "Created At",
    _created,
    "When the object was made; set by the server.",
    format="date-time",
)

_BINDING_COLUMNS = (
    Column("Role", _role, "The role that is granted."),
    Column("Age", _age, "When the object was made; set by the server."),
    Column("Users", _users, "Users in the binding", priority=1),
    Column("Groups", _groups, "Groups in the binding", priority=1),
    Column("ServiceAccounts", _accounts, "ServiceAccounts in the binding", priority=1),
)

ROLES = Resource(
    group=GROUP,
    version=VERSION,
    kind="Role",
    plural="roles",
    singular="role",
    type=Role,
    namespaced=True,
    columns=(_CREATED,),
    age=False,
    strategy=Strategy(name_fault=name_fault, validate=role_faults, update_creates=True),
)

ROLE_BINDINGS = Resource(
    group=GROUP,
    version=VERSION,
    kind="RoleBinding",
    plural="rolebindings",
    singular="rolebinding",
    type=RoleBinding,
    namespaced=True,
    columns=_BINDING_COLUMNS,
    age=False,
    strategy=Strategy(
        name_fault=name_fault,
        prepare=prepare_binding,
        validate=role_binding_faults,
        update_creates=True,
    ),
)

CLUSTER_ROLES = Resource(
    group=GROUP,
    version=VERSION,
    kind="ClusterRole",
    plural="clusterroles",
    singular="clusterrole",
    type=ClusterRole,
    namespaced=False,
    columns=(_CREATED,),
    age=False,
    strategy=Strategy(
        name_fault=name_fault,
        prepare=prepare_cluster_role,
        validate=cluster_role_faults,
        update_creates=True,
    ),
)

CLUSTER_ROLE_BINDINGS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    singular="clusterrolebinding",
    type=ClusterRoleBinding,
    namespaced=False,
    columns=_BINDING_COLUMNS,
    age=False,
    strategy=Strategy(
        name_fault=name_fault,
        prepare=prepare_binding,
        validate=cluster_role_binding_faults,
        update_creates=True,
    ),
)

RESOURCES = (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES)
"""All of the group."""
