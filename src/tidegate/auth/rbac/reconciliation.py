"""Bringing the stored roles and bindings to what `bootstrap` says, without taking anything away.

It runs at every start, so a new version's rules reach old installations. What an administrator
added stays; what she took away comes back, unless she set the annotation `autoupdate` to "false".
"""

from collections.abc import Sequence
from typing import TypeVar

from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.rbac import bootstrap
from tidegate.auth.rbac.bootstrap_roles import cluster_roles
from tidegate.auth.rbac.gathering import store_gathered
from tidegate.auth.rbac.kinds import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    Subject,
)
from tidegate.auth.rbac.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate.auth.rbac.rules import compacted, uncovered
from tidegate.auth.rbac.shorthand import AUTOUPDATE
from tidegate.auth.stored import put, put_new, read

K = TypeVar("K", bound=Object)

B = TypeVar("B", RoleBinding, ClusterRoleBinding)


def reconcile(tx: DocumentTransaction, now: float) -> None:
    """Create what is missing and add what is missing in the rest; namespaces are not made.

    A unit of work, or part of one; `now` is in seconds since the epoch. Doing it again changes
    nothing.
    """
    for cluster_role in cluster_roles():
        _reconcile_cluster_role(tx, cluster_role, now)
    for role in bootstrap.roles():
        _reconcile_role(tx, role, now)
    for cluster_binding in bootstrap.cluster_role_bindings():
        _reconcile_binding(tx, CLUSTER_ROLE_BINDINGS, cluster_binding, now)
    for binding in bootstrap.role_bindings():
        _reconcile_binding(tx, ROLE_BINDINGS, binding, now)
    store_gathered(tx)


def bind_namespace(tx: DocumentTransaction, namespace: str, now: float) -> None:
    """Make those of a namespace's default bindings that are missing."""
    for binding in bootstrap.namespace_bindings(namespace):
        if _find(tx, ROLE_BINDINGS, binding) is None:
            put_new(tx, ROLE_BINDINGS, binding, now)


def grant_cluster_admin(tx: DocumentTransaction, user: str, now: float) -> None:
    """Bind a user to cluster-admin, by a binding of her own."""
    name = f"cluster-admin-{user}"
    wanted = ClusterRoleBinding(
        metadata=ObjectMeta(name=name),
        subjects=[bootstrap.user(user)],
        role_ref=bootstrap.cluster_role_ref("cluster-admin"),
    )
    _reconcile_binding(tx, CLUSTER_ROLE_BINDINGS, wanted, now)


def _find(tx: DocumentTransaction, resource: Resource[K], wanted: K) -> K | None:
    metadata = wanted.metadata
    found = tx.get(Key(resource.key, metadata.namespace, metadata.name))
    return None if found is None else read(resource, found)


def _reconcile_cluster_role(tx: DocumentTransaction, wanted: ClusterRole, now: float) -> None:
    found = _find(tx, CLUSTER_ROLES, wanted)
    if found is None:
        put_new(tx, CLUSTER_ROLES, wanted, now)
    elif not _is_protected(found):
        changed = _add_metadata(found, wanted)
        if wanted.aggregation_rule is None:
            changed |= _add_rules(found.rules, wanted.rules)
        else:
            changed |= _add_selectors(found, wanted)
        if changed:
            put(tx, CLUSTER_ROLES, found)


def _reconcile_role(tx: DocumentTransaction, wanted: Role, now: float) -> None:
    found = _find(tx, ROLES, wanted)
    if found is None:
        put_new(tx, ROLES, wanted, now)
    elif not _is_protected(found) and (
        _add_metadata(found, wanted) | _add_rules(found.rules, wanted.rules)
    ):
        put(tx, ROLES, found)


def _reconcile_binding(
    tx: DocumentTransaction, resource: Resource[B], wanted: B, now: float
) -> None:
    found = _find(tx, resource, wanted)
    if found is None:
        put_new(tx, resource, wanted, now)
    elif _is_protected(found):
        return
    elif found.role_ref != wanted.role_ref:  # it cannot change, so another takes its place
        tx.delete(Key(resource.key, wanted.metadata.namespace, wanted.metadata.name))
        put_new(tx, resource, wanted, now)
    elif _add_metadata(found, wanted) | _add_subjects(found.subjects, wanted.subjects):
        put(tx, resource, found)


def _is_protected(found: Object) -> bool:
    return found.metadata.annotations.get(AUTOUPDATE) == "false"


def _add_metadata(found: Object, wanted: Object) -> bool:
    """Add labels and annotations that are missing; those that differ stay. Whether any was."""
    before = dict(found.metadata.labels), dict(found.metadata.annotations)
    found.metadata.labels = {**wanted.metadata.labels, **found.metadata.labels}
    found.metadata.annotations = {**wanted.metadata.annotations, **found.metadata.annotations}
    return before != (found.metadata.labels, found.metadata.annotations)


def _add_rules(found: list[PolicyRule], wanted: Sequence[PolicyRule]) -> bool:
    missing = compacted(uncovered(found, wanted))
    found.extend(missing)
    return bool(missing)


def _add_selectors(found: ClusterRole, wanted: ClusterRole) -> bool:
    if found.aggregation_rule is None or wanted.aggregation_rule is None:
        found.aggregation_rule = wanted.aggregation_rule
        return True
    selectors = found.aggregation_rule.cluster_role_selectors
    missing = [
        each for each in wanted.aggregation_rule.cluster_role_selectors if each not in selectors
    ]
    selectors.extend(missing)
    return bool(missing)


def _add_subjects(found: list[Subject], wanted: Sequence[Subject]) -> bool:
    missing = [each for each in wanted if each not in found]
    found.extend(missing)
    return bool(missing)
