"""Nobody gets more than she was given: by roles, bindings, names of others, or their tokens.

Mallory is the administrator of her own project, which lets her write roles and bindings there.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.attacking import (
    APPLY,
    EVERYTHING,
    GROUP,
    LAIR,
    READ_MAPS,
    VAULT,
    Scene,
    account_binding,
    account_token,
    attacked,
    bearer,
    cannot,
    role,
)
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    USERS,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of
from tests.server import PASSWORD, wait_until

OAUTH = "/apis/oauth.openshift.io/v1"
MINE = f"{RBAC}/namespaces/{LAIR}"

_names = (f"n{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("escalation") / "data") as ready:
        yield ready


@pytest.fixture
def name() -> str:
    return next(_names)


# Roles


@pytest.mark.parametrize(
    "rule",
    [
        EVERYTHING[0],
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
        {"apiGroups": ["*"], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets/*"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["*/token"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]},
        {"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["escalate"]},
        {"apiGroups": [GROUP], "resources": ["clusterroles"], "verbs": ["bind"]},
        {
            "apiGroups": [GROUP],
            "resources": ["clusterroles"],
            "verbs": ["bind"],
            "resourceNames": ["cluster-admin"],
        },
        {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["update"]},
    ],
)
def test_no_write_of_a_role_gives_what_its_writer_lacks(
    scene: Scene, name: str, rule: dict[str, Any]
) -> None:
    mallory, path = scene.mallory, f"{MINE}/roles"
    harmless = mallory.make(path, role(name, READ_MAPS))
    stronger = role(name, [rule])
    new = role(f"{name}-new", [rule])
    replaced = {**harmless, "rules": [rule]}
    added = [{"op": "add", "path": "/rules/-", "value": rule}]
    for attempt in (
        mallory.post(path, new),
        mallory.post(path, {**new, "metadata": {"generateName": "role-"}}),
        mallory.post(path, new, dryRun="All"),
        mallory.put(f"{path}/{name}-new", new),
        mallory.put(f"{path}/{name}", stronger),
        mallory.put(f"{path}/{name}", replaced),
        mallory.patch(f"{path}/{name}", {"rules": [rule]}),
        mallory.patch(
            f"{path}/{name}", {"rules": [rule]}, "application/strategic-merge-patch+json"
        ),
        mallory.patch(f"{path}/{name}", added, "application/json-patch+json"),
        mallory.patch(f"{path}/{name}", stronger, APPLY, fieldManager="m", force="true"),
        mallory.patch(f"{path}/{name}-new", new, APPLY, fieldManager="m"),
    ):
        assert attempt.status_code == 403, attempt.text
        assert "is attempting to grant RBAC permissions not currently held" in attempt.text
    assert mallory.read(f"{path}/{name}")["rules"] == READ_MAPS
    assert mallory.get(f"{path}/{name}-new").status_code == 404


def test_cluster_roles_are_not_for_a_projects_administrator(scene: Scene, name: str) -> None:
    mallory, path = scene.mallory, f"{RBAC}/clusterroles"
    labels = {f"{GROUP}/aggregate-to-admin": "true"}
    gathered = {
        **role(name, READ_MAPS, "ClusterRole"),
        "metadata": {"name": name, "labels": labels},
    }
    gathering = {
        **role(name, [], "ClusterRole"),
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": labels}]},
    }
    for attempt in (
        mallory.post(path, gathered),
        mallory.put(f"{path}/{name}", gathered),
        mallory.post(path, gathering),
        mallory.patch(f"{path}/admin", {"rules": EVERYTHING}),
        mallory.patch(f"{path}/view", {"metadata": {"labels": labels}}),
        mallory.patch(f"{path}/{name}", gathered, APPLY, fieldManager="m"),
        mallory.delete(f"{path}/view"),
        mallory.post(f"{MINE}/clusterroles", gathered),
        mallory.post(f"{MINE}/roles", gathered),
    ):
        assert attempt.status_code in (400, 403, 404), attempt.text
    assert scene.admin.get(f"{path}/{name}").status_code == 404


def test_who_may_write_cluster_roles_puts_nothing_in_admin_that_she_lacks(
    scene: Scene, name: str
) -> None:
    """The labels and aggregation rules of a role count as what it grants."""
    path = f"{RBAC}/clusterroles"
    add_user(scene.server, name)
    writer = [
        {
            "apiGroups": [GROUP],
            "resources": ["clusterroles"],
            "verbs": ["create", "update", "patch"],
        }
    ]
    scene.admin.make(path, role(f"writer-{name}", writer, "ClusterRole"))
    binding = {**role_binding(name, f"writer-{name}", name), "kind": "ClusterRoleBinding"}
    scene.admin.make(f"{RBAC}/clusterrolebindings", binding)
    strong = role(f"strong-{name}", EVERYTHING, "ClusterRole")
    scene.admin.make(path, strong)
    label = {f"{GROUP}/aggregate-to-admin": "true"}
    with kube_client(scene.server, name) as client:
        for attempt in (
            client.patch(f"{path}/strong-{name}", {"metadata": {"labels": label}}),
            client.post(
                path,
                {
                    **role(f"gathers-{name}", [], "ClusterRole"),
                    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]},
                },
            ),
            client.patch(
                f"{path}/writer-{name}",
                {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]}},
            ),
            client.patch(f"{path}/writer-{name}", {"rules": EVERYTHING}),
            client.post(path, role(f"new-{name}", READ_MAPS, "ClusterRole")),
        ):
            assert attempt.status_code == 403, attempt.text
        assert client.post(path, role(f"ok-{name}", writer, "ClusterRole")).status_code == 201


# Bindings


@pytest.mark.parametrize("stronger", ["cluster-admin", "cluster-reader", "system:image-pruner"])
def test_no_write_of_a_binding_gives_a_stronger_role(
    scene: Scene, name: str, stronger: str
) -> None:
    mallory, path = scene.mallory, f"{MINE}/rolebindings"
    weak = mallory.make(path, role_binding(name, "view", "somebody"))
    strong = role_binding(f"{name}-new", stronger, "mallory")
    everybody = role_binding(f"{name}-new", stronger, groups=("system:authenticated",))
    account = account_binding(f"{name}-new", stronger, LAIR, "default")
    for attempt in (
        mallory.post(path, strong),
        mallory.post(path, everybody),
        mallory.post(path, account),
        mallory.post(path, strong, dryRun="All"),
        mallory.put(f"{path}/{name}-new", strong),
        mallory.patch(f"{path}/{name}-new", strong, APPLY, fieldManager="m"),
    ):
        assert attempt.status_code == 403, attempt.text
    for attempt in (  # what a binding binds never changes
        mallory.put(f"{path}/{name}", {**weak, "roleRef": {**weak["roleRef"], "name": stronger}}),
        mallory.patch(f"{path}/{name}", {"roleRef": {"name": stronger}}),
        mallory.patch(
            f"{path}/{name}",
            [{"op": "replace", "path": "/roleRef/name", "value": stronger}],
            "application/json-patch+json",
        ),
    ):
        assert attempt.status_code in (403, 422), attempt.text
    assert mallory.read(f"{path}/{name}")["roleRef"]["name"] == "view"
    cannot(mallory)


def test_nobody_adds_herself_to_a_binding_of_a_stronger_role(scene: Scene, name: str) -> None:
    path = f"{MINE}/rolebindings"
    there = scene.admin.make(path, role_binding(name, "cluster-admin", "admin"))
    subject = {"kind": "User", "name": "mallory", "apiGroup": GROUP}
    changed = {**there, "subjects": [*there["subjects"], subject]}
    applied = role_binding(name, "cluster-admin", "mallory")
    for attempt in (
        scene.mallory.put(f"{path}/{name}", changed),
        scene.mallory.patch(f"{path}/{name}", {"subjects": [subject]}),
        scene.mallory.patch(
            f"{path}/{name}", {"subjects": [subject]}, "application/strategic-merge-patch+json"
        ),
        scene.mallory.patch(f"{path}/{name}", applied, APPLY, fieldManager="m", force="true"),
        scene.mallory.patch(f"{path}/{name}", {"subjects": [{**subject, "kind": "Group"}]}),
    ):
        assert attempt.status_code == 403, attempt.text
    assert scene.mallory.patch(f"{path}/{name}", {"subjects": []}).status_code == 200
    scene.admin.delete(f"{path}/{name}")


def test_a_binding_to_a_role_that_will_be_made_later_is_refused(scene: Scene, name: str) -> None:
    """Else a stronger role of that name, made by an administrator one day, would be mallory's."""
    for kind, wanted in (("Role", 404), ("ClusterRole", 404)):
        binding = role_binding(f"{name}-{kind.lower()}", "later", "mallory", kind=kind)
        attempt = scene.mallory.post(f"{MINE}/rolebindings", binding)
        assert attempt.status_code == wanted, attempt.text


