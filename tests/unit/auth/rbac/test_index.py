"""The index against a plain reading of the documents, and its other questions by hand."""

import tracemalloc
from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from tests.unit.auth.rbac.documents import (
    binding,
    cluster_binding,
    cluster_role,
    index_of,
    key_of,
    path_rule,
    role,
    rule,
)
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.store import Key
from tidegate.auth.rbac.index import MEMO_TEXT, RbacIndex
from tidegate.auth.rbac.kinds import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    Subject,
)
from tidegate.auth.rbac.rules import described

Documents = dict[Key, Object]

# A plain evaluator: loops over documents, as Kubernetes' words say, with nothing kept.


def naive(documents: Documents, user: User, asked: Attributes) -> bool:
    if "system:masters" in user.groups:
        return True
    return any(
        naive_rule(each, asked)
        for found in documents.values()
        if isinstance(found, RoleBinding | ClusterRoleBinding) and naive_applies(found, user, asked)
        for each in naive_role(documents, found)
    )


def naive_applies(found: RoleBinding | ClusterRoleBinding, user: User, asked: Attributes) -> bool:
    namespace = found.metadata.namespace
    if namespace and (asked.path or namespace != asked.namespace):
        return False
    return any(naive_subject(each, namespace, user) for each in found.subjects)


def naive_subject(subject: Subject, namespace: str, user: User) -> bool:
    if subject.kind == "ServiceAccount":
        namespace = subject.namespace or namespace
        if not namespace:
            return False
        return user.name == f"system:serviceaccount:{namespace}:{subject.name}"
    if subject.kind == "Group":
        return subject.name in user.groups
    return subject.kind == "User" and subject.name == user.name


def naive_role(
    documents: Documents, found: RoleBinding | ClusterRoleBinding
) -> Sequence[PolicyRule]:
    ref = found.role_ref
    for each in documents.values():
        if each.kind == ref.kind and each.metadata.name == ref.name:
            if isinstance(each, ClusterRole):
                return naive_aggregated(documents, each, set())
            if isinstance(each, Role) and each.metadata.namespace == found.metadata.namespace:
                return each.rules
    return ()


def naive_aggregated(documents: Documents, found: ClusterRole, seen: set[str]) -> list[PolicyRule]:
    if found.aggregation_rule is None:
        return found.rules
    rules: list[PolicyRule] = []
    seen.add(found.metadata.name)
    for other in documents.values():
        if isinstance(other, ClusterRole) and other.metadata.name not in seen:
            for selector in found.aggregation_rule.cluster_role_selectors:
                if selector.match_labels.items() <= other.metadata.labels.items():
                    rules += naive_aggregated(documents, other, seen)
    return rules


def naive_rule(given_rule: PolicyRule, asked: Attributes) -> bool:
    if asked.verb not in given_rule.verbs and "*" not in given_rule.verbs:
        return False
    if asked.path:
        return any(
            path == asked.path or (path.endswith("*") and asked.path.startswith(path.rstrip("*")))
            for path in given_rule.non_resource_urls
        )
    if asked.group not in given_rule.api_groups and "*" not in given_rule.api_groups:
        return False
    if given_rule.resource_names and asked.name not in given_rule.resource_names:
        return False
    _, slash, subresource = asked.resource.partition("/")
    return any(
        resource in ("*", asked.resource) or (slash and resource == f"*/{subresource}")
        for resource in given_rule.resources
    )


VERBS = ["get", "list", "*"]
GROUPS = ["", "apps", "*"]
RESOURCES = ["pods", "pods/log", "secrets", "*/log", "*"]
NAMES = ["web", "shop", ""]
PATHS = ["/", "/api", "/api/v1", "/api/*", "*"]
NAMESPACES = ["shop", "bank"]
ROLE_NAMES = ["a", "b", "c"]
LABELS = ["x", "y"]
PEOPLE = ["User/ann", "User/bob", "Group/staff", "Group/all"]
PEOPLE += ["ServiceAccount/shop/ci", "ServiceAccount/ci"]
USERS = [
    User("ann"),
    User("bob", ("staff", "all")),
    User("ci", ("all",)),
    User("system:serviceaccount:shop:ci", ("system:serviceaccounts",)),
    User("system:serviceaccount:bank:ci", ("staff",)),
    User("staff", ("ann",)),
    User("root", ("system:masters",)),
]


