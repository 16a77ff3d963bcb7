"""Attempts to grant what one does not hold; texts are Kubernetes'."""

import asyncio

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.rbac.documents import (
    binding,
    cluster_binding,
    cluster_role,
    path_rule,
    role,
    rule,
    store_all,
)
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import ApiError, Forbidden, NotFound
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Admitted, Call
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.escalation import NoEscalation
from tidegate.auth.rbac.kinds import GROUP, PolicyRule

WRITES = rule("create,update", "roles,rolebindings", GROUP)
EVERYTHING = (rule("*", "*", "*"), path_rule("*", "*"))
ROLES = (
    cluster_role("cluster-admin", *EVERYTHING),
    cluster_role("view", rule("get,list", "pods"), labels="to-edit"),
    cluster_role("edit", selects="to-edit"),
    cluster_role("escalator", rule("escalate", "roles,clusterroles", GROUP)),
    cluster_role("escalator-of-x", rule("escalate", "roles", GROUP, "x")),
    cluster_role("binder", rule("bind", "roles,clusterroles", GROUP)),
    cluster_role("binder-of-view", rule("bind", "clusterroles", GROUP, "view")),
    cluster_role("owner", WRITES, rule("get,list", "pods"), rule("get", "secrets", names="a")),
    role("shop", "secrets", rule("get", "secrets")),
)
BINDINGS = (
    cluster_binding("root", "cluster-admin", "User/root"),
    binding("shop", "owner", "ClusterRole/owner", "User/ann"),
    cluster_binding("escalators", "escalator", "User/esc"),
    binding("shop", "escalator-of-x", "ClusterRole/escalator-of-x", "User/esc-x"),
    cluster_binding("binders", "binder", "User/binder"),
    binding("shop", "binder-of-view", "ClusterRole/binder-of-view", "User/view-binder"),
)
ANN = User("ann", ("staff", "system:authenticated"))
ROOT, MASTER = User("root"), User("kube", ("system:masters",))


async def admitted(user: User, new: Object | None, old: Object | None = None) -> None:
    store = MemoryStore()
    await store_all(store, *ROLES, *BINDINGS)
    authorizer = RbacAuthorizer(store, lambda: 0.0)
    await authorizer.start()
    found = new or old
    assert found is not None
    name = found.metadata.name if old is not None else ""
    call = Call(
        user=user,
        verb="update" if old else "create",
        namespace=found.metadata.namespace,
        name=name,
    )
    await NoEscalation(authorizer).admit(Admitted(call, new, old))


def passes(user: User, new: Object | None, old: Object | None = None) -> None:
    asyncio.run(admitted(user, new, old))


