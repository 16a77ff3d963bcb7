"""Images and streams of one project are nobody else's, and no write of one stops those of others.

Mallory administers `lair`; alice keeps what is hers in `vault`. What a refusal looks like is told
elsewhere: here only that there is one, that nothing leaked, and that the server is whole.
"""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conformance import postgresql
from tests.e2e.attacking import APPLY, LAIR, VAULT, Scene, attacked, role
from tests.e2e.image_attacks import (
    GROUP,
    VERSION,
    WAYS,
    Way,
    istag,
    names,
    origins,
    path,
    put_tag,
    stream,
    unread,
)
from tests.images import (
    IMAGE_CONFIG,
    IMAGE_MANIFEST,
    Content,
    Pushable,
    artifact,
    encode,
    index,
    layer,
    small_image,
)
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.registry_client import client_of
from tests.server import PASSWORD, wait_until

POLICIES = f"/apis/tidegate.io/v1/namespaces/{LAIR}/tagpolicies"
SECRET = "hunter2"
MB = 1024 * 1024


class Kept(NamedTuple):
    """The scene, and what alice has besides `vault/app:1`."""

    scene: Scene
    secret: Pushable  # `vault/app:secret`, with a label
    gone: str  # uid of `vault/gone`, which was deleted

    @property
    def mallory(self) -> KubeClient:
        return self.scene.mallory


def labelled(mark: str, **labels: str) -> Pushable:
    """An image with labels in its configuration."""
    blob = layer({"mark": mark.encode()})
    config = Content(
        encode({"architecture": "amd64", "os": "linux", "config": {"Labels": labels}}),
        IMAGE_CONFIG,
    )
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": config.descriptor(),
        "layers": [blob.descriptor()],
    }
    return Pushable(Content(encode(document), IMAGE_MANIFEST), (config, blob))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with attacked(tmp_path_factory.mktemp("images") / "data") as scene:
        secret = labelled("secret", password=SECRET)
        with scene.registry("alice") as registry:
            registry.push(f"{VAULT}/app", secret, "secret")
            registry.push(f"{VAULT}/gone", secret, "1")
        gone = scene.alice.read(path("imagestreams", "gone", project=VAULT))["metadata"]["uid"]
        assert scene.alice.delete(path("imagestreams", "gone", project=VAULT)).status_code == 200
        yield Kept(scene, secret, gone)


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    data = tmp_path_factory.mktemp("images-pg") / "data"
    with (
        postgresql.server() as own,
        own.database() as url,
        attacked(data, settings={"database": url}) as scene,
    ):
        yield Kept(scene, scene.image, "")


def sane(answer: httpx.Response) -> httpx.Response:
    """An answer that is not the server's fault."""
    assert answer.status_code < 500, answer.text[:2000]
    return answer


# Walls between projects


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_no_way_to_write_a_tag_takes_an_image_of_another_project(kept: Kept, way: Way) -> None:
    for case, origin in origins(kept.secret.digest, kept.gone).items():
        answer = sane(way(kept.mallory, next(names), origin))
        if origin.get("kind") != "DockerImage":
            assert answer.status_code in (400, 403, 404, 422), (case, answer.text)
        assert SECRET not in answer.text, case
    unread(kept.scene, kept.secret, SECRET)


def test_a_refused_source_is_told_the_same_whether_it_exists_or_not(kept: Kept) -> None:
    texts = set()
    for name in ("app:1", "app:none", "none:1"):
        origin = {"kind": "ImageStreamTag", "namespace": VAULT, "name": name}
        answer = put_tag(kept.mallory, "x", origin)
        assert answer.status_code == 422
        texts.add(answer.text.replace(f"{VAULT}/{name.split(':')[0]}", "?"))
    assert len(texts) == 1, texts


def test_the_kind_of_a_source_cannot_be_changed_behind_the_wall(kept: Kept) -> None:
    tag = next(names)
    where = path("imagestreamtags", f"app:{tag}")
    asked = {"kind": "DockerImage", "namespace": VAULT, "name": "app:secret"}
    sane(put_tag(kept.mallory, tag, asked))
    for kind in ("ImageStreamTag", "ImageStreamImage"):
        for generation in (0, 1, None):
            body = istag(tag, {**asked, "kind": kind}, generation=generation)
            sane(kept.mallory.put(where, body))
            sane(kept.mallory.patch(where, body))
    unread(kept.scene, kept.secret, SECRET)


def test_a_right_on_one_stream_is_none_on_its_neighbour(kept: Kept) -> None:
    scene = kept.scene
    public = small_image("public")
    with scene.registry("alice") as registry:
        registry.push(f"{VAULT}/public", public, "1")
    rules = [
        {
            "apiGroups": ["image.openshift.io"],
            "resources": ["imagestreams/layers"],
            "verbs": ["get"],
            "resourceNames": ["public"],
        }
    ]
    scene.alice.make(f"{RBAC}/namespaces/{VAULT}/roles", role("public", rules))
    binding = role_binding("public", "public", "mallory", kind="Role")
    scene.alice.make(f"{RBAC}/namespaces/{VAULT}/rolebindings", binding)
    taken = {"kind": "ImageStreamTag", "namespace": VAULT, "name": "public:1"}
    assert put_tag(scene.mallory, next(names), taken).status_code == 201
    for name in (f"public@{kept.secret.digest}", "public@", f"public@{kept.secret.digest[7:12]}"):
        origin = {"kind": "ImageStreamImage", "namespace": VAULT, "name": name}
        assert put_tag(scene.mallory, next(names), origin).status_code == 422
    unread(scene, kept.secret, SECRET)


