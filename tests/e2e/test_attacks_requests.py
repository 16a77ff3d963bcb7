"""What a request points at is what was judged: no spelling, selector or body leads elsewhere."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.attacking import APPLY, GROUP, LAIR, VAULT, Scene, attacked, raw, role
from tests.kube_client import CORE, RBAC, add_user, kube_client, role_binding

_names = (f"n{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("requests") / "data") as ready:
        yield ready


@pytest.fixture
def name() -> str:
    return next(_names)


@pytest.mark.parametrize("kind", ["configmaps", "secrets", "serviceaccounts"])
def test_what_the_body_says_does_not_lead_out_of_the_path(
    scene: Scene, name: str, kind: str
) -> None:
    path = f"{CORE}/namespaces/{LAIR}/{kind}"
    made = scene.mallory.make(path, {"metadata": {"name": name}})
    foreign = {"metadata": {"name": name, "namespace": VAULT}}
    for attempt in (
        scene.mallory.post(path, foreign),
        scene.mallory.put(f"{path}/{name}", {**made, **foreign}),
        scene.mallory.patch(f"{path}/{name}", foreign),
        scene.mallory.patch(f"{path}/{name}", foreign, APPLY, fieldManager="m"),
        scene.mallory.put(f"{path}/{name}", {"metadata": {"name": "other"}}),
        scene.mallory.patch(f"{path}/{name}", {"metadata": {"name": "other"}}),
        scene.mallory.put(f"{path}/{name}", {"metadata": {"name": name, "uid": "another"}}),
        scene.mallory.post(f"{CORE}/{kind}", foreign),
    ):
        assert attempt.status_code in (400, 403, 404, 405, 409, 422), attempt.text
    assert scene.alice.get(f"{CORE}/namespaces/{VAULT}/{kind}/{name}").status_code == 404


@pytest.mark.parametrize(
    "target",
    [
        f"/api/v1/namespaces/{LAIR}/secrets/..%2f..%2f{VAULT}%2fsecrets%2fs",
        f"/api/v1/namespaces/{LAIR}/secrets/../../{VAULT}/secrets/s",
        f"/api/v1/namespaces/{LAIR}/secrets/%2e%2e/%2e%2e/{VAULT}/secrets/s",
        f"/api/v1/namespaces/{LAIR}%2f..%2f{VAULT}/secrets/s",
        f"/api/v1/namespaces/{LAIR};{VAULT}/secrets/s",
        f"/api/v1/namespaces/{LAIR}/secrets/s;/../../{VAULT}/secrets/s",
        f"/api/v1//namespaces/{VAULT}/secrets/s",
        f"/api//v1/namespaces/{VAULT}/secrets/s",
        f"//api/v1/namespaces/{VAULT}/secrets/s",
        f"/api/v1/namespaces//{VAULT}/secrets/s",
        f"/api/v1/namespaces/{VAULT}//secrets/s",
        f"/api/v1/namespaces/{VAULT}/secrets//s",
        f"/api/v1/namespaces/{VAULT}/Secrets/s",
        f"/api/v1/namespaces/{VAULT.upper()}/secrets/s",
        f"/API/v1/namespaces/{VAULT}/secrets/s",
        f"/api/V1/namespaces/{VAULT}/secrets/s",
        f"/api/v1/Namespaces/{VAULT}/secrets/s",
        f"/api/v1/namespaces/{VAULT}/secret/s",
        f"/api/v1/namespaces/{VAULT}/secrets/s/",
        f"/api/v1/namespaces/{VAULT}/secrets/s/status",
        f"/api/v1/namespaces/{VAULT}/secrets/s/..",
        f"/api/v1/namespaces/{VAULT}/configmaps/../secrets/s",
        f"/api/v1/namespaces/{VAULT}/secrets/s%00",
        f"/api/v1/namespaces/{VAULT}%00/secrets/s",
        f"/api/v1/namespaces/{VAULT}/secrets/s?namespace={LAIR}",
        f"/api/v1/namespaces/{LAIR}/secrets/s%0a",
        f"/api/v1/watch/namespaces/{VAULT}/secrets/s",
        f"/api/v1/proxy/namespaces/{VAULT}/secrets/s",
        f"/apis//v1/namespaces/{VAULT}/secrets/s",
        f"/apis/v1/namespaces/{VAULT}/secrets/s",
        f"/api/v1/namespaces/{LAIR}/namespaces/{VAULT}/secrets/s",
        f"/api/v1/namespaces/{LAIR}/secrets/s/namespaces/{VAULT}",
        f"/v2/../api/v1/namespaces/{VAULT}/secrets/s",
        f"/api/../v2/{VAULT}/app/manifests/1",
        f"/healthz/../api/v1/namespaces/{VAULT}/secrets/s",
        f"/v2/{LAIR}/app/../../{VAULT}/app/manifests/1",
        f"/v2/{LAIR}/../{VAULT}/app/manifests/1",
        f"/v2/{LAIR}%2f..%2f{VAULT}%2fapp/manifests/1",
        f"/v2/{VAULT}%2fapp/manifests/1",
        f"/v2//{VAULT}/app/manifests/1",
        f"/v2/{VAULT}//app/manifests/1",
        f"/%76%32/{VAULT}/app/manifests/1",
        f"/v2/{VAULT}/app/manifests/1%00",
        f"/v2/{VAULT}/app/manifests/1;x",
        f"/v2/{VAULT.upper()}/app/manifests/1",
        f"/v2/{VAULT}/APP/manifests/1",
    ],
)
def test_no_spelling_of_a_path_leads_elsewhere(scene: Scene, target: str) -> None:
    """Sent as it stands: clients would tidy it up."""
    path = f"{CORE}/namespaces/{VAULT}/secrets"
    if scene.alice.get(f"{path}/s").status_code == 404:
        scene.alice.make(path, {"metadata": {"name": "s"}, "stringData": {"a": "vaulted"}})
    credentials = {"Authorization": f"Bearer {scene.mallory.token}"}
    answer = raw(scene.server, "GET", target, credentials)
    assert answer.status in (400, 401, 403, 404, 405), answer
    for leaked in (b"dmF1bHRlZA", b"schemaVersion"):
        assert leaked not in answer.body
    if target.startswith("/api") and VAULT in target and "/secrets" in target:
        # in the hands of who may read it, no spelling turns into a write or a 500 either
        admins = {"Authorization": f"Bearer {scene.admin.token}"}
        assert raw(scene.server, "GET", target, admins).status < 500
        assert raw(scene.server, "DELETE", target.replace("/s", "/no"), admins).status < 500


def test_a_right_to_one_object_is_not_a_right_to_the_list(scene: Scene, name: str) -> None:
    """resourceNames: neither selectors, continue tokens nor watches reach past the one name."""
    add_user(scene.server, name)
    path = f"{CORE}/namespaces/{VAULT}/secrets"
    for each in ("open", "closed"):
        scene.alice.make(path, {"metadata": {"name": f"{each}-{name}"}, "stringData": {"a": each}})
    rules = [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "verbs": ["get", "list", "watch"],
            "resourceNames": [f"open-{name}"],
        }
    ]
    scene.admin.make(f"{RBAC}/namespaces/{VAULT}/roles", role(name, rules))
    scene.admin.make(
        f"{RBAC}/namespaces/{VAULT}/rolebindings", role_binding(name, name, name, kind="Role")
    )
    token = scene.admin.read(path, limit=1)["metadata"]["continue"]
    one = f"metadata.name=open-{name}"
    closed = "Y2xvc2Vk"
    selections: list[dict[str, Any]] = [
        {},
        {"fieldSelector": f"metadata.name!=open-{name}"},
        {"fieldSelector": f"metadata.name=closed-{name}"},
        {"fieldSelector": "metadata.namespace=vault"},
        {"fieldSelector": f"metadata.name=closed-{name},metadata.name!=open-{name}"},
        {"labelSelector": f"metadata.name=open-{name}"},
        {"fieldSelector": f"metadata.name=open-{name}\\,x"},
    ]
    with kube_client(scene.server, name) as client:
        assert client.get(f"{path}/open-{name}").status_code == 200
        listed = client.read(path, fieldSelector=one)
        assert [each["metadata"]["name"] for each in listed["items"]] == [f"open-{name}"]
        for selection in selections:
            assert client.get(path, **selection).status_code == 403
            watch = client.get(path, **selection, watch="true", timeoutSeconds=1)
            assert watch.status_code == 403
        for params in (
            {"fieldSelector": one, "continue": token},
            {"fieldSelector": one, "limit": 1},
            {"fieldSelector": f"{one},metadata.name=closed-{name}"},
            {"fieldSelector": f"metadata.name=closed-{name},{one}"},
            {"fieldSelector": one, "watch": "true", "timeoutSeconds": 1, "resourceVersion": "1"},
            {
                "fieldSelector": one,
                "watch": "true",
                "timeoutSeconds": 1,
                "sendInitialEvents": "true",
                "resourceVersionMatch": "NotOlderThan",
                "allowWatchBookmarks": "true",
            },
        ):
            assert closed not in client.get(path, **params).text
        twice = client.http.get(
            f"{path}?fieldSelector={one}&fieldSelector=metadata.name%3Dclosed-{name}"
        )
        assert closed not in twice.text
        for verb in ("delete", "post"):
            assert getattr(client.http, verb)(f"{path}?fieldSelector={one}").status_code == 403
        assert client.get(f"{path}/closed-{name}", watch="true").status_code == 403
        assert client.get(f"{CORE}/secrets", fieldSelector=one).status_code == 403
        elsewhere = f"{CORE}/namespaces/{LAIR}/secrets"
        assert client.get(elsewhere, fieldSelector=one).status_code == 403


def test_get_alone_is_no_watch_and_a_dry_run_needs_the_same_right(scene: Scene, name: str) -> None:
    add_user(scene.server, name)
    path = f"{CORE}/namespaces/{VAULT}/configmaps"
    scene.alice.make(path, {"metadata": {"name": name}, "data": {"a": "b"}})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    scene.admin.make(f"{RBAC}/namespaces/{VAULT}/roles", role(f"get-{name}", rules))
    scene.admin.make(
        f"{RBAC}/namespaces/{VAULT}/rolebindings",
        role_binding(f"get-{name}", f"get-{name}", name, kind="Role"),
    )
    new = {"metadata": {"name": f"{name}-new"}}
    with kube_client(scene.server, name) as client:
        assert client.get(f"{path}/{name}").status_code == 200
        for attempt in (
            client.get(path, watch="true", timeoutSeconds=1),
            client.get(path, watch="1", timeoutSeconds=1),
            client.get(path, fieldSelector=f"metadata.name={name}"),
            client.get(path),
            client.post(path, new, dryRun="All"),
            client.post(path, new, dryRun=["All", "All"]),
            client.put(f"{path}/{name}", {"metadata": {"name": name}}, dryRun="All"),
            client.patch(f"{path}/{name}", {"data": {}}, dryRun="All"),
            client.patch(f"{path}/{name}-new", new, APPLY, fieldManager="m", dryRun="All"),
            client.delete(f"{path}/{name}", {"dryRun": ["All"]}),
            client.delete(f"{path}/{name}", dryRun="All"),
            client.delete(path, dryRun="All"),
            client.http.request("GET", path, headers={"X-HTTP-Method-Override": "DELETE"}),
        ):
            assert attempt.status_code == 403, (attempt.request.method, attempt.text)
    assert scene.alice.read(f"{path}/{name}")["data"] == {"a": "b"}


def test_update_without_create_makes_nothing(scene: Scene, name: str) -> None:
    """A PUT or an apply that would make the object takes the right to create, too."""
    add_user(scene.server, name)
    rules = [
        {
            "apiGroups": ["", GROUP],
            "resources": ["configmaps", "roles"],
            "verbs": ["update", "patch"],
        }
    ]
    scene.admin.make(f"{RBAC}/namespaces/{VAULT}/roles", role(f"up-{name}", rules))
    scene.admin.make(
        f"{RBAC}/namespaces/{VAULT}/rolebindings",
        role_binding(f"up-{name}", f"up-{name}", name, kind="Role"),
    )
    maps, roles = (
        f"{CORE}/namespaces/{VAULT}/configmaps/{name}",
        f"{RBAC}/namespaces/{VAULT}/roles/{name}",
    )
    with kube_client(scene.server, name) as client:
        new_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        for attempt in (
            client.put(maps, new_map),
            client.patch(maps, new_map, APPLY, fieldManager="m"),
            client.put(roles, role(name, [])),
            client.patch(roles, role(name, []), APPLY, fieldManager="m"),
        ):
            assert attempt.status_code in (403, 404), attempt.text
    assert scene.admin.get(maps).status_code == 404
    assert scene.admin.get(roles).status_code == 404


def test_an_owner_elsewhere_deletes_and_holds_nothing(scene: Scene, name: str) -> None:
    """References to owners in other namespaces neither end her objects nor mallory end theirs."""
    theirs = scene.alice.make(
        f"{CORE}/namespaces/{VAULT}/configmaps", {"metadata": {"name": f"theirs-{name}"}}
    )
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": f"theirs-{name}",
        "uid": theirs["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    scene.mallory.make(
        f"{CORE}/namespaces/{LAIR}/configmaps",
        {
            "metadata": {
                "name": name,
                "ownerReferences": [reference],
                "finalizers": ["example.com/never"],
            }
        },
    )
    path = f"{CORE}/namespaces/{VAULT}/configmaps/theirs-{name}"
    scene.alice.delete(path, {"propagationPolicy": "Foreground"})
    assert scene.alice.get(path).status_code == 404
    assert scene.mallory.get(f"{CORE}/namespaces/{LAIR}/configmaps/{name}").status_code == 200


def test_forged_managed_fields_give_nothing(scene: Scene, name: str) -> None:
    path = f"{CORE}/namespaces/{LAIR}/configmaps"
    entry = {
        "manager": "kube-controller-manager",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "2020-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
    }
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"f:a": deep}
    trees: list[Any] = [
        {"f:data": {"f:a": {}}},
        {"f:metadata": {"f:name": {}, "f:namespace": {}, "f:uid": {}}},
        {"x": {}},
        {"k:{": {}},
        {'k:{"a":[]}': {}},
        {"i:999999999999999999999": {}},
        {"v:" + "[" * 2000: {}},
        deep,
        [],
        "text",
        {"f:data": []},
    ]
    for fields in trees:
        body = {
            "metadata": {"name": name, "managedFields": [{**entry, "fieldsV1": fields}]},
            "data": {"a": "b"},
        }
        answer = scene.mallory.post(path, body)
        assert answer.status_code in (201, 400, 422), answer.text
        if answer.status_code == 201:
            applied = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name},
                "data": {"a": "c"},
            }
            for again in (
                scene.mallory.patch(
                    f"{path}/{name}", applied, APPLY, fieldManager="kubectl", force="true"
                ),
                scene.mallory.put(f"{path}/{name}", body),
                scene.mallory.patch(f"{path}/{name}", {"data": {"a": "d"}}),
            ):
                assert again.status_code < 500, again.text
            assert scene.mallory.delete(f"{path}/{name}").status_code == 200
