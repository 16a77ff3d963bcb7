"""What every installation and every namespace begins with: bindings, and who has what at first.

Names and subjects are those of Kubernetes and OpenShift. The ClusterRoles are in `bootstrap_roles`;
`reconciliation` brings all of it into a store.
"""

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.auth.rbac.kinds import (
    GROUP,
    MASTERS,
    ClusterRoleBinding,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from tidegate.auth.rbac.shorthand import DESCRIPTION, bootstrapped, rule_of

SHARED = "openshift"
"""The namespace whose images everybody who logged in may pull."""

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
OAUTH = "system:authenticated:oauth"
"""Users who logged in; service accounts are authenticated, but not so."""

_EVERYBODY = f"{AUTHENTICATED} {UNAUTHENTICATED}"

_CLUSTER_BINDINGS = (
    # name, ClusterRole, groups
    ("cluster-admin", "cluster-admin", MASTERS),
    ("cluster-admins", "cluster-admin", "system:cluster-admins"),
    ("cluster-readers", "cluster-reader", "system:cluster-readers"),
    ("basic-users", "basic-user", AUTHENTICATED),
    ("system:basic-user", "system:basic-user", AUTHENTICATED),
    ("self-provisioners", "self-provisioner", OAUTH),
    ("self-access-reviewers", "self-access-reviewer", _EVERYBODY),
    ("cluster-status-binding", "cluster-status", AUTHENTICATED),
    ("system:discovery", "system:discovery", AUTHENTICATED),
    ("system:openshift:discovery", "system:openshift:discovery", AUTHENTICATED),
    (
        "system:public-info-viewer",
        "system:public-info-viewer",
        _EVERYBODY,
    ),
    (
        "system:openshift:public-info-viewer",
        "system:openshift:public-info-viewer",
        _EVERYBODY,
    ),
    (
        "system:oauth-token-deleters",
        "system:oauth-token-deleter",
        _EVERYBODY,
    ),
    (
        "system:openshift:useroauthaccesstoken-manager",
        "system:openshift:useroauthaccesstoken-manager",
        OAUTH,
    ),
    (
        "system:scope-impersonation",
        "system:scope-impersonation",
        _EVERYBODY,
    ),
    (
        "system:service-account-issuer-discovery",
        "system:service-account-issuer-discovery",
        "system:serviceaccounts",
    ),
)


def cluster_role_bindings() -> list[ClusterRoleBinding]:
    """The ClusterRoleBindings."""
    return [
        ClusterRoleBinding(
            metadata=bootstrapped(name),
            subjects=[group(each) for each in groups.split()],
            role_ref=cluster_role_ref(role),
        )
        for name, role, groups in _CLUSTER_BINDINGS
    ]


def roles() -> list[Role]:
    """The Roles: what everybody may see of the namespace `openshift`."""
    lines = (
        "READ | TEMPLATE | templates",
        "READ | IMAGE | imagestreamimages imagestreams imagestreamtags imagetags",
        # Here: OpenShift has no such subresource.
        "get | image.openshift.io | imagestreamtags/history",
        "get | IMAGE | imagestreams/layers",
        "get | core | configmaps",  # the message of the day
    )
    metadata = bootstrapped("shared-resource-viewer")
    metadata.namespace = SHARED
    return [Role(metadata=metadata, rules=[rule_of(line) for line in lines])]


def role_bindings() -> list[RoleBinding]:
    """The RoleBindings of those."""
    metadata = bootstrapped("shared-resource-viewers")
    metadata.namespace = SHARED
    ref = RoleRef(api_group=GROUP, kind="Role", name="shared-resource-viewer")
    return [RoleBinding(metadata=metadata, subjects=[group(AUTHENTICATED)], role_ref=ref)]


_MANAGED = "It is auto-managed by a controller; remove subjects to disable."


def namespace_bindings(namespace: str) -> list[RoleBinding]:
    """What each namespace has from the start: its pods pull, its builds push, deployers deploy."""
    pullers = group(f"system:serviceaccounts:{namespace}")
    builder = Subject(kind="ServiceAccount", name="builder", namespace=namespace)
    deployer = Subject(kind="ServiceAccount", name="deployer", namespace=namespace)
    return [
        _namespace_binding(namespace, f"{role}s", role, subject, f"{what}  {_MANAGED}")
        for role, subject, what in (
            (
                "system:image-puller",
                pullers,
                "Allows all pods in this namespace to pull images from this namespace.",
            ),
            (
                "system:image-builder",
                builder,
                "Allows builds in this namespace to push images to this namespace.",
            ),
            (
                "system:deployer",
                deployer,
                "Allows deploymentconfigs in this namespace to rollout pods in this namespace.",
            ),
        )
    ]


def _namespace_binding(
    namespace: str, name: str, role: str, subject: Subject, description: str
) -> RoleBinding:
    return RoleBinding(
        metadata=ObjectMeta(name=name, namespace=namespace, annotations={DESCRIPTION: description}),
        subjects=[subject],
        role_ref=cluster_role_ref(role),
    )


def cluster_role_ref(name: str) -> RoleRef:
    return RoleRef(api_group=GROUP, kind="ClusterRole", name=name)


def group(name: str) -> Subject:
    return Subject(kind="Group", api_group=GROUP, name=name)


def user(name: str) -> Subject:
    return Subject(kind="User", api_group=GROUP, name=name)