def mapping(image: Pushable, tag: str, of: str = "app", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": of},
        "tag": tag,
        "image": {
            "metadata": {
                "name": image.digest,
                "annotations": {
                    "openshift.io/image.managed": "true",
                    "image.openshift.io/manifestBlobStored": "true",
                },
            },
            **more,
        },
    }


def test_a_mapping_takes_no_image_of_another_project(kept: Kept) -> None:
    manifest = kept.secret.manifest.data.decode()
    host = kept.mallory.read(path("imagestreams", "app"))["status"]["dockerImageRepository"]
    theirs = f"{host.partition('/')[0]}/{VAULT}/app@{kept.secret.digest}"
    lies: tuple[dict[str, Any], ...] = (
        {},
        {"dockerImageManifest": manifest},
        {"dockerImageReference": theirs},
        {"dockerImageReference": f"/{VAULT}/app@{kept.secret.digest}"},
        {"dockerImageManifest": manifest, "dockerImageConfig": "{}"},
        {"dockerImageMetadata": {"Config": {"Labels": {"password": "?"}}}},
    )
    for more in lies:
        body = mapping(kept.secret, next(names), **more)
        answer = sane(kept.mallory.post(path("imagestreammappings"), body))
        assert answer.status_code in (403, 422), answer.text
        assert SECRET not in answer.text
    unread(kept.scene, kept.secret, SECRET)


def test_an_image_that_is_posted_before_its_push_says_nothing_of_it(kept: Kept) -> None:
    scene, coming = kept.scene, labelled("coming", team="alice")
    lies: dict[str, Any] = {
        "dockerImageReference": f"evil.example.com/x@{coming.digest}",
        "dockerImageMetadata": {
            "kind": "DockerImage",
            "apiVersion": "1.0",
            "Size": 1,
            "Config": {"Labels": {"team": "mallory"}},
        },
        "dockerImageLayers": [{"name": "sha256:" + "0" * 64, "size": 1, "mediaType": "x"}],
    }
    body = mapping(coming, "early", **lies)
    assert kept.mallory.post(path("imagestreammappings"), body).status_code == 201
    with scene.registry("alice") as registry:
        registry.push(f"{VAULT}/coming", coming, "1")
    for reader, name, where in (
        (scene.alice, "coming:1", VAULT),
        (scene.mallory, "app:early", LAIR),
    ):
        found = reader.get(path("imagestreamtags", name, project=where)).json()["image"]
        assert found["dockerImageMetadata"]["Config"]["Labels"] == {"team": "alice"}
        assert [each["name"] for each in found["dockerImageLayers"]] == [coming.blobs[1].digest]
    found = scene.admin.read(f"{GROUP}/images/{coming.digest}")
    assert "evil" not in found["dockerImageReference"]
    with scene.registry() as registry:
        assert registry.manifest(f"{LAIR}/app", "early").status_code == 404


def test_a_rule_about_labels_does_not_tell_those_of_another_project(kept: Kept) -> None:
    client = kept.mallory
    rule = {"streams": ["asking"], "mode": "Warn", "required": {"labels": ["password=x"]}}
    client.make(POLICIES, {"metadata": {"name": "asking"}, "spec": rule})
    theirs = index(kept.secret)
    with kept.scene.registry() as registry:
        answer = registry.put_manifest(f"{LAIR}/asking", "1", theirs.manifest)
        told = [sane(answer)]
        own = labelled("own", password="mine")
        registry.push(f"{LAIR}/asking", own)
        told.append(registry.put_manifest(f"{LAIR}/asking", "2", index(own).manifest))
        assert "'mine'" in " ".join(told[-1].headers.get_list("warning"))
    tag = {"kind": "ImageStreamTag", "name": "asking:1"}
    told.append(client.put(path("imagestreamtags", "asking:3"), istag("3", tag, of="asking")))
    for each in told:
        assert SECRET not in str(each.headers) + each.text
    assert client.delete(f"{POLICIES}/asking").status_code == 200


def test_who_may_write_the_status_gets_no_content_by_it(kept: Kept) -> None:
    scene = kept.scene
    verbs = ["get", "update", "patch"]
    rule = {
        "apiGroups": ["image.openshift.io"],
        "resources": ["imagestreams/status"],
        "verbs": verbs,
    }
    scene.admin.make(f"{RBAC}/namespaces/{LAIR}/roles", role("status", [rule]))
    binding = role_binding("status", "status", "mallory", kind="Role")
    scene.admin.make(f"{RBAC}/namespaces/{LAIR}/rolebindings", binding)
    scene.mallory.make(path("imagestreams"), stream("written"))
    host = scene.mallory.read(path("imagestreams", "written"))["status"]["dockerImageRepository"]
    references = (
        f"/{VAULT}/app@{kept.secret.digest}",
        f"{host.partition('/')[0]}/{VAULT}/app@{kept.secret.digest}",
        f"//{VAULT}/app@{kept.secret.digest}",
        f"{VAULT}/app@{kept.secret.digest}",
    )
    events = [
        {
            "tag": f"t{number}",
            "items": [
                {
                    "created": "2026-01-01T00:00:00Z",
                    "dockerImageReference": reference,
                    "image": kept.secret.digest,
                    "generation": 1,
                }
            ],
        }
        for number, reference in enumerate(references)
    ]
    status = path("imagestreams", "written", "status")
    for event in events:
        sane(
            scene.mallory.patch(status, {"status": {"tags": [event]}}, APPLY.replace("apply", "x"))
        )
        sane(scene.mallory.patch(status, {"status": {"tags": [event]}}))
        tag = event["tag"]
        copy = {"kind": "ImageStreamTag", "name": f"written:{tag}"}
        sane(put_tag(scene.mallory, next(names), copy))
        origin = {"kind": "ImageStreamImage", "name": f"written@{kept.secret.digest}"}
        sane(put_tag(scene.mallory, next(names), origin))
        for subresource, body in (
            ("rollback", {"to": {"image": kept.secret.digest}}),
            ("rollback", {"to": {"number": 1}}),
        ):
            where = path("imagestreamtags", f"written:{tag}", subresource)
            sane(scene.mallory.post(where, {"kind": "TagRollback", "apiVersion": VERSION, **body}))
        sane(scene.mallory.delete(path("imagestreamtags", f"written:{tag}")))
        where = path("imagestreamtags", f"written:{tag}", "undelete")
        sane(scene.mallory.post(where, {}))
    with scene.registry() as registry:
        for repository in ("written", "app"):
            for reference in (kept.secret.digest, "t0", "t1", "t2", "t3"):
                found = registry.manifest(f"{LAIR}/{repository}", reference)
                assert found.status_code == 404, (repository, reference)
            for blob in kept.secret.blobs:
                assert registry.blob(f"{LAIR}/{repository}", blob.digest).status_code == 404
    sane(scene.mallory.delete(path("imagestreams", "written")))
    for tag in scene.mallory.read(path("imagestreamtags"))["items"]:
        if tag["image"]["metadata"].get("name") == kept.secret.digest:
            scene.mallory.delete(path("imagestreamtags", tag["metadata"]["name"]))


