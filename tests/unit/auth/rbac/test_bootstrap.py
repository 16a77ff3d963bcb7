"""What the first roles allow, from the reference of OpenShift's and Kubernetes' policy."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.rbac.documents import binding, rule, store_all
from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, User
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.auth.rbac import bootstrap
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.bootstrap_roles import cluster_roles
from tidegate.auth.rbac.kinds import GROUP, ClusterRoleBinding
from tidegate.auth.rbac.reconciliation import bind_namespace, grant_cluster_admin, reconcile
from tidegate.auth.rbac.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate.auth.rbac.rules import covers
from tidegate.auth.rbac.shorthand import AUTOUPDATE
from tidegate.auth.stored import put, read

K = TypeVar("K", bound=Object)

NOW = 1_700_000_000.0
LOCAL = ("system:authenticated", "system:authenticated:oauth")
ACCOUNT = ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated")
SHOP, BANK = "shop", "bank"


async def prepared() -> MemoryStore:
    store = MemoryStore()
    await store.write(lambda tx: reconcile(tx, NOW))
    await store.write(lambda tx: bind_namespace(tx, SHOP, NOW))
    roles = ["admin", "edit", "view", "system:image-puller", "system:image-pusher"]
    roles += ["system:image-signer", "registry-viewer", "registry-editor", "registry-admin"]
    await store_all(store, *(binding(SHOP, r, f"ClusterRole/{r}", f"User/{r}") for r in roles))
    return store


async def allows(user: User, asked: Attributes) -> bool:
    authorizer = RbacAuthorizer(await prepared(), lambda: 0.0)
    await authorizer.start()
    return await authorizer.authorize(user, asked)


def local(name: str, *groups: str) -> User:
    return User(name, (*LOCAL, *groups))


def account(name: str) -> User:
    return User(f"system:serviceaccount:shop:{name}", ACCOUNT)


def image(verb: str, resource: str, namespace: str = SHOP) -> Attributes:
    return Attributes(verb, resource, namespace, "web")


def core(verb: str, resource: str, namespace: str = SHOP) -> Attributes:
    return Attributes(verb, resource, namespace, group="")


def of(group: str, verb: str, resource: str, namespace: str = "", name: str = "") -> Attributes:
    return Attributes(verb, resource, namespace, name, group)


PULL, PUSH = image("get", "imagestreams/layers"), image("update", "imagestreams/layers")
ROLEBINDINGS = of(GROUP, "create", "rolebindings", SHOP)
REQUEST = of("project.openshift.io", "create", "projectrequests")


@pytest.mark.parametrize(
    ("user", "asked", "allowed"),
    [
        # pulling and pushing
        (local("admin"), PUSH, True),
        (local("edit"), PUSH, True),
        (local("view"), PULL, True),  # by registry-viewer
        (local("view"), PUSH, False),
        (local("system:image-puller"), PULL, True),
        (local("system:image-puller"), PUSH, False),
        (local("system:image-pusher"), PUSH, True),
        (local("system:image-pusher"), image("create", "imagestreams"), False),
        (local("system:image-pusher"), image("delete", "imagestreamtags"), False),
        (local("edit"), image("create", "imagestreams"), True),
        (local("edit"), image("delete", "imagestreamtags"), True),
        (local("edit"), image("create", "imagestreamimports"), True),
        (local("edit"), image("get", "imagestreams/secrets"), True),
        (local("view"), image("get", "imagestreams/secrets"), False),
        (local("admin"), image("delete", "images", ""), False),
        (local("admin"), image("get", "imagestreams/layers", BANK), False),
        (local("nobody"), PULL, False),
        (ANONYMOUS, PULL, False),
        (local("system:image-signer"), image("create", "imagesignatures"), True),
        (local("registry-viewer"), PULL, True),
        (local("registry-viewer"), PUSH, False),
        (local("registry-editor"), PUSH, True),
        (local("registry-editor"), core("update", "secrets"), True),
        (local("registry-editor"), ROLEBINDINGS, False),
        (local("registry-admin"), ROLEBINDINGS, True),
        (local("registry-admin"), core("get", "configmaps"), False),
        # ours: history, what comes back, rules on names
        *(
            (local(role), of("image.openshift.io", "get", "imagestreamtags/history", SHOP), True)
            for role in (
                "admin",
                "edit",
                "view",
                "registry-admin",
                "registry-editor",
                "registry-viewer",
            )
        ),
        *(
            (local(role), of("image.openshift.io", "create", resource, SHOP), may)
            for role, may in (
                ("admin", True),
                ("edit", True),
                ("view", False),
                ("registry-admin", True),
                ("registry-editor", True),
                ("registry-viewer", False),
                ("system:image-pusher", False),
            )
            for resource in (
                "imagestreams/undelete",
                "imagestreamtags/rollback",
                "imagestreamtags/undelete",
            )
        ),
        *(
            (local(role), of("tidegate.io", verb, resource, SHOP), may)
            for role, writes in (
                ("admin", True),
                ("edit", False),
                ("view", False),
                ("registry-admin", True),
                ("registry-editor", False),
                ("registry-viewer", False),
            )
            for verb, may in (("list", True), ("create", writes), ("delete", writes))
            for resource in ("imageapprovals", "mirrors", "tagpolicies", "triggerpolicies")
        ),
        *(
            (local(role), of("tidegate.io", verb, "backgroundjobs", SHOP), may)
            for role in ("admin", "edit", "view", "registry-viewer")
            for verb, may in (("get", True), ("list", True), ("delete", False))
        ),
        (
            local("nobody"),
            of("image.openshift.io", "get", "imagestreamtags/history", "openshift"),
            True,
        ),
        # service accounts
        (account("default"), PULL, True),
        (account("default"), PUSH, False),
        (account("builder"), PUSH, True),
        (account("builder"), image("create", "imagestreams"), True),
        (account("builder"), image("update", "imagestreams/layers", BANK), False),
        (account("deployer"), image("update", "imagestreamtags"), True),
        (User("system:serviceaccount:bank:default", ACCOUNT[:1]), PULL, False),
        # the namespace openshift
        (local("nobody"), image("get", "imagestreams/layers", "openshift"), True),
        (account("default"), image("list", "imagestreams", "openshift"), True),
        (local("nobody"), core("get", "configmaps", "openshift"), True),
        (local("nobody"), core("list", "configmaps", "openshift"), False),
        (ANONYMOUS, image("get", "imagestreams/layers", "openshift"), False),
        # projects and what is in them
        (local("nobody"), REQUEST, True),
        (account("default"), REQUEST, False),
        (ANONYMOUS, REQUEST, False),
        (local("nobody"), of("project.openshift.io", "list", "projects"), True),
        (local("admin"), of("project.openshift.io", "delete", "projects", SHOP, SHOP), True),
        (local("edit"), of("project.openshift.io", "delete", "projects", SHOP, SHOP), False),
        (local("view"), core("get", "namespaces"), True),
        (local("admin"), core("update", "namespaces"), False),
        (local("edit"), core("get", "secrets"), True),
        (local("view"), core("get", "secrets"), False),
        (local("edit"), core("create", "serviceaccounts/token"), True),
        (local("view"), core("get", "serviceaccounts"), True),
        (local("view"), core("create", "serviceaccounts/token"), False),
        (local("edit"), core("update", "configmaps"), True),
        (local("view"), core("list", "events"), True),
        (local("view"), core("get", "resourcequotas"), True),
        (local("admin"), core("update", "resourcequotas"), False),
        (local("admin"), core("update", "limitranges"), False),
        # rights
        (local("admin"), ROLEBINDINGS, True),
        (local("admin"), of(GROUP, "escalate", "roles", SHOP), False),
        (local("admin"), of(GROUP, "bind", "roles", SHOP), False),
        (local("admin"), of(GROUP, "create", "clusterrolebindings"), False),
        (local("edit"), ROLEBINDINGS, False),
        (local("view"), of(GROUP, "get", "rolebindings", SHOP), False),
        (local("nobody"), of(GROUP, "get", "clusterroles", "", "admin"), True),
        (
            local("admin"),
            of("authorization.openshift.io", "create", "localresourceaccessreviews", SHOP),
            True,
        ),
        (
            local("admin"),
            of("authorization.k8s.io", "create", "localsubjectaccessreviews", SHOP),
            True,
        ),
        (local("nobody"), of("authorization.k8s.io", "create", "subjectaccessreviews"), False),
        (local("nobody"), of("authorization.k8s.io", "create", "selfsubjectaccessreviews"), True),
        (local("nobody"), of("authorization.k8s.io", "create", "selfsubjectrulesreviews"), True),
        (local("nobody"), of("authentication.k8s.io", "create", "selfsubjectreviews"), True),
        (ANONYMOUS, of("authorization.k8s.io", "create", "selfsubjectaccessreviews"), True),
        (ANONYMOUS, of("authentication.k8s.io", "create", "selfsubjectreviews"), False),
        # oneself
        (local("nobody"), of("user.openshift.io", "get", "users", "", "~"), True),
        (local("nobody"), of("user.openshift.io", "get", "users", "", "root"), False),
        (local("nobody"), of("user.openshift.io", "list", "users"), False),
        # paths
        (local("nobody"), Attributes("get", path="/apis/image.openshift.io/v1"), True),
        (local("nobody"), Attributes("get", path="/openapi/v3"), True),
        (account("default"), Attributes("get", path="/openid/v1/jwks"), True),
        (local("nobody"), Attributes("get", path="/metrics"), False),
        (ANONYMOUS, Attributes("get", path="/version"), True),
        (ANONYMOUS, Attributes("get", path="/readyz"), True),
        (ANONYMOUS, Attributes("get", path="/.well-known/oauth-authorization-server"), True),
        (ANONYMOUS, Attributes("get", path="/openapi/v2"), False),
        (ANONYMOUS, Attributes("get", path="/apis"), False),
        # the whole cluster
        (local("x", "system:cluster-admins"), image("delete", "images", ""), True),
        (local("x", "system:cluster-admins"), Attributes("put", path="/anything"), True),
        (local("x", "system:cluster-readers"), image("get", "imagestreams/layers", BANK), True),
        (local("x", "system:cluster-readers"), image("update", "imagestreams/layers"), False),
        (local("x", "system:cluster-readers"), core("get", "secrets"), False),
        (local("x", "system:cluster-readers"), core("get", "configmaps", BANK), True),
        (local("x", "system:cluster-readers"), of("user.openshift.io", "list", "groups"), True),
        (User("kube", ("system:masters",)), of(GROUP, "escalate", "clusterroles"), True),
    ],
)
def test_first_roles_allow_what_openshift_says(
    user: User, asked: Attributes, allowed: bool
) -> None:
    assert asyncio.run(allows(user, asked)) is allowed


def test_who_has_more_covers_who_has_less() -> None:
    async def run() -> None:
        authorizer = RbacAuthorizer(await prepared(), lambda: 0.0)
        await authorizer.start()
        for more, less in (
            ("cluster-admin", "admin"),
            ("admin", "edit"),
            ("edit", "view"),
            ("edit", "registry-editor"),
            ("admin", "registry-admin"),
            ("admin", "system:image-builder"),
            ("cluster-reader", "view"),
            ("registry-admin", "registry-editor"),
            ("system:image-pusher", "system:image-puller"),
        ):
            owned = await authorizer.rules_of_role("", more)
            wanted = await authorizer.rules_of_role("", less)
            assert owned
            assert wanted
            assert covers(owned, wanted), (more, less)
            assert not covers(wanted, owned), (more, less)

    asyncio.run(run())


def faults(resource: Resource[K], made: Sequence[K]) -> list[str]:
    found = [str(each) for new in made for each in resource.strategy.validate(new, None)]
    names = [each.metadata.name for each in made]
    return found + [name for name in names if names.count(name) > 1]


def test_everything_in_the_table_is_valid_and_there_once() -> None:
    assert faults(CLUSTER_ROLES, cluster_roles()) == []
    assert faults(ROLES, bootstrap.roles()) == []
    assert faults(CLUSTER_ROLE_BINDINGS, bootstrap.cluster_role_bindings()) == []
    assert faults(ROLE_BINDINGS, bootstrap.role_bindings()) == []
    assert faults(ROLE_BINDINGS, bootstrap.namespace_bindings(SHOP)) == []
    known = {each.metadata.name for each in cluster_roles()}
    bound = {each.role_ref.name for each in bootstrap.cluster_role_bindings()}
    assert bound | {each.role_ref.name for each in bootstrap.namespace_bindings(SHOP)} <= known
    used = [rule for role in cluster_roles() for rule in role.rules]
    words = {word for each in used for word in (*each.verbs, *each.api_groups, *each.resources)}
    assert not [word for word in words if word.isupper()]  # shorthand that was not known


def test_a_namespace_has_the_three_bindings_with_openshifts_descriptions() -> None:
    made = bootstrap.namespace_bindings(SHOP)
    assert [(each.metadata.name, each.role_ref.name) for each in made] == [
        ("system:image-pullers", "system:image-puller"),
        ("system:image-builders", "system:image-builder"),
        ("system:deployers", "system:deployer"),
    ]
    assert made[0].metadata.annotations == {
        "openshift.io/description": "Allows all pods in this namespace to pull images from this "
        "namespace.  It is auto-managed by a controller; remove subjects to disable."
    }
    assert [each.subjects[0].name for each in made] == [
        "system:serviceaccounts:shop",
        "builder",
        "deployer",
    ]


def state(store: MemoryStore) -> dict[Key, int]:
    return {key: each.revision for key, each in store.documents.items()}


def test_reconciling_again_changes_nothing() -> None:
    async def run() -> None:
        store = await prepared()
        before = state(store)
        await store.write(lambda tx: reconcile(tx, NOW + 1))
        await store.write(lambda tx: bind_namespace(tx, SHOP, NOW + 1))
        assert state(store) == before

    asyncio.run(run())


PULLER = Key(CLUSTER_ROLES.key, "", "system:image-puller")
PROVISIONERS = Key(CLUSTER_ROLE_BINDINGS.key, "", "self-provisioners")


def test_rules_taken_away_come_back_and_rules_added_stay() -> None:
    async def run() -> None:
        store, added = await prepared(), rule("list", "imagestreams")

        def unit(tx: DocumentTransaction) -> None:
            role = read(CLUSTER_ROLES, store.documents[PULLER])
            role.rules = [added]
            put(tx, CLUSTER_ROLES, role)

        await store.write(unit)
        await store.write(lambda tx: reconcile(tx, NOW))
        rules = read(CLUSTER_ROLES, store.documents[PULLER]).rules
        assert rules[0] == added
        assert covers(rules, [rule("get", "imagestreams/layers", "'',image.openshift.io")])

    asyncio.run(run())


def test_the_annotation_false_keeps_what_the_administrator_made_of_it() -> None:
    async def run() -> None:
        store = await prepared()

        def unit(tx: DocumentTransaction) -> None:
            role = read(CLUSTER_ROLES, store.documents[PULLER])
            role.rules, role.metadata.annotations = [], {AUTOUPDATE: "false"}
            put(tx, CLUSTER_ROLES, role)
            found = read(CLUSTER_ROLE_BINDINGS, store.documents[PROVISIONERS])
            found.subjects, found.metadata.annotations = [], {AUTOUPDATE: "false"}
            put(tx, CLUSTER_ROLE_BINDINGS, found)

        await store.write(unit)
        await store.write(lambda tx: reconcile(tx, NOW))
        assert read(CLUSTER_ROLES, store.documents[PULLER]).rules == []
        assert read(CLUSTER_ROLE_BINDINGS, store.documents[PROVISIONERS]).subjects == []

    asyncio.run(run())


def test_a_subject_taken_away_comes_back_and_another_role_is_put_right() -> None:
    async def run() -> None:
        store = await prepared()

        def unit(tx: DocumentTransaction) -> None:
            found = read(CLUSTER_ROLE_BINDINGS, store.documents[PROVISIONERS])
            found.subjects = [bootstrap.user("ann")]
            put(tx, CLUSTER_ROLE_BINDINGS, found)
            other = Key(CLUSTER_ROLE_BINDINGS.key, "", "basic-users")
            wrong = read(CLUSTER_ROLE_BINDINGS, store.documents[other])
            wrong.role_ref = bootstrap.cluster_role_ref("cluster-admin")
            put(tx, CLUSTER_ROLE_BINDINGS, wrong)

        await store.write(unit)
        await store.write(lambda tx: reconcile(tx, NOW))
        after = read(CLUSTER_ROLE_BINDINGS, store.documents[PROVISIONERS])
        assert [each.name for each in after.subjects] == ["ann", "system:authenticated:oauth"]
        righted = read(
            CLUSTER_ROLE_BINDINGS,
            store.documents[Key(CLUSTER_ROLE_BINDINGS.key, "", "basic-users")],
        )
        assert righted.role_ref.name == "basic-user"

    asyncio.run(run())


def test_labels_rules_of_roles_and_selectors_are_completed_too() -> None:
    async def run() -> None:
        store = await prepared()
        viewer = Key(ROLES.key, "openshift", "shared-resource-viewer")
        reader = Key(CLUSTER_ROLES.key, "", "cluster-reader")

        def unit(tx: DocumentTransaction) -> None:
            role = read(ROLES, store.documents[viewer])
            role.rules, role.metadata.labels = [], {"mine": "yes"}
            put(tx, ROLES, role)
            gathering = read(CLUSTER_ROLES, store.documents[reader])
            assert gathering.aggregation_rule is not None
            del gathering.aggregation_rule.cluster_role_selectors[0]
            put(tx, CLUSTER_ROLES, gathering)
            admin = read(CLUSTER_ROLES, store.documents[Key(CLUSTER_ROLES.key, "", "admin")])
            admin.aggregation_rule = None
            put(tx, CLUSTER_ROLES, admin)

        before = {key: store.documents[key].body for key in (viewer, reader)}
        await store.write(unit)
        await store.write(lambda tx: reconcile(tx, NOW))
        role = read(ROLES, store.documents[viewer])
        assert role.metadata.labels == {
            "mine": "yes",
            "kubernetes.io/bootstrapping": "rbac-defaults",
        }
        assert covers(role.rules, read(ROLES, _document(store, viewer, before)).rules)
        after = read(CLUSTER_ROLES, store.documents[reader])
        assert after.aggregation_rule is not None
        assert len(after.aggregation_rule.cluster_role_selectors) == 2
        assert after.rules == read(CLUSTER_ROLES, _document(store, reader, before)).rules
        admin = read(CLUSTER_ROLES, store.documents[Key(CLUSTER_ROLES.key, "", "admin")])
        assert admin.aggregation_rule is not None

    asyncio.run(run())


def _document(store: MemoryStore, key: Key, bodies: dict[Key, bytes]) -> Document:
    return store.documents[key]._replace(body=bodies[key])


def test_a_cluster_admin_is_granted_once() -> None:
    async def run() -> None:
        store = await prepared()
        for _ in range(2):
            await store.write(lambda tx: grant_cluster_admin(tx, "admin", NOW))
        found = read(
            CLUSTER_ROLE_BINDINGS,
            store.documents[Key(CLUSTER_ROLE_BINDINGS.key, "", "cluster-admin-admin")],
        )
        assert isinstance(found, ClusterRoleBinding)
        assert [each.name for each in found.subjects] == ["admin"]
        authorizer = RbacAuthorizer(store, lambda: 0.0)
        await authorizer.start()
        assert await authorizer.authorize(User("admin"), of(GROUP, "escalate", "clusterroles"))

    asyncio.run(run())