def refusal(user: User, new: Object, old: Object | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        asyncio.run(admitted(user, new, old))
    return caught.value


def test_a_role_takes_holding_its_rules() -> None:
    passes(ANN, role("shop", "x", rule("get", "pods"), rule("list", "pods", names="web")))
    refused = refusal(ANN, role("shop", "x", rule("get,list", "pods,secrets")))
    assert isinstance(refused, Forbidden)
    assert str(refused) == (
        'roles.rbac.authorization.k8s.io "x" is forbidden: user "ann" '
        '(groups=["staff" "system:authenticated"]) is attempting to grant RBAC permissions not '
        'currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )


def test_rights_in_one_namespace_count_for_nothing_in_another_or_for_the_cluster() -> None:
    refusal(ANN, role("bank", "x", rule("get", "pods")))
    refusal(ANN, cluster_role("x", rule("get", "pods")))
    refusal(ANN, cluster_binding("x", "view", "User/ann"))


@pytest.mark.parametrize(
    "wanted",
    [
        rule("*", "pods"),
        rule("get", "*"),
        rule("get", "pods", "*"),
        rule("get", "pods/log"),
        rule("get", "secrets"),
        rule("get", "secrets", names="b"),
        rule("escalate", "roles", GROUP),
        rule("bind", "clusterroles", GROUP),
        rule("impersonate", "users"),
    ],
)
def test_more_than_is_held_is_refused_however_it_is_written(wanted: PolicyRule) -> None:
    refusal(ANN, role("shop", "x", wanted))


def test_who_may_escalate_writes_any_rule() -> None:
    passes(User("esc"), role("shop", "x", *EVERYTHING[:1]))
    passes(User("esc"), cluster_role("x", *EVERYTHING))
    passes(User("esc"), cluster_role("x", selects="anything"))


def test_escalate_on_a_name_holds_for_an_update_but_not_for_a_post() -> None:
    old, new = role("shop", "x"), role("shop", "x", rule("get", "secrets"))
    passes(User("esc-x"), new, old)
    refusal(User("esc-x"), new)
    refusal(User("esc-x"), role("shop", "y", rule("get", "secrets")), role("shop", "y"))


def test_cluster_admins_and_masters_grant_what_they_like() -> None:
    for user in (ROOT, MASTER):
        passes(user, cluster_role("x", *EVERYTHING))
        passes(user, cluster_role("x", selects="anything"))
        passes(user, cluster_binding("x", "cluster-admin", "User/eve"))


def test_an_update_is_refused_for_what_it_adds() -> None:
    old = role("shop", "x", rule("get", "secrets"))
    passes(ANN, role("shop", "x", rule("get", "secrets", names="z")), old)  # narrower
    annotated = role("shop", "x", rule("get", "secrets"))
    annotated.metadata.annotations = {"note": "mine"}
    passes(ANN, annotated, old)
    refusal(ANN, role("shop", "x", rule("get,list", "secrets")), old)


def test_a_label_that_would_carry_rules_into_another_role_is_a_grant() -> None:
    old = cluster_role("cluster-admin", *EVERYTHING)
    refusal(ANN, cluster_role("cluster-admin", *EVERYTHING, labels="to-edit"), old)
    passes(ROOT, cluster_role("cluster-admin", *EVERYTHING, labels="to-edit"), old)


def test_an_aggregation_rule_takes_everything() -> None:
    holder = User("holder")
    text = (
        'clusterroles.rbac.authorization.k8s.io "x" is forbidden: '
        "must have cluster-admin privileges to use the aggregationRule"
    )
    plain, gathering = cluster_role("x"), cluster_role("x", selects="anything")
    assert str(refusal(holder, gathering)) == text
    assert str(refusal(holder, gathering, plain)) == text
    assert str(refusal(holder, plain, gathering)) == text  # so that nobody freezes what shrinks
    annotated = cluster_role("x", selects="anything")
    annotated.metadata.annotations = {"note": "mine"}
    passes(holder, annotated, gathering)


def test_a_binding_takes_holding_the_rules_of_the_role() -> None:
    passes(ANN, binding("shop", "b", "ClusterRole/view", "User/eve"))
    refused = refusal(ANN, binding("shop", "b", "Role/secrets", "User/ann"))
    assert str(refused).startswith(
        'rolebindings.rbac.authorization.k8s.io "b" is forbidden: user "ann" (groups=["staff" '
    )
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in str(refused)
    refusal(ANN, binding("shop", "b", "ClusterRole/cluster-admin", "User/ann"))


def test_an_aggregated_role_is_bound_for_what_it_gathers() -> None:
    passes(ANN, binding("shop", "b", "ClusterRole/edit", "User/eve"))
    refusal(User("eve"), binding("shop", "b", "ClusterRole/edit", "User/eve"))


def test_who_may_bind_binds_without_holding() -> None:
    binder = User("binder")
    passes(binder, cluster_binding("b", "cluster-admin", "User/binder"))
    passes(binder, binding("shop", "b", "Role/secrets", "User/binder"))
    passes(binder, binding("shop", "b", "Role/not-there-yet", "User/binder"))
    limited = User("view-binder")
    passes(limited, binding("shop", "b", "ClusterRole/view", "User/eve"))
    refusal(limited, binding("shop", "b", "ClusterRole/owner", "User/eve"))
    refusal(limited, binding("bank", "b", "ClusterRole/view", "User/eve"))
    refusal(limited, cluster_binding("b", "view", "User/eve"))


def test_binding_a_role_that_is_missing_says_so() -> None:
    refused = refusal(ANN, binding("shop", "b", "Role/gone", "User/ann"))
    assert isinstance(refused, NotFound)
    assert str(refused) == 'roles.rbac.authorization.k8s.io "gone" not found'
    refused = refusal(ANN, cluster_binding("b", "gone", "User/ann"))
    assert str(refused) == 'clusterroles.rbac.authorization.k8s.io "gone" not found'


def test_adding_a_subject_is_a_grant_and_taking_one_away_is_not() -> None:
    old = binding("shop", "b", "Role/secrets", "User/bob", "User/tom")
    passes(ANN, binding("shop", "b", "Role/secrets", "User/bob"), old)
    refusal(ANN, binding("shop", "b", "Role/secrets", "User/bob", "User/ann"), old)


def test_a_role_that_is_missing_elsewhere_is_told_with_the_refusal() -> None:
    async def run() -> str:
        store = MemoryStore()
        await store_all(store, cluster_binding("lost", "gone", "User/ann"))
        authorizer = RbacAuthorizer(store, lambda: 0.0)
        await authorizer.start()
        call = Call(user=User("ann"), verb="create", namespace="shop")
        with pytest.raises(Forbidden) as caught:
            await NoEscalation(authorizer).admit(
                Admitted(call, role("shop", "x", rule("get", "pods")), None)
            )
        return str(caught.value)

    assert asyncio.run(run()).endswith(
        '; resolution errors: [clusterrole.rbac.authorization.k8s.io "gone" not found]'
    )


def test_other_objects_and_deletions_are_none_of_its_business() -> None:
    passes(User("eve"), Object())
    passes(User("eve"), None, role("shop", "secrets", rule("get", "secrets")))