def test_what_both_have_pushed_does_not_tell_one_of_the_other(kept: Kept) -> None:
    scene, same = kept.scene, small_image("the same for both")
    with scene.registry("alice") as registry:
        registry.push(f"{VAULT}/hidden-name", same, "1")
        about = artifact("application/spdx+json", b"alice's", same)
        registry.push(f"{VAULT}/hidden-name", about)
    with scene.registry() as registry:
        registry.push(f"{LAIR}/same", same, "1")
        registry.push(f"{LAIR}/same", artifact("application/x-mallory", b"mallory's", same))
    for where in (
        path("imagestreams", "same"),
        path("imagestreams", "same", "layers"),
        path("imagestreamtags", "same:1"),
        path("imagestreamtags", "same:1", "history"),
        path("imagetags", "same:1"),
        path("imagestreamimages", f"same@{same.digest}"),
        path("imagestreamtags"),
        path("imagetags"),
    ):
        answer = scene.mallory.get(where)
        assert answer.status_code == 200, (where, answer.text)
        for text in ("hidden-name", "alice", about.digest):
            assert text not in answer.text, where
    answer = scene.alice.get(path("imagestreamtags", "hidden-name:1", project=VAULT))
    assert "mallory" not in answer.text
    assert LAIR not in answer.text


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("GET", f"{GROUP}/images"),
        ("GET", f"{GROUP}/images?watch=true"),
        ("GET", f"{GROUP}/images/DIGEST"),
        ("DELETE", f"{GROUP}/images/DIGEST"),
        ("DELETE", f"{GROUP}/images"),
        ("POST", f"{GROUP}/images"),
        ("PUT", f"{GROUP}/images/DIGEST"),
        ("PATCH", f"{GROUP}/images/DIGEST"),
        ("POST", f"{GROUP}/images/DIGEST/undelete"),
        ("POST", f"{GROUP}/imagesignatures"),
        ("DELETE", f"{GROUP}/imagesignatures/DIGEST@x"),
        ("GET", f"{GROUP}/imagestreams"),
        ("GET", f"{GROUP}/imagestreamtags"),
        ("GET", f"{GROUP}/imagetags"),
        ("GET", f"{GROUP}/imagestreamtags?fieldSelector=metadata.namespace={LAIR}"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreams/app"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreams/app/layers"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreams/app/secrets"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreams/app/status"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreams?watch=true"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreamtags/app:1"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreamtags/app:1/history"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagetags/app:1"),
        ("GET", f"{GROUP}/namespaces/VAULT/imagestreamimages/app@DIGEST"),
        ("POST", f"{GROUP}/namespaces/VAULT/imagestreams/gone/undelete"),
        ("POST", f"{GROUP}/namespaces/VAULT/imagestreamtags/app:1/rollback"),
        ("POST", f"{GROUP}/namespaces/VAULT/imagestreamtags/app:1/undelete"),
        ("POST", f"{GROUP}/namespaces/VAULT/imagestreammappings"),
        ("POST", f"{GROUP}/namespaces/VAULT/imagestreamimports"),
        ("DELETE", f"{GROUP}/namespaces/VAULT/imagestreamtags/app:1"),
        ("DELETE", f"{GROUP}/namespaces/VAULT/imagestreams"),
        ("PATCH", f"{GROUP}/namespaces/{LAIR}/imagestreams/app/status"),
        ("PUT", f"{GROUP}/namespaces/{LAIR}/imagestreams/app/status"),
        ("POST", "/apis/tidegate.io/v1/namespaces/VAULT/tagpolicies"),
        ("GET", "/apis/tidegate.io/v1/tagpolicies"),
        *(
            (method, f"/apis/tidegate.io/v1/{where}")
            for each in ("eventsubscriptions", "mirrors", "rollouts", "triggerpolicies")
            for method, where in (("POST", f"namespaces/VAULT/{each}"), ("GET", each))
        ),
        ("POST", "/apis/tidegate.io/v1/namespaces/VAULT/imageapprovals"),
        ("GET", "/apis/tidegate.io/v1/namespaces/VAULT/imagechanges"),
        ("GET", "/apis/tidegate.io/v1/namespaces/VAULT/backgroundjobs"),
        ("GET", "/apis/tidegate.io/v1/namespaces/VAULT/eventsubscriptions/x/deadletters"),
        ("POST", "/apis/tidegate.io/v1/namespaces/VAULT/eventsubscriptions/x/replay"),
        ("GET", "/apis/tidegate.io/v1/backgroundjobs"),
        ("GET", "/apis/tidegate.io/v1/clusterbackgroundjobs"),
        ("GET", "/apis/tidegate.io/v1/upstreams"),
        ("GET", "/apis/tidegate.io/v1/clustereventsubscriptions"),
        ("POST", "/apis/tidegate.io/v1/clustereventsubscriptions"),
        ("GET", "/apis/config.openshift.io/v1/images/cluster"),
        ("PATCH", "/apis/config.openshift.io/v1/images/cluster"),
        ("GET", "/apis/config.openshift.io/v1/images/cluster/inforce"),
        ("POST", "/apis/config.openshift.io/v1/imagedigestmirrorsets"),
        ("POST", "/apis/config.openshift.io/v1/imagetagmirrorsets"),
        ("POST", "/apis/operator.openshift.io/v1alpha1/imagecontentsourcepolicies"),
        ("GET", "/events"),
        ("GET", "/events?project=VAULT"),
        ("POST", f"{CORE}/namespaces/{LAIR}/limitranges"),
        ("POST", f"{CORE}/namespaces/{LAIR}/resourcequotas"),
    ],
)
def test_whoever_administers_a_project_has_no_more_rights(
    kept: Kept, method: str, where: str
) -> None:
    add_user_once(kept)
    full = where.replace("DIGEST", kept.secret.digest).replace("VAULT", VAULT)
    with kube_client(kept.scene.server, "trudy") as trudy:
        answer = trudy.http.request(method, full, json={"metadata": {}}, headers=_form(method))
    assert answer.status_code == 403, answer.text
    assert SECRET not in answer.text