def test_cluster_role_bindings_are_not_for_a_projects_administrator(
    scene: Scene, name: str
) -> None:
    mallory, path = scene.mallory, f"{RBAC}/clusterrolebindings"
    binding = {**role_binding(name, "view", "mallory"), "kind": "ClusterRoleBinding"}
    for attempt in (
        mallory.post(path, binding),
        mallory.put(f"{path}/{name}", binding),
        mallory.patch(f"{path}/{name}", binding, APPLY, fieldManager="m"),
        mallory.patch(f"{path}/basic-users", {"roleRef": {"name": "cluster-admin"}}),
        mallory.patch(f"{path}/cluster-admins", {"subjects": binding["subjects"]}),
        mallory.delete(f"{path}/cluster-admin"),
        mallory.delete(path),
        mallory.post(f"{MINE}/clusterrolebindings", binding),
        mallory.post(f"{MINE}/rolebindings", binding),  # another kind than the path's
    ):
        assert attempt.status_code in (400, 403, 404), attempt.text
    cannot(mallory)


def test_bind_on_one_role_binds_no_other(scene: Scene, name: str) -> None:
    path = f"{MINE}/rolebindings"
    rules = [
        {
            "apiGroups": [GROUP],
            "resources": ["clusterroles"],
            "verbs": ["bind"],
            "resourceNames": ["system:image-pruner"],
        }
    ]
    scene.admin.make(f"{MINE}/roles", role(name, rules))
    scene.admin.make(path, role_binding(name, name, "mallory", kind="Role"))
    try:
        assert (
            scene.mallory.post(
                path, role_binding(f"{name}-a", "system:image-pruner", "mallory")
            ).status_code
            == 201
        )
        for other in ("cluster-admin", "cluster-reader"):
            attempt = scene.mallory.post(path, role_binding(f"{name}-b", other, "mallory"))
            assert attempt.status_code == 403, attempt.text
        attempt = scene.mallory.post(
            f"{RBAC}/clusterrolebindings",
            {
                **role_binding(name, "system:image-pruner", "mallory"),
                "kind": "ClusterRoleBinding",
            },
        )
        assert attempt.status_code == 403, attempt.text
        pruner = role_binding(name, "system:image-pruner", "mallory")
        attempt = scene.mallory.post(f"{RBAC}/namespaces/{VAULT}/rolebindings", pruner)
        assert attempt.status_code == 403, attempt.text
    finally:
        scene.admin.delete(f"{path}/{name}")
        scene.admin.delete(f"{path}/{name}-a")


