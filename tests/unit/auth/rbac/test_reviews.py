"""Answers and texts are those of Kubernetes and OpenShift's authorization APIs."""

import asyncio
import json
from typing import Any

import msgspec
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
from tidegate.apimachinery.errors import ApiError, BadRequest, Forbidden, Invalid
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.openshift_reviews import served_openshift_reviews
from tidegate.auth.rbac.reviews import served_reviews

KUBERNETES, OPENSHIFT = "authorization.k8s.io", "authorization.openshift.io"
DOCUMENTS = (
    cluster_role("view", rule("get,list", "pods"), path_rule("get", "/metrics")),
    cluster_role("layers", rule("get", "imagestreams/layers", "image.openshift.io")),
    cluster_role(
        "asker",
        rule("create", "localsubjectaccessreviews,localresourceaccessreviews", OPENSHIFT),
    ),
    cluster_role("self", rule("create", "selfsubjectaccessreviews", KUBERNETES)),
    role("shop", "reader", rule("get", "secrets", names="web")),
    cluster_binding("viewers", "view", "Group/staff"),
    cluster_binding("self", "self", "Group/system:authenticated"),
    cluster_binding("root-asks", "asker", "User/root"),
    binding("shop", "readers", "Role/reader", "User/ann"),
    binding("shop", "pullers", "ClusterRole/layers", "ServiceAccount/ci"),
    binding("shop", "askers", "ClusterRole/asker", "User/owner"),
    binding("shop", "lost", "ClusterRole/gone", "User/ann"),
)
ANN = User("ann", ("staff", "system:authenticated"))
OWNER = User("owner", ("system:authenticated",))
ROOT = User("root", ("system:authenticated",))


async def answer(
    group: str, plural: str, user: User, body: dict[str, Any], namespace: str = ""
) -> dict[str, Any]:
    store = MemoryStore()
    await store_all(store, *DOCUMENTS)
    authorizer = RbacAuthorizer(store, lambda: 0.0)
    await authorizer.start()
    served = served_reviews if group == KUBERNETES else served_openshift_reviews
    found = {resource.plural: (resource, storage) for resource, storage in served(authorizer)}
    resource, storage = found[plural]
    assert resource.verbs == ("create",)
    assert resource.group == group
    new = msgspec.convert(body, type=resource.type)
    call = Call(user=user, verb="create", namespace=namespace)
    values: dict[str, Any] = json.loads(await storage.create(call, new))
    return values


def ask(
    plural: str, user: User, body: dict[str, Any], namespace: str = "", group: str = KUBERNETES
) -> dict[str, Any]:
    return asyncio.run(answer(group, plural, user, body, namespace))


def refused(
    plural: str, user: User, body: dict[str, Any], namespace: str = "", group: str = KUBERNETES
) -> ApiError:
    with pytest.raises(ApiError) as caught:
        asyncio.run(answer(group, plural, user, body, namespace))
    return caught.value


def about(verb: str, resource: str, **more: str) -> dict[str, Any]:
    return {"resourceAttributes": {"verb": verb, "resource": resource, **more}}


GET_SECRET = about("get", "secrets", namespace="shop", name="web")


# authorization.k8s.io


def test_one_asks_about_oneself() -> None:
    assert ask("selfsubjectaccessreviews", ANN, {"spec": GET_SECRET}) == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": GET_SECRET,
        "status": {
            "allowed": True,
            "reason": 'RBAC: allowed by RoleBinding "readers/shop" of Role "reader" to User "ann"',
        },
    }
    denied = ask("selfsubjectaccessreviews", OWNER, {"spec": GET_SECRET})
    assert denied["status"] == {"allowed": False}


def test_a_role_that_is_missing_is_told_with_a_denial() -> None:
    asked = about("delete", "secrets", namespace="shop")
    assert ask("selfsubjectaccessreviews", ANN, {"spec": asked})["status"] == {
        "allowed": False,
        "reason": 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
    }