def _form(method: str) -> dict[str, str]:
    return {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}


def add_user_once(kept: Kept) -> None:
    """Trudy has what mallory had in the beginning."""
    where = f"{RBAC}/namespaces/{LAIR}/rolebindings"
    if kept.scene.mallory.get(f"{where}/trudy").status_code == 404:
        add_user(kept.scene.server, "trudy")
        kept.scene.mallory.make(where, role_binding("trudy", "admin", "trudy"))


def token_of(resource: str, namespace: str, name: str, revision: int = 1) -> str:
    content = json.dumps(["tidegate/v1", resource, namespace, name, revision]).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("resource", ["imagestreamtags", "imagetags", "imagestreams"])
def test_a_forged_token_leads_into_no_other_project(kept: Kept, resource: str) -> None:
    group = f"{resource}.image.openshift.io"
    for namespace in (VAULT, "", f"{LAIR}/../{VAULT}", LAIR):
        for name in ("app:0", "app", "", f"../{VAULT}/app:0", "\0", "app:\ud800", "a" * 3000):
            for revision in (1, -1, 2**63, 2**70):
                token = token_of(group, namespace, name, revision)
                answer = sane(
                    kept.mallory.get(path(resource), **{"continue": token, "limit": "500"})
                )
                assert SECRET not in answer.text
                if answer.status_code == 200:
                    for each in answer.json()["items"]:
                        assert each["metadata"]["namespace"] == LAIR


# What was deleted


def test_the_rows_of_a_deleted_stream_are_no_repository(kept: Kept) -> None:
    scene = kept.scene
    for user in ("alice", "mallory", "admin"):
        with client_of(scene.server, credentials=(user, PASSWORD)) as registry:
            for mark in ("~", "%7e", "%7E", "%257e"):
                name = f"{VAULT}/gone{mark}{kept.gone}"
                for where in ("manifests/1", "tags/list", f"manifests/{kept.secret.digest}"):
                    answer = sane(registry.http.get(f"/v2/{name}/{where}"))
                    assert answer.status_code in (400, 401, 404), (user, where)
            source = f"{VAULT}/gone~{kept.gone}"
            own = f"{LAIR if user == 'mallory' else VAULT}/app"
            blob = small_image("no such").blobs[0]
            answer = sane(
                registry.http.post(
                    f"/v2/{own}/blobs/uploads/", params={"mount": blob.digest, "from": source}
                )
            )
            assert answer.status_code in (202, 400, 401, 403)
            for client in (scene.alice, scene.admin):
                found = client.get(path("imagestreams", f"gone~{kept.gone}", project=VAULT))
                assert found.status_code == 404
                where = path("imagestreams", f"gone~{kept.gone}", "layers", project=VAULT)
                assert client.get(where).status_code == 404
                where = path("imagestreamtags", f"gone~{kept.gone}:1", project=VAULT)
                assert client.get(where).status_code == 404
                where = path("imagestreams", project=VAULT)
                assert client.post(where, stream(f"gone~{kept.gone}")).status_code == 422
            catalog = registry.http.get("/v2/_catalog")
            assert "~" not in catalog.text


def test_a_project_of_the_same_name_has_nothing_of_the_one_before(kept: Kept) -> None:
    scene, reused, image = kept.scene, "reused", labelled("reused", password=SECRET)
    scene.alice.make(f"{PROJECTS}/projectrequests", project(reused))
    with scene.registry("alice") as registry:
        for name in ("there", "deleted"):
            registry.push(f"{reused}/{name}", image, "1")
    assert scene.alice.delete(path("imagestreams", "deleted", project=reused)).status_code == 200
    assert scene.alice.delete(f"{PROJECTS}/projects/{reused}").status_code == 200
    wait_until(
        lambda: scene.admin.get(f"{CORE}/namespaces/{reused}").status_code == 404, seconds=60
    )
    scene.mallory.make(f"{PROJECTS}/projectrequests", project(reused))
    with scene.registry() as registry:
        for name in ("there", "deleted"):
            answer = scene.mallory.post(path("imagestreams", name, "undelete", reused), {})
            assert answer.status_code == 404, answer.text
            answer = scene.mallory.post(
                path("imagestreamtags", f"{name}:1", "undelete", reused), {}
            )
            assert answer.status_code == 404, answer.text
            scene.mallory.make(path("imagestreams", project=reused), stream(name))
            for reference in ("1", "1.at-20991231T000000Z", image.digest):
                assert registry.manifest(f"{reused}/{name}", reference).status_code == 404
            for blob in image.blobs:
                assert registry.blob(f"{reused}/{name}", blob.digest).status_code == 404
            where = path("imagestreamtags", f"{name}:1", "history", reused)
            assert scene.mallory.get(where).status_code == 404
            layers = scene.mallory.read(path("imagestreams", name, "layers", reused))
            assert not layers["images"]