def test_escalate_on_one_role_makes_no_other(scene: Scene, name: str) -> None:
    path = f"{MINE}/roles"
    rules = [
        {
            "apiGroups": [GROUP],
            "resources": ["roles"],
            "verbs": ["escalate"],
            "resourceNames": [f"{name}-strong"],
        }
    ]
    scene.admin.make(path, role(name, rules))
    scene.admin.make(f"{MINE}/rolebindings", role_binding(name, name, "mallory", kind="Role"))
    try:
        strong = role(f"{name}-strong", EVERYTHING)
        other = role(f"{name}-other", EVERYTHING)
        # as in Kubernetes a POST is asked without a name, which a rule with names does not match
        assert scene.mallory.post(path, strong).status_code == 403
        assert scene.mallory.post(path, other).status_code == 403
        assert scene.mallory.put(f"{path}/{name}-other", other).status_code == 403
        assert scene.mallory.put(f"{path}/{name}-strong", strong).status_code == 201
        # to write it is not to have it
        bound = role_binding(f"{name}-strong", f"{name}-strong", "mallory", kind="Role")
        assert scene.mallory.post(f"{MINE}/rolebindings", bound).status_code == 403
    finally:
        scene.admin.delete(f"{MINE}/rolebindings/{name}")
        scene.admin.delete(f"{path}/{name}-strong")


