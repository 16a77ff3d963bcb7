"""Roles and bindings in short, for the tests of this folder."""

from typing import TypeVar

import msgspec

from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.auth.rbac.index import RbacIndex
from tidegate.auth.rbac.kinds import (
    GROUP,
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from tidegate.auth.rbac.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)

K = TypeVar("K", bound=Object)


def words(text: str) -> list[str]:
    """`get,list` as a list; `''` stands for the empty word (the core API group)."""
    return ["" if each == "''" else each for each in text.split(",")] if text else []


def rule(verbs: str, resources: str = "", groups: str = "''", names: str = "") -> PolicyRule:
    return PolicyRule(
        verbs=words(verbs),
        api_groups=words(groups),
        resources=words(resources),
        resource_names=words(names),
    )


def path_rule(verbs: str, paths: str) -> PolicyRule:
    return PolicyRule(verbs=words(verbs), non_resource_urls=words(paths))


def role(namespace: str, name: str, *rules: PolicyRule) -> Role:
    return _named(ROLES, Role(rules=list(rules)), name, namespace)


def cluster_role(
    name: str, *rules: PolicyRule, labels: str = "", selects: str | None = None
) -> ClusterRole:
    """`labels` are keys with the value "true"; `selects` is a label that is aggregated."""
    selectors = [LabelSelector(match_labels={selects: "true"})] if selects else []
    new = ClusterRole(
        rules=list(rules),
        aggregation_rule=None if selects is None else AggregationRule(selectors),
    )
    named = _named(CLUSTER_ROLES, new, name)
    named.metadata.labels = dict.fromkeys(words(labels), "true")
    return named


def binding(namespace: str, name: str, role_ref: str, *subjects: str) -> RoleBinding:
    """`role_ref` is `Role/NAME` or `ClusterRole/NAME`; for subjects see `subject`."""
    new = RoleBinding(role_ref=_ref(role_ref), subjects=[subject(each) for each in subjects])
    return _named(ROLE_BINDINGS, new, name, namespace)


def cluster_binding(name: str, role_name: str, *subjects: str) -> ClusterRoleBinding:
    new = ClusterRoleBinding(
        role_ref=_ref(f"ClusterRole/{role_name}"), subjects=[subject(each) for each in subjects]
    )
    return _named(CLUSTER_ROLE_BINDINGS, new, name)


def subject(text: str) -> Subject:
    """`User/NAME`, `Group/NAME`, `ServiceAccount/NAMESPACE/NAME` (or without the namespace)."""
    kind, _, name = text.partition("/")
    if kind == "ServiceAccount":
        namespace, _, account = name.rpartition("/")
        return Subject(kind=kind, name=account, namespace=namespace)
    return Subject(kind=kind, api_group=GROUP, name=name)


def key_of(new: Object) -> Key:
    plural = f"{new.kind.lower()}s.{GROUP}"
    return Key(plural, new.metadata.namespace, new.metadata.name)


def index_of(*objects: Object) -> RbacIndex:
    index = RbacIndex()
    for each in objects:
        index.apply(key_of(each), msgspec.json.encode(each))
    return index


async def store_all(store: ObjectStore, *objects: Object) -> None:
    def unit(tx: DocumentTransaction) -> None:
        for each in objects:
            put(tx, each)

    await store.write(unit)


async def remove(store: ObjectStore, gone: Object) -> None:
    await store.write(lambda tx: tx.delete(key_of(gone)))


def put(tx: DocumentTransaction, new: Object) -> None:
    def encode(revision: int) -> bytes:
        new.metadata.resource_version = str(revision)
        return msgspec.json.encode(new)

    tx.put(key_of(new), new.metadata.uid, encode)


def _ref(text: str) -> RoleRef:
    kind, _, name = text.partition("/")
    return RoleRef(api_group=GROUP, kind=kind, name=name)


def _named(resource: Resource[K], new: K, name: str, namespace: str = "") -> K:
    new.api_version, new.kind = resource.api_version, resource.kind
    new.metadata = ObjectMeta(name=name, namespace=namespace, uid=f"{namespace}/{name}")
    return new