def test_a_tag_as_it_was_is_for_who_may_pull(kept: Kept) -> None:
    with kept.scene.registry() as registry:
        for tag in ("1.at-20991231T000000Z", "1.at-00010101T000000Z", "1.at-99991231T235959Z"):
            assert registry.manifest(f"{VAULT}/app", tag).status_code in (401, 403)
            answer = registry.http.get(f"/v2/{LAIR}/app/manifests/{tag}")
            sane(answer)
        for odd in ("1.at-20269931T000000Z", ".at-20260101T000000Z", "1.at-20260101T000000Z.at-x"):
            sane(registry.http.get(f"/v2/{LAIR}/app/manifests/{odd}"))
        pushed = registry.put_manifest(
            f"{LAIR}/app", "1.at-20260101T000000Z", kept.scene.own.manifest
        )
        assert pushed.status_code == 400


# Bodies

TEXTS = (
    "a\0b",
    "a\x1b[31mb",
    "a\nb",
    "..",
    "%2f",
    "a/b",
    "a:b",
    "a@b",
    "~",
    "ä",
    "\u202e",
    "a" * 300,
    "'; DROP TABLE tags; --",
    "%",
    "_",
    " ",
    "",
    "-a",
    ".a",
)


@pytest.mark.parametrize("text", TEXTS, ids=[ascii(text)[:20] for text in TEXTS])
def test_no_name_is_a_fault_of_the_server(kept: Kept, text: str) -> None:
    client, own = kept.mallory, {"kind": "ImageStreamTag", "name": "app:1"}
    tagged = {"name": text, "from": own}
    answers = [
        client.post(path("imagestreams"), stream(text)),
        client.post(path("imagestreams"), stream(next(names), tagged)),
        client.patch(path("imagestreams", "app"), {"spec": {"tags": [tagged]}}),
        client.post(path("imagestreamtags"), istag(text, own)),
        client.post(path("imagestreamtags"), istag("1", own, of=text)),
        client.post(path("imagestreammappings"), mapping(kept.scene.own, text)),
        client.post(path("imagestreammappings"), mapping(kept.scene.own, "1", of=text)),
        client.post(path("imagestreammappings"), mapping(kept.scene.own, "m")),
        client.post(
            path("imagestreammappings"),
            mapping(kept.scene.own, "m", dockerImageReference=text),
        ),
    ]
    for kind in ("ImageStreamTag", "ImageStreamImage", "DockerImage", text):
        for name in (text, f"app:{text}", f"app@{text}", f"{text}:1"):
            for more in ({}, {"namespace": text}):
                origin = {"kind": kind, "name": name, **more}
                answers.append(put_tag(client, "odd", origin))
    body = {"kind": "TagRollback", "apiVersion": VERSION}
    for to in ({"image": text}, {"time": text}, {"number": 2**63}, {"number": -1}):
        where = path("imagestreamtags", "app:1", "rollback")
        answers.append(client.post(where, {**body, "to": to}))
    quoted = httpx.QueryParams({"x": text})["x"].encode().hex()
    encoded = "".join(f"%{quoted[at : at + 2]}" for at in range(0, len(quoted), 2))
    places = (
        path("imagestreams", encoded),
        path("imagestreamtags", f"app:{encoded}"),
        path("imagestreamtags", f"app:{encoded}", "history"),
        path("imagestreamimages", f"app@{encoded}"),
        path("imagetags", f"app:{encoded}"),
    )
    answers += [client.get(where) for where in places]
    parameters = ("labelSelector", "fieldSelector", "continue", "limit", "resourceVersion")
    answers += [client.get(path("imagestreamtags"), **{each: text}) for each in parameters]
    for answer in answers:
        sane(answer)
    assert client.get(path("imagestreams", "app")).status_code == 200


@pytest.mark.parametrize("text", ["a\0b", "\ufffe", "a" * 5000])
def test_no_name_is_a_fault_of_postgresql(on_postgresql: Kept, text: str) -> None:
    test_no_name_is_a_fault_of_the_server(on_postgresql, text)
    for event in ({"image": text}, {"dockerImageReference": text}):
        test_no_event_is_a_fault_of_the_server(on_postgresql, event)


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "x", "generation": 2**63},
        {"name": "x", "generation": -(2**63)},
        {"name": "x", "generation": 2**70},
        {"name": "x", "generation": "1"},
        {"name": "x", "generation": 1.5},
        {"name": "x", "annotations": {"a": "b" * (10 * MB)}},
        {"name": "x", "annotations": {"a\0": "b\0"}},
        {"name": "x", "from": []},
        {"name": "x", "from": {"kind": "DockerImage", "name": "a" * 2_000_000}},
        {"name": "x", "importPolicy": {"importMode": "x" * 100_000}},
        {"name": "x", "referencePolicy": {"type": "\ufffe"}},
        {"name": 1},
        {"name": None},
        None,
    ],
    ids=lambda spec: str(spec)[:40],
)
def test_no_tag_reference_is_a_fault_of_the_server(kept: Kept, spec: Any) -> None:
    client = kept.mallory
    name = next(names)
    for validation in ("Ignore", "Strict"):
        body = {**stream(name), "spec": {"tags": [spec]}}
        sane(client.post(path("imagestreams"), body, fieldValidation=validation))
        where = path("imagestreams", "app")
        sane(client.patch(where, {"spec": {"tags": [spec]}}, fieldValidation=validation))
        for patch in (APPLY, "application/strategic-merge-patch+json"):
            sane(
                client.patch(where, {**body, "metadata": {"name": "app"}}, patch, fieldManager="m")
            )
        tag = {**istag("x", None), "tag": spec}
        sane(client.put(path("imagestreamtags", "app:x"), tag, fieldValidation=validation))
    assert client.get(path("imagestreams", "app")).status_code == 200