def test_everything_in_one_project_is_nothing_of_the_cluster(scene: Scene, name: str) -> None:
    """Who was given cluster-admin in her project has no more than the project."""
    add_user(scene.server, name)
    scene.admin.make(f"{PROJECTS}/projectrequests", project(f"p-{name}"))
    here = f"namespaces/p-{name}"
    scene.admin.make(f"{RBAC}/{here}/rolebindings", role_binding(name, "cluster-admin", name))
    crb = {**role_binding(name, "view", name), "kind": "ClusterRoleBinding"}
    sar = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "alice", "resourceAttributes": {"verb": "get", "resource": "secrets"}},
    }
    review = {
        **sar,
        "kind": "LocalSubjectAccessReview",
        "spec": {
            "user": "alice",
            "resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": VAULT},
        },
    }
    access = "/apis/authorization.k8s.io/v1"
    with kube_client(scene.server, name) as client:
        assert client.get(f"{CORE}/{here}/secrets").status_code == 200
        cannot(client)
        for attempt in (
            client.get(f"{USERS}/{here}/users"),
            client.get(f"{USERS}/{here}/users/admin"),
            client.get(f"{CORE}/{here}/namespaces/{VAULT}"),
            client.get(f"{CORE}/{here}/namespaces"),
            client.delete(f"{CORE}/{here}/namespaces/{VAULT}"),
            client.get(f"{PROJECTS}/{here}/projects/{VAULT}"),
            client.delete(f"{PROJECTS}/{here}/projects/{VAULT}"),
            client.get(f"{OAUTH}/{here}/oauthaccesstokens"),
            client.post(f"{RBAC}/{here}/clusterrolebindings", crb),
            client.post(f"{RBAC}/clusterrolebindings", crb),
            client.post(f"{access}/{here}/subjectaccessreviews", sar),
            client.post(f"{access}/{here}/localsubjectaccessreviews", review),
            client.post(f"{access}/subjectaccessreviews", sar),
            client.get(f"{CORE}/{here}/users/admin"),
        ):
            assert attempt.status_code in (400, 403, 404, 422), (attempt.url, attempt.text)
        # in her own project she may impersonate by that role; users are of the cluster
        as_admin = {"Impersonate-User": "admin"}
        attempt = client.http.get(f"{CORE}/{here}/secrets", headers=as_admin)
        assert attempt.status_code == 403


# Being somebody else


