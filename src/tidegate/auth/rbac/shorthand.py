"""Roles in short: how the bootstrap table is written.

A rule is a line, `verbs | groups | resources | names` or `verbs | paths`, words apart by spaces;
`core` is the core API group, and words in capitals stand for several that go together.
"""

from collections.abc import Sequence

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.auth.rbac.kinds import (
    GROUP,
    AggregationRule,
    ClusterRole,
    LabelSelector,
    PolicyRule,
)

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
"""Annotation: "false" keeps what is bootstrapped as the administrator left it."""

DESCRIPTION = "openshift.io/description"

TO = "rbac.authorization.k8s.io/aggregate-to-"
"""What the label begins with that adds a role to admin, edit, view or cluster-reader."""

_BOOTSTRAPPED = {"kubernetes.io/bootstrapping": "rbac-defaults"}

_WORDS = {
    "core": ("",),
    "READ": ("get", "list", "watch"),
    "WRITE": ("create", "delete", "deletecollection", "patch", "update"),
    "IMAGE": ("", "image.openshift.io"),
    "PROJECT": ("", "project.openshift.io"),
    "AUTHZ": ("", "authorization.openshift.io"),
    "USER": ("", "user.openshift.io"),
    "OAUTH": ("", "oauth.openshift.io"),
    "BUILD": ("", "build.openshift.io"),
    "APPS": ("", "apps.openshift.io"),
    "ROUTE": ("", "route.openshift.io"),
    "TEMPLATE": ("", "template.openshift.io"),
    "QUOTA": ("", "quota.openshift.io"),
    "RBAC": (GROUP,),
    "STREAMS": (
        "imagestreamimages",
        "imagestreammappings",
        "imagestreams",
        "imagestreamtags",
        "imagetags",
    ),
}
"""Shorthand for words that go together."""


def _split(text: str) -> list[str]:
    found = [each for word in text.split() for each in _WORDS.get(word, (word,))]
    return sorted(dict.fromkeys(found))


def rule_of(line: str) -> PolicyRule:
    """The rule that a line says, its words in order as Kubernetes stores them."""
    verbs, *rest = line.split("|")
    if len(rest) == 1:
        return PolicyRule(verbs=_split(verbs), non_resource_urls=_split(rest[0]))
    groups, resources, *names = rest
    return PolicyRule(
        verbs=_split(verbs),
        api_groups=_split(groups),
        resources=_split(resources),
        resource_names=_split(names[0]) if names else [],
    )


def bootstrapped(name: str, labels: Sequence[str] = (), description: str = "") -> ObjectMeta:
    """Metadata of an object that every installation has."""
    annotations = {AUTOUPDATE: "true"}
    if description:
        annotations[DESCRIPTION] = description
    return ObjectMeta(
        name=name,
        labels={**_BOOTSTRAPPED, **dict.fromkeys(labels, "true")},
        annotations=annotations,
    )


def cluster_role(
    name: str,
    *lines: str,
    into: str = "",
    labels: Sequence[str] = (),
    description: str = "",
) -> ClusterRole:
    """A ClusterRole; `into` names roles that gather its rules."""
    added = [*(f"{TO}{each}" for each in into.split()), *labels]
    return ClusterRole(
        metadata=bootstrapped(name, added, description), rules=[rule_of(line) for line in lines]
    )


def gathering_role(name: str, *labels: str, into: str = "", description: str = "") -> ClusterRole:
    """A ClusterRole with the rules of those that have any of these labels."""
    selectors = [LabelSelector(match_labels={label: "true"}) for label in labels]
    role = cluster_role(name, into=into, description=description)
    role.aggregation_rule = AggregationRule(cluster_role_selectors=selectors)
    return role