def test_one_asks_about_a_path() -> None:
    asked = {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    assert ask("selfsubjectaccessreviews", ANN, {"spec": asked})["status"]["allowed"] is True
    asked = {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}}
    assert ask("selfsubjectaccessreviews", ANN, {"spec": asked})["status"]["allowed"] is False
    assert not ask("selfsubjectaccessreviews", ANN, {"spec": {"nonResourceAttributes": {}}})[
        "status"
    ]["allowed"]


def test_the_subresource_may_stand_apart_or_in_the_resource() -> None:
    for attributes in (
        about("get", "imagestreams/layers", group="image.openshift.io", namespace="shop"),
        about(
            "get",
            "imagestreams",
            subresource="layers",
            group="image.openshift.io",
            namespace="shop",
            version="v1",
        ),
    ):
        review = {"spec": {**attributes, "user": "system:serviceaccount:shop:ci"}}
        status = ask("subjectaccessreviews", ROOT, review)["status"]
        assert status == {
            "allowed": True,
            "reason": 'RBAC: allowed by RoleBinding "pullers/shop" of ClusterRole "layers" '
            'to ServiceAccount "ci/shop"',
        }


def test_of_another_only_the_groups_that_are_given_count() -> None:
    asked = about("get", "pods", namespace="bank")
    with_groups = {"spec": {**asked, "user": "ann", "groups": ["staff"], "extra": {"a": ["b"]}}}
    assert ask("subjectaccessreviews", ROOT, with_groups)["status"]["allowed"] is True
    alone = {"spec": {**asked, "user": "ann"}}
    assert ask("subjectaccessreviews", ROOT, alone)["status"]["allowed"] is False


def test_a_local_review_is_about_its_namespace() -> None:
    review = {"spec": {**GET_SECRET, "user": "ann"}, "metadata": {"namespace": "shop"}}
    answered = ask("localsubjectaccessreviews", OWNER, review, "shop")
    assert answered["status"]["allowed"] is True
    assert answered["metadata"] == {"namespace": "shop"}
    fault = refused("localsubjectaccessreviews", OWNER, {"spec": review["spec"]}, "bank")
    assert isinstance(fault, Invalid)
    assert str(fault) == (
        'LocalSubjectAccessReview.authorization.k8s.io "" is invalid: '
        'spec.resourceAttributes.namespace: Invalid value: "shop": must match metadata.namespace'
    )
    path = {"nonResourceAttributes": {"path": "/x", "verb": "get"}, "user": "ann"}
    assert "spec.nonResourceAttributes: Invalid value: " in str(
        refused("localsubjectaccessreviews", OWNER, {"spec": path}, "shop")
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"spec": {"user": "x"}},
            (
                "spec.resourceAttributes: Invalid value: null: exactly one of "
                "nonResourceAttributes or resourceAttributes must be specified"
            ),
        ),
        (
            {"spec": {**GET_SECRET, "user": "x", "nonResourceAttributes": {"path": "/"}}},
            (
                'spec.nonResourceAttributes: Invalid value: {"path":"/"}: cannot be specified in '
                "combination with resourceAttributes"
            ),
        ),
        (
            {"spec": GET_SECRET},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
        (
            {"spec": {**GET_SECRET, "user": "x"}, "metadata": {"name": "y"}},
            'metadata: Invalid value: {"name":"y"}: must be empty',
        ),
    ],
)
def test_a_review_that_asks_nothing_or_too_much_is_refused(body: dict[str, Any], text: str) -> None:
    fault = refused("subjectaccessreviews", ROOT, body)
    assert isinstance(fault, Invalid)
    assert str(fault) == f'SubjectAccessReview.authorization.k8s.io "" is invalid: {text}'


def test_metadata_that_clients_send_unasked_is_let_pass() -> None:
    body = {"spec": GET_SECRET, "metadata": {"creationTimestamp": "2024-01-01T00:00:00Z"}}
    assert ask("selfsubjectaccessreviews", ANN, body)["status"]["allowed"] is True


