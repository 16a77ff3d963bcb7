"""A project is its members': nobody takes it, hurries its end, or inherits what was in it."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.attacking import VAULT, Scene, account_token, attacked, bearer
from tests.images import digest_of, small_image
from tests.kube_client import CORE, PROJECTS, RBAC, USERS, project, role_binding
from tests.registry_client import client_of
from tests.server import wait_until

TIDEGATE = "/apis/tidegate.io/v1"
STEPS = [{"name": "all"}]
OUTWARD = {
    "eventsubscriptions": {"url": "https://registry.example.com/hook", "suspend": True},
    "imageapprovals": {"image": f"sha256:{64 * 'a'}"},
    "mirrors": {
        "source": {"repository": "registry.example.com/org/app"},
        "target": {"stream": "app"},
        "suspend": True,
    },
    "rollouts": {"tag": "app:1", "steps": STEPS, "suspend": True},
    "triggerpolicies": {"requiresApproval": True},
}
"""What a project may have that tells others, or acts for it."""

HALF = b"half a secret"

_names = (f"n{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("projects") / "data") as ready:
        yield ready


@pytest.fixture
def name() -> str:
    return next(_names)


def test_a_namespace_is_not_hurried_past_its_content(scene: Scene, name: str) -> None:
    mallory = scene.mallory
    mallory.make(f"{PROJECTS}/projectrequests", project(f"p-{name}"))
    path = f"{CORE}/namespaces/p-{name}"
    whole = mallory.read(path)
    empty = {**whole, "spec": {"finalizers": []}}
    for attempt in (
        mallory.put(f"{path}/finalize", empty),
        mallory.put(f"{path}/status", {**whole, "status": {"phase": "Terminating"}}),
        mallory.put(path, empty),
        mallory.patch(path, {"spec": {"finalizers": []}}),
        mallory.put(f"{CORE}/namespaces/{VAULT}/finalize", {**empty, "metadata": {"name": VAULT}}),
        mallory.delete(f"{CORE}/namespaces/{VAULT}"),
        mallory.delete(f"{PROJECTS}/projects/{VAULT}"),
        mallory.patch(f"{PROJECTS}/projects/{VAULT}", {"metadata": {"annotations": {}}}),
        mallory.delete(f"{CORE}/namespaces"),
    ):
        assert attempt.status_code in (403, 405), (attempt.url, attempt.text)
    patches: list[dict[str, Any]] = [
        {"spec": {"finalizers": []}},
        {"status": {"phase": "Terminating"}},
        {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}},
    ]
    for patched in patches:
        answer = mallory.patch(f"{PROJECTS}/projects/p-{name}", patched)
        assert answer.status_code in (200, 422), answer.text
    for frozen in (
        {"labels": {"kubernetes.io/metadata.name": VAULT}},
        {"labels": {"team": "x"}},
        {"annotations": {"openshift.io/requester": "admin"}},
    ):
        answer = mallory.patch(f"{PROJECTS}/projects/p-{name}", {"metadata": frozen})
        assert answer.status_code == 422, answer.text
    kept = mallory.read(path)
    assert kept["spec"] == whole["spec"]
    assert kept["status"] == whole["status"]
    assert "deletionTimestamp" not in kept["metadata"]
    # an administrator may write `finalize`; the content still holds the namespace
    answer = scene.admin.put(f"{path}/finalize", empty)
    assert answer.json()["spec"]["finalizers"] == ["kubernetes"], answer.text


@pytest.mark.parametrize(
    "taken", ["openshift", "kube-system", "kube-evil", "openshift-x", "default"]
)
def test_projects_of_the_system_cannot_be_requested(scene: Scene, taken: str) -> None:
    answer = scene.mallory.post(f"{PROJECTS}/projectrequests", project(taken))
    assert answer.status_code in (403, 409), answer.text
    with scene.registry() as registry:
        assert registry.http.post(f"/v2/{taken}/app/blobs/uploads/").status_code == 403
    assert (
        scene.mallory.post(f"{CORE}/namespaces", {"metadata": {"name": taken}}).status_code == 403
    )


def test_somebody_elses_project_cannot_be_requested_again(scene: Scene) -> None:
    answer = scene.mallory.post(f"{PROJECTS}/projectrequests", project(VAULT))
    assert answer.status_code == 409, answer.text
    bindings = scene.alice.read(f"{RBAC}/namespaces/{VAULT}/rolebindings")["items"]
    assert "mallory" not in str(bindings)


def test_who_gets_a_freed_name_finds_nothing_of_what_was_there(scene: Scene, name: str) -> None:
    """Neither images, uploads, secrets, rights nor tokens of the project before."""
    freed = f"p-{name}"
    old = small_image(f"old {name}")
    scene.alice.make(f"{PROJECTS}/projectrequests", project(freed))
    scene.alice.make(
        f"{CORE}/namespaces/{freed}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
    )
    scene.alice.make(
        f"{RBAC}/namespaces/{freed}/rolebindings", role_binding("given", "edit", "alice")
    )
    for kind, spec in OUTWARD.items():
        body = {"metadata": {"name": "hers"}, "spec": spec}
        scene.alice.make(f"{TIDEGATE}/namespaces/{freed}/{kind}", body)
    account = account_token(scene.alice, freed, "builder")
    with scene.registry("alice") as alices:
        alices.push(f"{freed}/app", old, "1")
        extra = small_image(f"untagged {name}")
        alices.push(f"{freed}/app", extra, "2")
        assert alices.http.delete(f"/v2/{freed}/app/manifests/2").status_code == 202
        assert alices.http.delete(f"/v2/{freed}/app/manifests/{extra.digest}").status_code == 202
        assert (
            alices.http.delete(f"/v2/{freed}/app/blobs/{extra.blobs[1].digest}").status_code == 202
        )
        upload = alices.open_upload(f"{freed}/app")
        assert alices.append(upload, HALF).status_code == 202
    assert scene.alice.delete(f"{PROJECTS}/projects/{freed}").status_code == 200
    wait_until(
        lambda: scene.admin.get(f"{CORE}/namespaces/{freed}").status_code == 404,
        what="the project to end",
    )
    with scene.registry() as registry, client_of(scene.server, credentials=None) as nobody:
        # before anybody has the name again
        for image in (old, extra):
            answer = registry.put_manifest(f"{freed}/app", "1", image.manifest)  # makes the project
            assert answer.status_code == 400, answer.text
            assert "MANIFEST_BLOB_UNKNOWN" in answer.text
        assert scene.mallory.read(f"{CORE}/namespaces/{freed}")
        for image in (old, extra):
            for reference in ("1", "2", image.digest):
                assert registry.manifest(f"{freed}/app", reference).status_code == 404
            for blob in image.blobs:
                assert registry.blob(f"{freed}/app", blob.digest).status_code == 404
                assert not registry.has_blob(f"{freed}/app", blob.digest)
                path = f"/v2/{freed}/app/blobs/uploads/"
                for source in ({"from": f"{freed}/app"}, {"from": f"{VAULT}/app"}, {}):
                    mount = registry.http.post(path, params={"mount": blob.digest, **source})
                    assert mount.status_code == 202, mount.text
            answer = registry.put_manifest(f"{freed}/app", image.digest, image.manifest)
            assert answer.status_code == 400
            assert registry.manifest(f"{freed}/app", image.digest).status_code == 404
        assert registry.http.get(f"/v2/{freed}/app/tags/list").status_code in (200, 404)
        assert "old" not in registry.http.get(f"/v2/{freed}/app/tags/list").text
        assert registry.status(upload).status_code == 404
        assert registry.close_upload(upload, digest_of(HALF)).status_code == 404
        assert registry.close_upload(upload, old.blobs[0].digest).status_code == 404
        assert not registry.has_blob(f"{freed}/app", digest_of(HALF))
        assert nobody.manifest(f"{freed}/app", "1").status_code == 401
    assert scene.mallory.get(f"{CORE}/namespaces/{freed}/secrets/s").status_code == 404
    for kind in (*OUTWARD, "imagechanges"):
        assert scene.mallory.read(f"{TIDEGATE}/namespaces/{freed}/{kind}")["items"] == []
    jobs = scene.mallory.read(f"{TIDEGATE}/namespaces/{freed}/backgroundjobs")["items"]
    assert not [each for each in jobs if "hers" in each["metadata"]["name"]]
    # and whoever had rights there before has none
    assert scene.alice.get(f"{CORE}/namespaces/{freed}/secrets").status_code == 403
    with bearer(scene, account) as ghost:
        assert ghost.get(f"{USERS}/users/~").status_code == 401
    with scene.registry("alice") as alices:
        assert alices.http.post(f"/v2/{freed}/app/blobs/uploads/").status_code == 403
        assert alices.close_upload(upload, old.blobs[0].digest).status_code == 403
