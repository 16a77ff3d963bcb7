"""The kinds of group rbac.authorization.k8s.io, as they are written and printed.

Wire forms are those of Kubernetes' `rbac/v1`. What makes one of them valid is in `validation`;
what it grants, in `rules` and `index`.
"""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import Object, Wire, doc

GROUP = "rbac.authorization.k8s.io"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"

ANY = "*"
"""Every verb, API group, resource or path."""

MASTERS = "system:masters"
"""The group that Kubernetes' authorizers allow everything, whatever the bindings say."""


class PolicyRule(Wire):
    """What may be done: verbs on resources, or verbs on paths that are no resources."""

    verbs: Annotated[
        list[str], doc("Verbs that apply to all the resources of this rule; '*' is all verbs.")
    ] = field(default_factory=list)
    api_groups: Annotated[
        list[str],
        doc('API groups that contain the resources; "" is the core group, "*" all groups.'),
    ] = field(default_factory=list)
    resources: Annotated[
        list[str],
        doc("Resources this rule applies to; '*' is all, RESOURCE/SUBRESOURCE a subresource."),
    ] = field(default_factory=list)
    resource_names: Annotated[
        list[str], doc("Names that the rule is limited to; without any it applies to all names.")
    ] = field(default_factory=list)
    non_resource_urls: Annotated[
        list[str],
        doc(
            "Paths that are no resources; '*' ends one as a whole last step. Only a ClusterRole "
            "that a ClusterRoleBinding refers to grants them."
        ),
    ] = field(name="nonResourceURLs", default_factory=list)


class LabelSelectorRequirement(Wire):
    """One condition on a label."""

    key: Annotated[str, doc("Label key that the condition is about.")] = ""
    operator: Annotated[str, doc("In, NotIn, Exists or DoesNotExist.")] = ""
    values: Annotated[list[str], doc("Values of In and NotIn; otherwise empty.")] = field(
        default_factory=list
    )


class LabelSelector(Wire):
    """A condition on labels; all of its parts have to hold, and an empty one always does."""

    match_labels: Annotated[dict[str, str], doc("Labels and the values that they must have.")] = (
        field(default_factory=dict)
    )
    match_expressions: Annotated[
        list[LabelSelectorRequirement], doc("Conditions on labels.", list_type="atomic")
    ] = field(default_factory=list)


class AggregationRule(Wire):
    """How the rules of a ClusterRole are gathered from others."""

    cluster_role_selectors: Annotated[
        list[LabelSelector],
        doc("The rules of ClusterRoles that any of these selects are added.", list_type="atomic"),
    ] = field(default_factory=list)


class RoleRef(Wire):
    """The role that a binding grants."""

    api_group: Annotated[str, doc("Group of the role: rbac.authorization.k8s.io.")] = ""
    kind: Annotated[str, doc("Role or ClusterRole.")] = ""
    name: Annotated[str, doc("Name of the role.")] = ""


class Subject(Wire):
    """Who is granted the role: a user, a group or a service account."""

    kind: Annotated[str, doc("User, Group or ServiceAccount.")] = ""
    api_group: Annotated[
        str,
        doc('"" for a ServiceAccount; rbac.authorization.k8s.io, the default, for the others.'),
    ] = ""
    name: Annotated[str, doc("Name of the user, group or service account.")] = ""
    namespace: Annotated[str, doc("Namespace of the service account.")] = ""


class Role(Object):
    """Role is a namespaced, logical grouping of PolicyRules that a RoleBinding can refer to as a
    unit.
    """

    rules: Annotated[list[PolicyRule], doc("All that this Role allows.", list_type="atomic")] = (
        field(default_factory=list)
    )


class ClusterRole(Object):
    """ClusterRole is a cluster level, logical grouping of PolicyRules that a RoleBinding or
    ClusterRoleBinding can refer to as a unit.
    """

    rules: Annotated[
        list[PolicyRule], doc("All that this ClusterRole allows.", list_type="atomic")
    ] = field(default_factory=list)
    aggregation_rule: Annotated[
        AggregationRule | None,
        doc("From which ClusterRoles the rules are gathered; then direct changes of rules go."),
    ] = None


class RoleBinding(Object):
    """RoleBinding grants a role of its namespace, or a ClusterRole, to subjects; it has effect in
    its own namespace only.
    """

    subjects: Annotated[list[Subject], doc("Who is granted the role.", list_type="atomic")] = field(
        default_factory=list
    )
    role_ref: Annotated[RoleRef, doc("The role granted; it cannot be changed.", atomic=True)] = (
        field(default_factory=RoleRef)
    )


class ClusterRoleBinding(Object):
    """ClusterRoleBinding grants a ClusterRole to subjects, in every namespace and beyond."""

    subjects: Annotated[list[Subject], doc("Who is granted the role.", list_type="atomic")] = field(
        default_factory=list
    )
    role_ref: Annotated[
        RoleRef, doc("The ClusterRole granted; it cannot be changed.", atomic=True)
    ] = field(default_factory=RoleRef)