def test_ones_rules_in_a_namespace_are_listed() -> None:
    answered = ask("selfsubjectrulesreviews", ANN, {"spec": {"namespace": "shop"}})
    assert answered["status"] == {
        "resourceRules": [
            {
                "verbs": ["create"],
                "apiGroups": ["authorization.k8s.io"],
                "resources": ["selfsubjectaccessreviews"],
            },
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
            {
                "verbs": ["get"],
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": ["web"],
            },
        ],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
        "incomplete": False,
        "evaluationError": 'clusterrole.rbac.authorization.k8s.io "gone" not found',
    }
    nobody = ask("selfsubjectrulesreviews", User("eve"), {"spec": {"namespace": "shop"}})
    assert nobody["status"] == {"resourceRules": [], "nonResourceRules": [], "incomplete": False}


def test_rules_are_asked_of_one_namespace() -> None:
    fault = refused("selfsubjectrulesreviews", ANN, {})
    assert isinstance(fault, BadRequest)
    assert str(fault) == "no namespace on request"


# authorization.openshift.io


def openshift(plural: str, user: User, body: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    return ask(plural, user, body, namespace, OPENSHIFT)


def openshift_refused(
    plural: str, user: User, body: dict[str, Any], namespace: str = ""
) -> ApiError:
    return refused(plural, user, body, namespace, OPENSHIFT)


ACTION = {"verb": "get", "resource": "secrets", "resourceName": "web"}


def test_oc_login_asks_about_oneself_at_the_top_level() -> None:
    assert openshift("subjectaccessreviews", ANN, {**ACTION, "namespace": "shop"}) == {
        "kind": "SubjectAccessReviewResponse",
        "apiVersion": "authorization.openshift.io/v1",
        "namespace": "shop",
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "readers/shop" of Role "reader" to User "ann"',
    }
    assert openshift("subjectaccessreviews", OWNER, ACTION)["allowed"] is False


def test_about_others_asks_who_may_ask_in_the_namespace() -> None:
    body = {**ACTION, "namespace": "shop", "user": "ann"}
    assert openshift("subjectaccessreviews", OWNER, body)["allowed"] is True
    assert openshift("subjectaccessreviews", ROOT, body)["allowed"] is True
    fault = openshift_refused("subjectaccessreviews", ANN, {**body, "user": "owner"})
    assert isinstance(fault, Forbidden)
    assert str(fault) == (
        "localsubjectaccessreviews.authorization.openshift.io is forbidden: "
        'User "ann" cannot create resource "localsubjectaccessreviews" in API group '
        '"authorization.openshift.io" in the namespace "shop"'
    )
    openshift_refused("subjectaccessreviews", OWNER, {**body, "namespace": "bank"})
    openshift_refused("subjectaccessreviews", OWNER, {**ACTION, "groups": ["staff"]})
    assert openshift("subjectaccessreviews", ROOT, {**ACTION, "groups": ["x"]})["allowed"] is False


def test_who_may_not_ask_about_herself_is_refused() -> None:
    assert isinstance(openshift_refused("subjectaccessreviews", User("eve"), ACTION), Forbidden)


def test_local_reviews_are_about_their_namespace() -> None:
    body = {**ACTION, "user": "ann"}
    assert openshift("localsubjectaccessreviews", OWNER, body, "shop")["allowed"] is True
    fault = openshift_refused(
        "localsubjectaccessreviews", OWNER, {**body, "namespace": "bank"}, "shop"
    )
    assert str(fault) == (
        'LocalSubjectAccessReview.authorization.openshift.io "" is invalid: '
        'namespace: Invalid value: "bank": namespace must be: shop'
    )
    assert "namespace must be: shop" in str(
        openshift_refused(
            "localresourceaccessreviews", OWNER, {**ACTION, "namespace": "bank"}, "shop"
        )
    )


def test_oc_policy_who_can_names_users_and_groups() -> None:
    assert openshift("localresourceaccessreviews", OWNER, ACTION, "shop") == {
        "kind": "ResourceAccessReviewResponse",
        "apiVersion": "authorization.openshift.io/v1",
        "namespace": "shop",
        "users": ["ann"],
        "groups": ["system:masters"],
        "evalutionError": "",  # so OpenShift's API spells it
    }
    pull = {
        "verb": "get",
        "resource": "imagestreams/layers",
        "resourceAPIGroup": "image.openshift.io",
    }
    answered = openshift("localresourceaccessreviews", OWNER, pull, "shop")
    assert answered["users"] == ["system:serviceaccount:shop:ci"]


def test_who_can_everywhere_takes_the_right_to_ask_there() -> None:
    body = {"verb": "get", "resource": "pods"}
    assert openshift("resourceaccessreviews", ROOT, body)["groups"] == ["staff", "system:masters"]
    assert isinstance(openshift_refused("resourceaccessreviews", OWNER, body), Forbidden)
    in_shop = openshift("resourceaccessreviews", OWNER, {**body, "namespace": "shop"})
    assert in_shop["namespace"] == "shop"


def test_who_can_read_a_path() -> None:
    body = {"verb": "get", "path": "/metrics", "isNonResourceURL": True}
    assert openshift("resourceaccessreviews", ROOT, body)["groups"] == ["staff", "system:masters"]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({}, ["verb: Required value", "resource: Required value"]),
        ({"verb": "get", "isNonResourceURL": True}, ["path: Required value"]),
        (
            {
                "verb": "get",
                "isNonResourceURL": True,
                "path": "/x",
                "resource": "pods",
                "namespace": "shop",
            },
            [
                (
                    'resource: Invalid value: "pods": '
                    "resource may not be specified with non resource URLs"
                ),
                (
                    'namespace: Invalid value: "shop": '
                    "namespace may not be specified with non resource URLs"
                ),
            ],
        ),
    ],
)
def test_an_action_that_is_none_is_refused(body: dict[str, Any], texts: list[str]) -> None:
    fault = openshift_refused("resourceaccessreviews", ROOT, body)
    assert isinstance(fault, Invalid)
    assert [str(each) for each in fault.causes] == texts