@pytest.mark.parametrize(
    "event",
    [
        {"created": "9999-12-31T23:59:59Z"},
        {"created": "9999-12-31T23:59:59-14:00"},
        {"created": "0001-01-01T00:00:00+14:00"},
        {"created": "0000-00-00T00:00:00Z"},
        {"created": "yesterday"},
        {"created": 1},
        {"created": "2026-01-01T00:00:00.123456789123456789Z"},
        {"generation": -1},
        {"generation": 2**63 - 1},
        {"generation": 2**63},
        {"generation": 2**70},
        {"image": "sha256:"},
        {"image": "x" * 5000},
        {"image": "a\0b"},
        {"image": "\ufffe"},
        {"dockerImageReference": "/"},
        {"dockerImageReference": "//"},
        {"dockerImageReference": "/x"},
        {"dockerImageReference": "/a/b/c/d@x"},
        {"dockerImageReference": "x" * 100_000},
        {"dockerImageReference": "a\0b"},
        {"dockerImageReference": ""},
    ],
    ids=lambda event: ascii(event)[:40],
)
def test_no_event_is_a_fault_of_the_server(kept: Kept, event: dict[str, Any]) -> None:
    """By who may write the status of a stream, and then read, moved and undone by its owner."""
    admin, client = kept.scene.admin, kept.mallory
    name, digest = next(names), kept.scene.own.digest
    client.make(path("imagestreams"), stream(name))
    good = {
        "created": "2026-01-01T00:00:00Z",
        "dockerImageReference": f"example.com/x@{digest}",
        "image": digest,
        "generation": 1,
    }
    status = path("imagestreams", name, "status")
    for number in range(2):
        items = [{**good, **event}, {**good, "image": f"sha256:{number}"}]
        history = {"tag": "v1", "items": items}
        sane(admin.patch(status, {"status": {"tags": [history]}}))
        found = admin.read(path("imagestreams", name))
        found["status"]["tags"] = [history, {"tag": "v2", "items": items[:1]}]
        sane(admin.put(status, found))
    body = {"kind": "TagRollback", "apiVersion": VERSION}
    for tag in ("v1", "v2"):
        for where in (
            path("imagestreamtags", f"{name}:{tag}"),
            path("imagestreamtags", f"{name}:{tag}", "history"),
            path("imagetags", f"{name}:{tag}"),
        ):
            sane(client.get(where))
        rollback = path("imagestreamtags", f"{name}:{tag}", "rollback")
        for to in ({}, {"number": 1}, {"time": "9999-12-31T23:59:59Z"}, {"image": digest}):
            sane(client.post(rollback, {**body, "to": to}))
        own = {"kind": "ImageStreamTag", "name": f"{name}:{tag}"}
        sane(put_tag(client, next(names), own))
        sane(client.delete(path("imagestreamtags", f"{name}:{tag}")))
        sane(client.post(path("imagestreamtags", f"{name}:{tag}", "undelete"), {}))
        with kept.scene.registry() as registry:
            sane(registry.manifest(f"{LAIR}/{name}", tag))
            sane(registry.http.delete(f"/v2/{LAIR}/{name}/manifests/{tag}"))
    for where in ("", "layers"):
        sane(client.get(path("imagestreams", name, where)))
    for stream_name in (name, "app"):  # nothing of it is in the way of the next write
        labelled = {"metadata": {"labels": {"written": "back"}}}
        answer = client.patch(path("imagestreams", stream_name), labelled)
        assert answer.status_code == 200, answer.text
    sane(client.get(path("imagestreams"), labelSelector="a in (b)"))
    assert client.delete(path("imagestreams", name)).status_code == 200
    sane(client.post(path("imagestreams", name, "undelete"), {}))
    sane(client.delete(path("imagestreams", name)))


def test_imports_of_anything_are_answered(kept: Kept) -> None:
    client = kept.mallory
    where = path("imagestreamimports")
    inside = ("127.0.0.1:1/a/b:1", "169.254.169.254/latest/meta-data:1", "localhost/x:1", "[::1]/x")
    asked: tuple[list[dict[str, Any]], ...] = (
        [{"from": {"kind": "DockerImage", "name": name}, "to": {"name": "x"}} for name in inside],
        [
            {"from": {"kind": "DockerImage", "name": "a"}, "to": {"name": f"t{n}"}}
            for n in range(9999)
        ],
        [{"from": {"kind": "DockerImage", "name": "a\0b"}, "to": {"name": "../x"}}],
        [{"from": {"kind": "ImageStreamTag", "namespace": VAULT, "name": "app:secret"}}],
        [{}],
    )
    for sources in asked:
        for imports in (True, False):
            body = {
                "apiVersion": VERSION,
                "kind": "ImageStreamImport",
                "metadata": {"name": "imported"},
                "spec": {"import": imports, "images": sources},
            }
            answer = sane(client.post(where, body))
            assert SECRET not in answer.text
    inward = [{"from": {"kind": "DockerImage", "name": name}} for name in inside[:3]]
    body = {"metadata": {"name": "inward"}, "spec": {"import": False, "images": inward}}
    for each in client.make(where, body)["status"]["images"]:
        assert each["status"]["reason"] == "Forbidden"
        assert "is no public address" in each["status"]["message"]
    unread(kept.scene, kept.secret, SECRET)