class Chance:
    """Random documents and questions, few enough in kind to meet each other often."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def some(self, values: list[str]) -> list[str]:
        return self._random.choices(values, k=self._random.randint(1, 2))

    def rule(self) -> PolicyRule:
        one = self._random.random()
        if one < 0.2:
            return PolicyRule(verbs=self.some(VERBS), non_resource_urls=self.some(PATHS))
        return PolicyRule(
            verbs=self.some(VERBS),
            api_groups=self.some(GROUPS),
            resources=self.some(RESOURCES),
            resource_names=self.some(NAMES) if one < 0.5 else [],
        )

    def document(self) -> Object:
        name, other = self._random.choices(ROLE_NAMES, k=2)
        namespace = self._random.choice(NAMESPACES)
        rules = [self.rule() for _ in range(self._random.randint(0, 2))]
        kind = self._random.choice(["Role", "ClusterRole"])
        match self._random.randint(0, 6):
            case 0:
                return role(namespace, name, *rules)
            case 1:
                labels = ",".join({*self.some(LABELS)})
                return cluster_role(name, *rules, labels=labels)
            case 2:
                labels = ",".join({*self.some(LABELS)})
                return cluster_role(name, labels=labels, selects=self._random.choice(LABELS))
            case 3 | 4:
                return binding(namespace, name, f"{kind}/{other}", *self.some(PEOPLE))
        return cluster_binding(name, other, *self.some(PEOPLE))

    def is_kept(self) -> bool:
        return self._random.random() < 0.75

    def question(self) -> tuple[User, Attributes]:
        user = self._random.choice(USERS)
        verb = self._random.choice(["get", "list", "*"])
        if self._random.random() < 0.2:
            path = self._random.choice(["/", "/api", "/api/v1/pods"])
            return user, Attributes(verb, path=path, namespace="shop")
        return user, Attributes(
            verb,
            self._random.choice(["pods", "pods/log", "secrets/log", "*"]),
            self._random.choice(["", *NAMESPACES]),
            self._random.choice(NAMES),
            self._random.choice(["", "apps"]),
        )


@pytest.mark.parametrize("seed", range(40))
def test_the_index_answers_as_a_plain_reading_does_after_every_change(seed: int) -> None:
    chance = Chance(seed)
    documents: Documents = {}
    index = RbacIndex(memo_limit=5)
    asked = [chance.question() for _ in range(30)]
    for _ in range(60):
        changed, kept = chance.document(), chance.is_kept()
        key = key_of(changed)
        if kept:
            documents[key] = changed
        else:
            documents.pop(key, None)
        index.apply(key, msgspec.json.encode(changed) if kept else None)
        compare(index, documents, asked)


def compare(index: RbacIndex, documents: Documents, asked: list[tuple[User, Attributes]]) -> None:
    for user, attributes in asked:
        expected = naive(documents, user, attributes)
        assert index.allows(user, attributes) is expected
        assert index.explain(user, attributes).allowed is expected
        if not attributes.path:
            compare_queries(index, documents, user, attributes)


def compare_queries(
    index: RbacIndex, documents: Documents, user: User, attributes: Attributes
) -> None:
    reach = index.namespaces_where(user, attributes)
    named = index.namespaces_where(user, attributes, named=True)
    for namespace in NAMESPACES:
        here = Attributes(
            attributes.verb, attributes.resource, namespace, attributes.name, attributes.group
        )
        assert (namespace in reach) is naive(documents, user, here)
        of_its_name = Attributes(here.verb, here.resource, namespace, namespace, here.group)
        if not attributes.name:
            assert (namespace in named) is naive(documents, user, of_its_name)
    who = index.who_can(attributes)
    listed = user.name in who.users or bool(set(user.groups) & set(who.groups))
    assert listed is naive(documents, user, attributes)
    held = index.rules(user, attributes.namespace)
    assert any(naive_rule(each, attributes) for each in held.rules) is naive(
        documents, user, attributes
    )


ANN = User("ann", ("staff",))
GET_PODS = Attributes("get", "pods", "shop", "", "")


def test_a_role_grants_in_the_namespace_of_its_binding_only() -> None:
    index = index_of(
        role("shop", "reader", rule("get", "pods")), binding("shop", "r", "Role/reader", "User/ann")
    )
    assert index.allows(ANN, GET_PODS)
    assert not index.allows(ANN, Attributes("get", "pods", "bank", "", ""))
    assert not index.allows(ANN, Attributes("get", "pods", "", "", ""))


def test_a_role_of_another_namespace_is_not_the_role_that_is_bound() -> None:
    index = index_of(
        role("bank", "reader", rule("get", "pods")), binding("shop", "r", "Role/reader", "User/ann")
    )
    assert not index.allows(ANN, GET_PODS)


def test_a_cluster_role_grants_where_it_is_bound() -> None:
    reader = cluster_role("reader", rule("get", "pods"), path_rule("get", "/metrics"))
    local = index_of(reader, binding("shop", "r", "ClusterRole/reader", "Group/staff"))
    assert local.allows(ANN, GET_PODS)
    assert not local.allows(ANN, Attributes("get", "pods", "bank", "", ""))
    assert not local.allows(ANN, Attributes("get", path="/metrics"))
    everywhere = index_of(reader, cluster_binding("r", "reader", "Group/staff"))
    assert everywhere.allows(ANN, Attributes("get", "pods", "bank", "", ""))
    assert everywhere.allows(ANN, Attributes("get", "pods", "", "", ""))
    assert everywhere.allows(ANN, Attributes("get", path="/metrics"))


def test_a_service_account_is_not_the_user_or_account_of_its_name_elsewhere() -> None:
    index = index_of(
        cluster_role("reader", rule("get", "pods")),
        binding("shop", "r", "ClusterRole/reader", "ServiceAccount/ci"),
        cluster_binding("none", "reader", "ServiceAccount/nobody"),
    )
    assert index.allows(User("system:serviceaccount:shop:ci"), GET_PODS)
    assert not index.allows(User("system:serviceaccount:bank:ci"), GET_PODS)
    assert not index.allows(User("ci"), GET_PODS)
    assert not index.allows(User("system:serviceaccount::nobody"), GET_PODS)


def test_masters_are_allowed_everything_without_a_binding() -> None:
    root = User("root", ("system:masters",))
    index = index_of()
    assert index.allows(root, GET_PODS)
    assert index.allows(root, Attributes("get", path="/metrics"))
    assert index.namespaces_where(root, GET_PODS).everywhere
    assert [described(each) for each in index.rules(root, "shop").rules] == [
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
        '{NonResourceURLs:["*"], Verbs:["*"]}',
    ]


def test_the_grounds_name_binding_role_and_subject() -> None:
    # texts as in Kubernetes' SubjectAccessReview and audit annotations
    index = index_of(
        cluster_role("view", rule("get", "pods")),
        role("shop", "reader", rule("list", "pods")),
        role("shop", "watcher", rule("watch", "pods")),
        cluster_binding("viewers", "view", "User/eve", "Group/staff"),
        binding("shop", "readers", "Role/reader", "User/ann"),
        binding("shop", "robots", "Role/watcher", "ServiceAccount/ci"),
    )
    assert index.explain(ANN, GET_PODS).reason == (
        'RBAC: allowed by ClusterRoleBinding "viewers" of ClusterRole "view" to Group "staff"'
    )
    assert index.explain(ANN, Attributes("list", "pods", "shop", "", "")).reason == (
        'RBAC: allowed by RoleBinding "readers/shop" of Role "reader" to User "ann"'
    )
    robot = User("system:serviceaccount:shop:ci")
    assert index.explain(robot, Attributes("watch", "pods", "shop", "", "")).reason == (
        'RBAC: allowed by RoleBinding "robots/shop" of Role "watcher" to ServiceAccount "ci/shop"'
    )
    assert index.explain(ANN, Attributes("delete", "pods", "shop", "", "")) == (False, "")


def test_a_role_that_is_missing_is_an_error_and_not_a_right() -> None:
    index = index_of(
        cluster_binding("lost", "gone", "User/ann"),
        binding("shop", "lost", "Role/away", "User/ann"),
    )
    missing = (
        'clusterrole.rbac.authorization.k8s.io "gone" not found',
        'role.rbac.authorization.k8s.io "away" not found',
    )
    assert index.explain(ANN, GET_PODS) == (False, f"RBAC: [{missing[0]}, {missing[1]}]")
    assert index.explain(ANN, Attributes("get", "pods", "", "", "")).reason == f"RBAC: {missing[0]}"
    assert index.rules(ANN, "shop") == ((), missing)
    added = role("shop", "away", rule("get", "pods"))
    index.apply(key_of(added), msgspec.json.encode(added))
    assert index.allows(ANN, GET_PODS)


def test_who_can_names_users_accounts_and_groups_and_always_masters() -> None:
    index = index_of(
        cluster_role("view", rule("get", "pods")),
        role("shop", "other", rule("get", "secrets")),
        cluster_binding("viewers", "view", "User/eve", "Group/staff"),
        binding("shop", "more", "ClusterRole/view", "User/ann", "ServiceAccount/ci"),
        binding("shop", "else", "Role/other", "User/tom"),
        binding("bank", "else", "ClusterRole/view", "User/kim"),
    )
    assert index.who_can(GET_PODS) == (
        ("ann", "eve", "system:serviceaccount:shop:ci"),
        ("staff", "system:masters"),
    )
    assert index.who_can(Attributes("get", "pods", "", "", "")) == (
        ("eve",),
        ("staff", "system:masters"),
    )


def test_namespaces_are_found_by_name_too_when_namespaces_are_what_is_listed() -> None:
    index = index_of(
        cluster_role("one", rule("get", "namespaces", names="bank")),
        role("shop", "own", rule("get", "namespaces", names="shop")),
        role("mall", "other", rule("get", "namespaces", names="shop")),
        cluster_binding("one", "one", "User/ann"),
        binding("shop", "own", "Role/own", "User/ann"),
        binding("mall", "other", "Role/other", "User/ann"),
    )
    asked = Attributes("get", "namespaces", group="")
    assert index.namespaces_where(ANN, asked).namespaces == frozenset()
    assert index.namespaces_where(ANN, asked, named=True).namespaces == {"shop", "bank"}


def test_aggregated_roles_gather_at_every_remove_and_ignore_what_they_hold_themselves() -> None:
    index = index_of(
        cluster_role("admin", rule("get", "stale"), selects="to-admin"),
        cluster_role("edit", selects="to-edit", labels="to-admin"),
        cluster_role("admin-part", rule("get", "roles"), labels="to-admin"),
        cluster_role("edit-part", rule("get", "secrets"), labels="to-edit"),
        cluster_binding("a", "admin", "User/ann"),
    )
    for resource, allowed in (("roles", True), ("secrets", True), ("stale", False)):
        assert index.allows(ANN, Attributes("get", resource, "shop", "", "")) is allowed
    unlabelled = cluster_role("edit", selects="to-edit")
    index.apply(key_of(unlabelled), msgspec.json.encode(unlabelled))
    assert not index.allows(ANN, Attributes("get", "secrets", "shop", "", ""))


def test_documents_of_other_resources_are_ignored() -> None:
    index = index_of()
    index.apply(Key("secrets", "shop", "x"), b"not a role")
    assert not index.allows(ANN, GET_PODS)


def test_what_is_remembered_is_bounded_in_text_too() -> None:
    """Paths, and the names of who is impersonated, are as long as who asks likes."""
    index = index_of(cluster_role("reader", rule("get", "pods")))
    tracemalloc.start()
    try:
        for number in range(300):
            asked = Attributes("get", "pods", "shop", f"{number}{'x' * 100_000}", "")
            assert not index.allows(User("mallory"), asked)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * MEMO_TEXT