@pytest.mark.parametrize(
    "headers",
    [
        {"Impersonate-User": "admin"},
        {"Impersonate-User": "alice"},
        {"Impersonate-User": "mallory", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "mallory", "Impersonate-Group": "system:cluster-admins"},
        {"Impersonate-Group": "system:masters"},
        {"Impersonate-User": "system:admin"},
        {"Impersonate-User": "system:anonymous", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": f"system:serviceaccount:{VAULT}:builder"},
        {"Impersonate-User": "system:serviceaccount:kube-system:x"},
        {"Impersonate-User": f"system:serviceaccount:{LAIR}:default:{VAULT}"},
        {"Impersonate-User": f"system:serviceaccount:{LAIR}/default"},
        {
            "Impersonate-User": f"system:serviceaccount:{LAIR}:default",
            "Impersonate-Group": "system:masters",
        },
        {
            "Impersonate-User": f"system:serviceaccount:{LAIR}:default",
            "Impersonate-Group": f"system:serviceaccounts:{VAULT}",
        },
        {"Impersonate-User": f"system:serviceaccount:{LAIR}:default", "Impersonate-Uid": "1"},
        {
            "Impersonate-User": f"system:serviceaccount:{LAIR}:default",
            "Impersonate-Extra-Scopes": "user:full",
        },
        {"Impersonate-Uid": "1"},
        {"Impersonate-Extra-a": "b"},
        {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
        {"X-Forwarded-User": "admin"},
        {"Remote-User": "admin"},
    ],
)
def test_impersonation_takes_a_right_for_each_of_its_headers(
    scene: Scene, headers: dict[str, str]
) -> None:
    with KubeClient(scene.server.url, None) as nobody:
        for client, path in itertools.product(
            (scene.mallory, nobody),
            (f"{CORE}/namespaces/{VAULT}/secrets", f"{RBAC}/clusterrolebindings"),
        ):
            answer = client.http.get(path, headers=headers)
            assert answer.status_code in (400, 401, 403), answer.text


def test_a_second_impersonated_user_is_not_taken_for_the_first(scene: Scene) -> None:
    allowed = f"system:serviceaccount:{LAIR}:default"
    assert scene.mallory.http.get(
        f"{CORE}/namespaces/{LAIR}/secrets", headers={"Impersonate-User": allowed}
    ).status_code in (403, 200)
    answer = scene.mallory.http.get(
        f"{CORE}/namespaces/{VAULT}/secrets",
        headers=[("Impersonate-User", allowed), ("Impersonate-User", "admin")],
    )
    assert answer.status_code == 403
    answer = scene.mallory.http.get(
        f"{CORE}/namespaces/{VAULT}/secrets",
        headers=[("Impersonate-User", "admin"), ("Impersonate-User", allowed)],
    )
    assert answer.status_code == 403


def test_an_impersonated_account_keeps_nothing_of_who_impersonates(scene: Scene) -> None:
    """May mallory act as an account of hers, what she does then is what the account may."""
    headers = {"Impersonate-User": f"system:serviceaccount:{LAIR}:default"}
    answer = scene.mallory.http.get(f"{CORE}/namespaces/{LAIR}/secrets", headers=headers)
    assert answer.status_code == 403
    # and acting as somebody does not lead on to acting as a third
    answer = scene.admin.http.get(
        f"{CORE}/namespaces/{VAULT}/secrets",
        headers=[("Impersonate-User", "mallory"), ("Impersonate-User", "alice")],
    )
    assert answer.status_code == 403


def test_two_authorization_headers_do_not_add_up(scene: Scene) -> None:
    admins = f"Bearer {scene.admin.token}"
    junk = "Bearer sha256~" + "A" * 43
    with KubeClient(scene.server.url, None) as client:
        for pair in ([junk, admins], [admins, junk]):
            headers = [("Authorization", each) for each in pair]
            first = client.http.get(f"{CORE}/secrets", headers=headers)
            assert first.status_code in (400, 401) or pair[0] == admins
        joined = client.http.get(f"{CORE}/secrets", headers={"Authorization": f"{junk}, {admins}"})
        assert joined.status_code == 401


# Accounts and tokens of another project


def test_an_account_of_one_project_is_nobody_in_another(scene: Scene) -> None:
    token = account_token(scene.mallory, LAIR, "builder")
    with (
        bearer(scene, token) as account,
        RegistryClient(scene.server.url, bearer=token) as registry,
    ):
        assert registry.manifest(f"{LAIR}/app", "1").status_code == 200
        cannot(account)
        for attempt in (
            registry.manifest(f"{VAULT}/app", "1"),
            registry.blob(f"{VAULT}/app", scene.image.blobs[0].digest),
            registry.http.get(f"/v2/{VAULT}/app/tags/list"),
            registry.http.post(f"/v2/{VAULT}/app/blobs/uploads/"),
            registry.put_manifest(f"{VAULT}/app", "2", scene.own.manifest),
            registry.http.delete(f"/v2/{VAULT}/app/manifests/1"),
            registry.http.post("/v2/elsewhere/app/blobs/uploads/"),  # an account makes no project
        ):
            assert attempt.status_code == 403, attempt.text
        basic = client_of(scene.server, credentials=("anything", token))
        with basic:
            assert basic.manifest(f"{LAIR}/app", "1").status_code == 200
            assert basic.manifest(f"{VAULT}/app", "1").status_code == 403


def test_nobody_gets_a_token_of_another_projects_account(scene: Scene, name: str) -> None:
    mallory = scene.mallory
    path = f"{CORE}/namespaces/{VAULT}/serviceaccounts/builder"
    for attempt in (
        mallory.post(f"{path}/token", {"spec": {}}),
        mallory.post(f"{path}/token", {"spec": {}}, dryRun="All"),
        mallory.get(path),
        mallory.get(f"{path}/token"),
        mallory.post(
            f"{CORE}/namespaces/{LAIR}/serviceaccounts/builder/token",
            {"metadata": {"namespace": VAULT}, "spec": {}},
        ),
        mallory.post(
            f"{CORE}/namespaces/{LAIR}/serviceaccounts/{VAULT}:builder/token", {"spec": {}}
        ),
        mallory.post(
            f"{CORE}/namespaces/{LAIR}/serviceaccounts/..%2f..%2f{VAULT}%2fserviceaccounts%2f"
            "builder/token",
            {"spec": {}},
        ),
    ):
        assert attempt.status_code in (400, 403, 404, 405), attempt.text
        assert "eyJ" not in attempt.text


def test_a_token_secret_is_of_an_account_in_its_own_namespace(scene: Scene, name: str) -> None:
    """As in Kubernetes, who writes a project's secrets can be its accounts, and no others."""
    path = f"{CORE}/namespaces/{LAIR}/secrets"
    scene.alice.make(
        f"{CORE}/namespaces/{VAULT}/serviceaccounts", {"metadata": {"name": f"strong-{name}"}}
    )
    account = scene.alice.read(f"{CORE}/namespaces/{VAULT}/serviceaccounts/strong-{name}")
    annotation = "kubernetes.io/service-account"

    def secret(**annotations: str) -> dict[str, Any]:
        return {
            "metadata": {"generateName": "token-", "annotations": annotations},
            "type": f"{annotation}-token",
        }

    for attempt in (
        secret(**{f"{annotation}.name": f"strong-{name}"}),
        secret(**{f"{annotation}.name": f"{VAULT}/strong-{name}"}),
        secret(**{f"{annotation}.name": f"{VAULT}:strong-{name}"}),
        secret(
            **{
                f"{annotation}.name": "builder",
                f"{annotation}.uid": account["metadata"]["uid"],
            }
        ),
        secret(
            **{f"{annotation}.name": f"strong-{name}", f"{annotation}.namespace": VAULT},
        ),
    ):
        answer = scene.mallory.post(path, attempt)
        assert answer.status_code == 422, answer.text
    answer = scene.mallory.post(f"{CORE}/namespaces/{VAULT}/secrets", attempt)
    assert answer.status_code == 403

    made = scene.mallory.make(path, secret(**{f"{annotation}.name": "builder"}))
    patched = scene.mallory.patch(
        f"{path}/{made['metadata']['name']}",
        {
            "metadata": {
                "annotations": {
                    f"{annotation}.name": f"strong-{name}",
                    f"{annotation}.uid": account["metadata"]["uid"],
                }
            }
        },
    )
    assert patched.status_code in (200, 422)
    token = scene.mallory.read(f"{path}/{made['metadata']['name']}")["data"].get("token", "")
    assert "vault" not in token.lower()


# Users, groups, tokens


def test_users_groups_and_identities_are_for_administrators(scene: Scene, name: str) -> None:
    mallory = scene.mallory
    scene.admin.make(f"{USERS}/groups", {"metadata": {"name": name}, "users": ["alice"]})
    member = {"metadata": {"name": name}, "users": ["mallory"]}
    for attempt in (
        mallory.patch(f"{USERS}/groups/{name}", {"users": ["mallory"]}),
        mallory.put(f"{USERS}/groups/{name}", member),
        mallory.post(f"{USERS}/groups", {**member, "metadata": {"name": f"{name}-b"}}),
        mallory.patch(f"{USERS}/groups/{name}-b", member, APPLY, fieldManager="m"),
        mallory.delete(f"{USERS}/groups/{name}"),
        mallory.patch(f"{USERS}/users/mallory", {"groups": ["system:masters"]}),
        mallory.patch(f"{USERS}/users/~", {"groups": ["system:masters"]}),
        mallory.patch(f"{USERS}/users/alice", {"identities": ["local:mallory"]}),
        mallory.post(f"{USERS}/users", {"metadata": {"name": f"{name}-user"}}),
        mallory.delete(f"{USERS}/users/alice"),
        mallory.get(f"{USERS}/users/alice"),
        mallory.get(f"{USERS}/identities/local:mallory"),
        mallory.patch(f"{USERS}/identities/local:mallory", {"user": {"name": "admin", "uid": "x"}}),
        mallory.delete(f"{USERS}/identities/local:admin"),
        mallory.post(
            f"{USERS}/identities",
            {
                "metadata": {"name": f"corp:{name}"},
                "providerName": "corp",
                "providerUserName": name,
                "user": {"name": "admin", "uid": "x"},
            },
        ),
    ):
        assert attempt.status_code in (403, 404, 405), (attempt.url, attempt.text)
    me = mallory.read(f"{USERS}/users/~")
    assert me["metadata"]["name"] == "mallory"
    assert "system:masters" not in me["groups"]


def test_an_administrator_makes_no_user_or_group_with_a_name_of_the_system(scene: Scene) -> None:
    """Else her users could stand beside service accounts and groups that nobody gave out."""
    for path, made in (
        (f"{USERS}/users", {"metadata": {"name": "system:admin"}}),
        (f"{USERS}/groups", {"metadata": {"name": "system:masters"}, "users": ["mallory"]}),
        (f"{USERS}/groups", {"metadata": {"name": "g"}, "users": ["system:anonymous"]}),
        (f"{USERS}/users", {"metadata": {"name": "~"}}),
        (f"{USERS}/users", {"metadata": {"name": ".."}}),
        (f"{USERS}/users", {"metadata": {"name": "a/b"}}),
    ):
        answer = scene.admin.post(path, made)
        assert answer.status_code == 422, answer.text


def test_access_tokens_are_made_by_logging_in_and_read_by_nobody_else(
    scene: Scene, name: str
) -> None:
    mallory = scene.mallory
    own: dict[str, Any] = {
        "apiGroups": ["oauth.openshift.io"],
        "resources": ["useroauthaccesstokens"],
        "verbs": ["get", "list", "delete"],
    }
    scene.admin.make(f"{RBAC}/clusterroles", role(name, [own], "ClusterRole"))
    binding = {**role_binding(name, name, "mallory"), "kind": "ClusterRoleBinding"}
    scene.admin.make(f"{RBAC}/clusterrolebindings", binding)
    made: dict[str, Any] = {
        "metadata": {"name": "sha256~" + "A" * 43},
        "clientName": "openshift-challenging-client",
        "userName": "admin",
        "userUID": "",
        "scopes": ["user:full"],
        "redirectURI": "",
    }
    admins = scene.admin.read(f"{OAUTH}/useroauthaccesstokens")["items"][0]["metadata"]["name"]
    for attempt in (
        mallory.post(f"{OAUTH}/oauthaccesstokens", made),
        mallory.put(f"{OAUTH}/oauthaccesstokens/{made['metadata']['name']}", made),
        mallory.get(f"{OAUTH}/oauthaccesstokens"),
        mallory.get(f"{OAUTH}/oauthauthorizetokens"),
        mallory.get(f"{OAUTH}/oauthaccesstokens/{admins}"),
        mallory.get(f"{OAUTH}/useroauthaccesstokens/{admins}"),
        mallory.delete(f"{OAUTH}/useroauthaccesstokens/{admins}"),
        mallory.patch(f"{OAUTH}/oauthaccesstokens/{admins}", {"userName": "mallory"}),
        mallory.post(f"{OAUTH}/oauthclients", {"metadata": {"name": "mine"}}),
    ):
        assert attempt.status_code in (403, 404, 405), (attempt.url, attempt.text)
    for selector in ("userName=admin", "userName=admin,userName=mallory"):
        tokens = mallory.get(f"{OAUTH}/useroauthaccesstokens", fieldSelector=selector)
        assert tokens.status_code == 400 or not tokens.json().get("items"), tokens.text
    tokens = mallory.read(f"{OAUTH}/useroauthaccesstokens")["items"]
    assert {each["userName"] for each in tokens} == {"mallory"}
    # even an administrator cannot write one that stands for a secret of her choice
    assert scene.admin.post(f"{OAUTH}/oauthaccesstokens", made).status_code in (405, 422, 403, 400)


def test_reviews_of_others_are_for_who_may_review(scene: Scene) -> None:
    spec = {
        "user": "alice",
        "groups": ["system:masters"],
        "resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": VAULT},
    }
    k8s, openshift = "/apis/authorization.k8s.io/v1", "/apis/authorization.openshift.io/v1"
    theirs = {"namespace": VAULT, "verb": "get", "resource": "secrets", "user": "alice"}
    for path, body in (
        (f"{k8s}/subjectaccessreviews", {"spec": spec}),
        (f"{k8s}/namespaces/{VAULT}/localsubjectaccessreviews", {"spec": spec}),
        (f"{k8s}/namespaces/{LAIR}/localsubjectaccessreviews", {"spec": spec}),
        (f"{openshift}/subjectaccessreviews", theirs),
        (f"{openshift}/resourceaccessreviews", theirs),
        (f"{openshift}/namespaces/{VAULT}/localsubjectaccessreviews", theirs),
        (f"{openshift}/namespaces/{VAULT}/localresourceaccessreviews", theirs),
        (f"{openshift}/namespaces/{VAULT}/subjectrulesreviews", {"spec": {"user": "alice"}}),
        (
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {"spec": {"token": scene.alice.token}},
        ),
    ):
        answer = scene.mallory.post(path, body)
        assert answer.status_code in (400, 403, 422), (path, answer.text)
        assert "system:authenticated" not in answer.text.replace("groups=", "")


def test_rights_taken_away_are_gone_at_once_for_who_has_a_token(scene: Scene, name: str) -> None:
    add_user(scene.server, name)
    path = f"{RBAC}/namespaces/{VAULT}/rolebindings"
    scene.alice.make(path, role_binding(name, "view", name))
    with kube_client(scene.server, name) as client, scene.registry(name, PASSWORD) as registry:
        maps = f"{CORE}/namespaces/{VAULT}/configmaps"
        assert client.get(maps).status_code == 200
        token = registry.token(f"repository:{VAULT}/app:pull")
        with RegistryClient(scene.server.url, bearer=token) as pulling:
            assert pulling.manifest(f"{VAULT}/app", "1").status_code == 200
            scene.alice.delete(f"{path}/{name}")
            wait_until(lambda: client.get(maps).status_code == 403, seconds=5, what="a refusal")
            wait_until(
                lambda: pulling.manifest(f"{VAULT}/app", "1").status_code == 403,
                seconds=5,
                what="a refusal of the token that was given before",
            )