def test_a_hundred_thousand_tags_at_once_are_refused(kept: Kept) -> None:
    many = [{"name": f"t{number}"} for number in range(100_000)]
    answer = kept.mallory.post(path("imagestreams"), stream("huge", *many))
    assert answer.status_code in (413, 422), answer.text[:300]
    followers = [
        {"name": f"t{number}", "from": {"kind": "ImageStreamTag", "name": "1"}}
        for number in range(5_000)
    ]
    answer = kept.mallory.post(path("imagestreams"), stream("followers", *followers))
    assert answer.status_code == 422, answer.text[:300]
    assert "200 tags follow tag 1" in answer.text


def test_policies_cannot_be_made_to_hold_up_a_push(kept: Kept) -> None:
    client = kept.mallory

    def policy(name: str, pattern: str, many: int) -> dict[str, Any]:
        return {
            "metadata": {"name": name},
            "spec": {"mode": "Warn", "immutable": [pattern] * many, "streams": ["*"]},
        }

    assert client.post(POLICIES, policy("large", "*a" * 60, 32)).status_code == 422
    made = [client.post(POLICIES, policy(f"p{each}", f"*{each}", 1)) for each in range(10)]
    assert [each.status_code for each in made] == [201] * 8 + [403] * 2
    with kept.scene.registry() as registry:
        registry.push(f"{LAIR}/ruled", small_image("ruled"), "1")
        odd = json.loads(small_image("ruled").manifest.data)
        odds: tuple[Any, ...] = ({"a": 1}, {"a": None}, [], "x", {"a": {"b": "c"}})
        for annotations in odds:
            content = Content(encode({**odd, "annotations": annotations}), IMAGE_MANIFEST)
            sane(registry.put_manifest(f"{LAIR}/ruled", "odd", content))
    for each in range(8):
        assert client.delete(f"{POLICIES}/p{each}").status_code == 200


@pytest.mark.parametrize("value", ["-1", "1e400", "9" * 400, "0", "NaN", "1Ei", "", 2**70, -1, 0.5])
def test_no_quantity_is_a_fault_of_the_server(kept: Kept, value: Any) -> None:
    admin = kept.scene.admin
    if admin.get(f"{CORE}/namespaces/odd").status_code == 404:
        admin.make(f"{PROJECTS}/projectrequests", project("odd"))
    hard = {"tidegate.io/storage": value, "openshift.io/imagestreams": value}
    quota = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    limit = {
        "metadata": {"name": "l"},
        "spec": {
            "limits": [
                {"type": "openshift.io/Image", "max": {"storage": value}},
                {"type": "openshift.io/ImageStream", "max": {"openshift.io/images": value}},
            ]
        },
    }
    sane(admin.post(f"{CORE}/namespaces/odd/resourcequotas", quota))
    sane(admin.post(f"{CORE}/namespaces/odd/limitranges", limit))
    image = small_image(f"odd {value}")
    with client_of(kept.scene.server) as registry:
        for blob in image.blobs:
            sane(registry.put_blob("odd/app", blob))
        sane(registry.put_manifest("odd/app", "1", image.manifest))
    admin.delete(f"{CORE}/namespaces/odd/resourcequotas/q")
    admin.delete(f"{CORE}/namespaces/odd/limitranges/l")


def test_no_image_is_smaller_than_its_blobs(kept: Kept) -> None:
    """Limits on images look at the sizes that manifests say."""
    honest = labelled("sized")
    document = json.loads(honest.manifest.data)
    (blob,) = document["layers"]
    with kept.scene.registry() as registry:
        for each in honest.blobs:
            assert registry.put_blob(f"{LAIR}/sized", each).status_code == 201
        for layers in (
            [{**blob, "size": 0}, blob],
            [blob, {**blob, "size": 0}],
            [{**blob, "size": 0}],
        ):
            lying = Content(encode({**document, "layers": layers}), IMAGE_MANIFEST)
            answer = registry.put_manifest(f"{LAIR}/sized", "1", lying)
            assert answer.status_code == 400, answer.text
        # said to be elsewhere, and here after all
        foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar"
        elsewhere = {**blob, "mediaType": foreign, "size": 0}
        both = Content(encode({**document, "layers": [elsewhere, blob]}), IMAGE_MANIFEST)
        assert registry.put_manifest(f"{LAIR}/sized", "1", both).status_code == 201
    image = kept.mallory.read(path("imagestreamtags", "sized:1"))["image"]
    expected = sum(len(each.data) for each in honest.blobs)
    assert image["dockerImageMetadata"]["Size"] == expected


def test_a_dry_run_of_anything_leaves_nothing(kept: Kept) -> None:
    client, own = kept.mallory, {"kind": "ImageStreamTag", "name": "app:1"}
    before = client.get(path("imagestreams", "app")).text
    tags = client.get(path("imagestreamtags")).json()["items"]
    dry = {"dryRun": "All"}
    for answer in (
        client.post(path("imagestreams"), stream("dry"), **dry),
        client.post(path("imagestreamtags"), istag("dry", own), **dry),
        client.post(path("imagestreamtags"), istag("dry", own, of="dry"), **dry),
        client.put(path("imagestreamtags", "app:dry"), istag("dry", own), **dry),
        client.patch(path("imagestreams", "app"), {"spec": {"tags": [{"name": "dry"}]}}, **dry),
        client.post(path("imagestreammappings"), mapping(kept.scene.own, "dry"), **dry),
        client.post(path("imagestreamtags", "app:1", "rollback"), {"to": {"number": 1}}, **dry),
        client.delete(path("imagestreamtags", "app:1"), **dry),
        client.delete(path("imagestreams", "app"), **dry),
    ):
        assert sane(answer).status_code < 300, answer.text
    assert client.get(path("imagestreams", "app")).text == before
    assert client.get(path("imagestreamtags")).json()["items"] == tags