RULES = [
    {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
    {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["web"]},
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews"],
    },
    {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
]


def test_rules_are_listed_by_group_and_resource() -> None:
    answered = openshift("selfsubjectrulesreviews", ANN, {}, "shop")
    assert answered["kind"] == "SelfSubjectRulesReview"
    assert answered["status"] == {
        "rules": RULES,
        "evaluationError": 'clusterrole.rbac.authorization.k8s.io "gone" not found',
    }
    body = {"spec": {"user": "ann", "groups": ["staff"]}}
    answered = openshift("subjectrulesreviews", OWNER, body, "shop")
    assert answered["status"]["rules"] == [RULES[0], RULES[1], RULES[3]]


def test_rules_are_asked_of_somebody() -> None:
    fault = openshift_refused("subjectrulesreviews", OWNER, {}, "shop")
    assert str(fault.causes[0]) == (
        "user: Required value: at least one of user and groups must be specified"
    )


def test_rules_that_multiply_are_listed_as_they_are_written() -> None:
    async def run() -> dict[str, Any]:
        many = ",".join(f"r{each}" for each in range(200))
        store = MemoryStore()
        await store_all(
            store,
            role("shop", "huge", rule(many, many, many)),
            binding("shop", "huge", "Role/huge", "User/ann"),
        )
        authorizer = RbacAuthorizer(store, lambda: 0.0)
        await authorizer.start()
        (storage,) = (
            storage
            for resource, storage in served_openshift_reviews(authorizer)
            if resource.plural == "selfsubjectrulesreviews"
        )
        new = msgspec.convert({}, type=storage_type(authorizer))
        call = Call(user=ANN, verb="create", namespace="shop")
        values: dict[str, Any] = json.loads(await storage.create(call, new))
        return values

    assert len(asyncio.run(run())["status"]["rules"]) == 1


def storage_type(authorizer: RbacAuthorizer) -> type[Object]:
    for resource, _ in served_openshift_reviews(authorizer):
        if resource.plural == "selfsubjectrulesreviews":
            found: type[Object] = resource.type
            return found
    raise LookupError


def test_another_object_is_no_review() -> None:
    async def run() -> None:
        authorizer = RbacAuthorizer(MemoryStore(), lambda: 0.0)
        await authorizer.start()
        for _, storage in (*served_reviews(authorizer), *served_openshift_reviews(authorizer)):
            with pytest.raises(BadRequest):
                await storage.create(Call(user=ANN, verb="create"), Object())

    asyncio.run(run())