# Races


def test_of_two_pushes_to_an_immutable_tag_one_wins(kept: Kept) -> None:
    client = kept.mallory
    rule = {"metadata": {"name": "still"}, "spec": {"streams": ["still"], "immutable": ["*"]}}
    client.make(POLICIES, rule)
    images = [small_image(f"race {number}") for number in range(8)]
    with kept.scene.registry() as registry:
        for image in images:
            registry.push(f"{LAIR}/still", image)
        with ThreadPoolExecutor(8) as threads:
            answers = list(
                threads.map(
                    lambda image: registry.put_manifest(f"{LAIR}/still", "v1", image.manifest),
                    images,
                )
            )
        won = [image for image, each in zip(images, answers, strict=True) if each.is_success]
        assert [each.status_code for each in answers].count(201) == 1
        registry.pull(f"{LAIR}/still", won[0], "v1")
        other = next(image for image in images if image is not won[0])
        origin = {"kind": "ImageStreamImage", "name": f"still@{other.digest}"}
        answer = client.put(path("imagestreamtags", "still:v1"), istag("v1", origin, of="still"))
        assert answer.status_code == 422, answer.text
        moved = mapping(won[0], "v1", of="still", dockerImageReference="example.com/evil:latest")
        del moved["image"]["metadata"]["annotations"]
        sane(client.post(path("imagestreammappings"), moved))
        shown = client.read(path("imagestreamtags", "still:v1"))
        assert shown["image"]["dockerImageReference"].endswith(f"/still@{won[0].digest}")
        assert registry.http.delete(f"/v2/{LAIR}/still/manifests/v1").status_code in (403, 405)
    assert client.delete(f"{POLICIES}/still").status_code == 200


def test_pushes_deletes_and_undeletes_at_once_leave_a_stream_that_is_whole(kept: Kept) -> None:
    client, images = kept.mallory, [small_image(f"mixed {number}") for number in range(2)]
    with kept.scene.registry() as registry:
        for image in images:
            registry.push(f"{LAIR}/mixed", image, "1")

        def work(number: int) -> list[int]:
            told = []
            for turn in range(6):
                own = {"kind": "ImageStreamTag", "name": "mixed:1"}
                answers = (
                    registry.put_manifest(f"{LAIR}/mixed", "1", images[turn % 2].manifest),
                    client.delete(path("imagestreamtags", "mixed:1")),
                    client.post(path("imagestreamtags", "mixed:1", "undelete"), {}),
                    client.delete(path("imagestreams", "mixed")),
                    client.post(path("imagestreams", "mixed", "undelete"), {}),
                    put_tag(client, f"copy{number}", own),
                )
                told += [each.status_code for each in answers]
            return told

        with ThreadPoolExecutor(4) as threads:
            told = [status for each in threads.map(work, range(4)) for status in each]
        assert max(told) < 500, told
        client.post(path("imagestreams", "mixed", "undelete"), {})
        registry.push(f"{LAIR}/mixed", images[0], "1")
        registry.pull(f"{LAIR}/mixed", images[0], "1")
    tag = client.read(path("imagestreamtags", "mixed:1"))
    assert tag["image"]["metadata"]["name"] == images[0].digest


def test_no_tag_or_stream_is_made_in_a_project_that_goes(kept: Kept) -> None:
    scene, name = kept.scene, "going"
    scene.mallory.make(f"{PROJECTS}/projectrequests", project(name))
    with scene.registry() as registry:
        registry.push(f"{name}/app", scene.own, "1")
    own = {"kind": "ImageStreamTag", "namespace": LAIR, "name": "app:1"}

    def write(number: int) -> int:
        answers = [
            scene.admin.put(path("imagestreamtags", f"{each}:t{number}", project=name), body)
            for each in (f"new{number}", "app")
            for body in (istag(f"t{number}", own, of=each),)
        ]
        answers.append(scene.admin.post(path("imagestreams", "app", "undelete", name), {}))
        body = mapping(scene.own, f"m{number}")
        answers.append(scene.admin.post(path("imagestreammappings", project=name), body))
        return max(each.status_code for each in answers)

    with ThreadPoolExecutor(4) as threads:
        writing = [threads.submit(write, number) for number in range(60)]
        assert scene.mallory.delete(f"{PROJECTS}/projects/{name}").status_code == 200
        assert max(each.result() for each in writing) < 500
    wait_until(lambda: scene.admin.get(f"{CORE}/namespaces/{name}").status_code == 404, seconds=60)
    assert scene.admin.read(path("imagestreams", project=name))["items"] == []
    scene.mallory.make(f"{PROJECTS}/projectrequests", project(name))
    assert scene.mallory.read(path("imagestreamtags", project=name))["items"] == []
    assert scene.mallory.post(path("imagestreams", "app", "undelete", name), {}).status_code == 404


def test_the_webhook_is_not_there_for_who_does_not_know_its_secret(kept: Kept) -> None:
    for secret in ("", "x", "x" * 64, "%2e%2e", "..", "a/b"):
        for method in ("GET", "POST", "PUT"):
            answer = kept.mallory.http.request(
                method, f"/admission/{secret}/workloads", json={"kind": "AdmissionReview"}
            )
            assert answer.status_code == 404, (method, secret)
