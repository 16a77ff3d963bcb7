"""Image streams over HTTP: verbs, generations, where tags come from, history, watches.

Numbers are those of the tricky behaviours in OpenShift's own handling of streams.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.images import small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    hang_up,
    kube_client,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import client_of
from tests.server import Server, wait_until

GROUP = "/apis/image.openshift.io/v1"
SHOP = f"{GROUP}/namespaces/shop/imagestreams"
PROD = f"{GROUP}/namespaces/prod/imagestreams"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def stream(name: str, *tags: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStream",
        "metadata": {"name": name},
        "spec": {"tags": list(tags), **spec},
    }


def tag(name: str, source: str = "", kind: str = "DockerImage", **more: Any) -> dict[str, Any]:
    """A spec tag; without a source it is fed by pushes."""
    namespace = more.pop("namespace", None)
    origin: dict[str, Any] = {"kind": kind, "name": source}
    if namespace:
        origin["namespace"] = namespace
    return {"name": name, **({"from": origin} if source else {}), **more}


def of_tag(name: str, source: str, **more: Any) -> dict[str, Any]:
    return tag(name, source, "ImageStreamTag", **more)


def spec_tag(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [each for each in found["spec"]["tags"] if each["name"] == name]
    return dict(one)


def history(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Events of a tag, the newest first."""
    for each in found["status"].get("tags", []):
        if each["tag"] == name:
            return list(each["items"])
    return []


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        for name in ("shop", "prod"):
            client.make(f"{PROJECTS}/projectrequests", project(name))
        yield client


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A stream of the test's own."""
    called = str(request.node.name).split("[", maxsplit=1)[0].removeprefix("test_")
    return called.replace("_", "-")[:60].strip("-")


def push(server: Server, repository: str, tag_name: str, text: str) -> str:
    """Push an image of its own; its digest."""
    image = small_image(text)
    with client_of(server) as client:
        client.push(repository, image, tag_name)
    return image.digest


def test_a_stream_is_made_read_changed_and_deleted(admin: KubeClient, name: str) -> None:
    made = admin.make(SHOP, stream(name))
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["lookupPolicy"] == {"local": False}
    assert made["status"]["dockerImageRepository"].endswith(f"/shop/{name}")
    assert admin.post(SHOP, stream(name)).status_code == 409
    path = f"{SHOP}/{name}"
    assert admin.read(path) == made
    made["metadata"]["labels"] = {"team": "a"}
    labelled = admin.put(path, made).json()
    assert labelled["metadata"]["generation"] == 1  # labels are not what is wanted
    assert admin.put(path, made).status_code == 409  # by somebody who has read an older one
    listed = admin.read(SHOP, labelSelector="team=a")["items"]
    assert [each["metadata"]["name"] for each in listed] == [name]
    assert admin.delete(path).json()["status"] == "Success"
    assert admin.get(path).status_code == 404
    assert admin.put(path, stream(name)).status_code == 404  # PUT makes nothing


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        ("application/merge-patch+json", {"spec": {"lookupPolicy": {"local": True}}}),
        ("application/strategic-merge-patch+json", {"spec": {"lookupPolicy": {"local": True}}}),
        (
            "application/json-patch+json",
            [{"op": "replace", "path": "/spec/lookupPolicy/local", "value": True}],
        ),
    ],
)
def test_every_patch_changes_what_it_says_and_no_tag(
    admin: KubeClient, form: str, patch: Any
) -> None:
    name = f"patched-{form.split('/')[1].split('-')[0]}"
    admin.make(SHOP, stream(name, tag("v1", "docker.io/x:1", reference=True)))
    patched = admin.patch(f"{SHOP}/{name}", patch, form).json()
    assert patched["spec"]["lookupPolicy"] == {"local": True}
    assert patched["metadata"]["generation"] == 2
    assert spec_tag(patched, "v1")["generation"] == 1
    assert len(history(patched, "v1")) == 1


def test_a_strategic_patch_adds_a_tag_beside_the_others(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name, tag("v1", "docker.io/x:1")))
    patch = {"spec": {"tags": [tag("v2", "docker.io/x:2")]}}
    patched = admin.patch(f"{SHOP}/{name}", patch, "application/strategic-merge-patch+json").json()
    assert [(each["name"], each["generation"]) for each in patched["spec"]["tags"]] == [
        ("v1", 1),
        ("v2", 2),
    ]


def test_apply_keeps_the_tags_of_other_managers(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name, tag("v1", "docker.io/x:1")))
    applied = admin.patch(
        f"{SHOP}/{name}",
        stream(name, tag("v2", "docker.io/x:2")),
        "application/apply-patch+yaml",
        fieldManager="gitops",
    ).json()
    assert [each["name"] for each in applied["spec"]["tags"]] == ["v1", "v2"]
    applied = admin.patch(
        f"{SHOP}/{name}", stream(name), "application/apply-patch+yaml", fieldManager="gitops"
    ).json()
    assert [each["name"] for each in applied["spec"]["tags"]] == ["v1"]


def test_a_dry_run_shows_what_would_be_and_keeps_nothing(admin: KubeClient, name: str) -> None:
    before = admin.make(SHOP, stream(name))
    patch = {"spec": {"tags": [tag("v1", "docker.io/x:1", reference=True)]}}
    would = admin.patch(f"{SHOP}/{name}", patch, dryRun="All").json()
    assert history(would, "v1")[0]["dockerImageReference"] == "docker.io/x:1"
    assert admin.read(f"{SHOP}/{name}") == before
    assert admin.post(SHOP, stream(f"{name}-2"), dryRun="All").status_code == 201
    assert admin.get(f"{SHOP}/{name}-2").status_code == 404


def test_1_users_cannot_set_the_generation_of_a_tag_but_to_zero(
    admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name, tag("t", "docker.io/x:1")))
    path = f"{SHOP}/{name}"
    found = admin.read(path)
    found["spec"]["tags"][0]["generation"] = 7
    found = admin.put(path, found).json()
    assert (found["metadata"]["generation"], spec_tag(found, "t")["generation"]) == (1, 1)
    found["spec"]["tags"][0]["generation"] = 0
    found = admin.put(path, found).json()
    assert (found["metadata"]["generation"], spec_tag(found, "t")["generation"]) == (2, 2)


def test_2_how_a_tag_is_imported_counts_only_with_its_mode(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name, tag("t", "docker.io/x:1")))
    path = f"{SHOP}/{name}"
    found = admin.read(path)
    found["spec"]["tags"][0]["importPolicy"]["scheduled"] = True
    found = admin.put(path, found).json()
    assert (found["metadata"]["generation"], spec_tag(found, "t")["generation"]) == (2, 1)
    found["spec"]["tags"][0]["importPolicy"]["importMode"] = "PreserveOriginal"
    found = admin.put(path, found).json()
    assert (found["metadata"]["generation"], spec_tag(found, "t")["generation"]) == (3, 3)


def test_3_what_a_tag_named_stays_when_it_is_no_longer_wanted(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name, tag("t", "docker.io/x:1", reference=True)))
    patched = admin.patch(f"{SHOP}/{name}", {"spec": {"tags": []}}).json()
    assert "tags" not in patched["spec"]
    assert len(history(patched, "t")) == 1


def test_6_an_alias_follows_pushes_and_a_tag_of_an_image_does_not(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name))
    first = push(server, f"shop/{name}", "1.0", f"{name} first")
    tags = [
        of_tag("alias", f"{name}:1.0"),
        tag("fixed", f"{name}@{first}", "ImageStreamImage"),
    ]
    found = admin.patch(f"{SHOP}/{name}", {"spec": {"tags": tags}}).json()
    assert [history(found, each)[0]["image"] for each in ("alias", "fixed")] == [first, first]
    second = push(server, f"shop/{name}", "1.0", f"{name} second")
    found = admin.read(f"{SHOP}/{name}")
    assert [each["image"] for each in history(found, "alias")] == [second, first]
    assert [each["image"] for each in history(found, "fixed")] == [first]


def test_7_and_8_a_copy_from_another_project_stays_and_is_pulled_from_here(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name))
    first = push(server, f"shop/{name}", "x", f"{name} first")
    source = f"{name}:x"
    tags = [
        of_tag("copied", source, namespace="shop"),
        of_tag("referred", source, namespace="shop", reference=True),
    ]
    made = admin.make(PROD, stream(name, *tags))
    host = made["status"]["dockerImageRepository"].partition("/")[0]
    references = {each: history(made, each)[0]["dockerImageReference"] for each in
                  ("copied", "referred")}  # fmt: skip
    assert references == {
        "copied": f"{host}/prod/{name}@{first}",
        "referred": f"{host}/shop/{name}@{first}",
    }
    with client_of(server) as client:
        assert client.http.get(f"/v2/prod/{name}/manifests/copied").status_code == 200
    push(server, f"shop/{name}", "x", f"{name} second")
    assert [each["image"] for each in history(admin.read(f"{PROD}/{name}"), "copied")] == [first]


def test_9_a_tag_comes_only_from_where_its_writer_may_pull(
    server: Server, admin: KubeClient, name: str
) -> None:
    add_user(server, "ursula")
    admin.make(f"{RBAC}/namespaces/prod/rolebindings", role_binding("ursula", "edit", "ursula"))
    admin.make(SHOP, stream(name))
    push(server, f"shop/{name}", "x", name)
    wanted = of_tag("t", f"{name}:x", namespace="shop")
    with KubeClient(server.url, log_in(server.url, "ursula")) as ursula:
        refused = ursula.post(PROD, stream(name, wanted))
        assert refused.status_code == 422
        assert refused.json()["reason"] == "Invalid"
        assert f"spec.tags[t].from: Forbidden: shop/{name}" in refused.json()["message"]
        assert admin.get(f"{PROD}/{name}").status_code == 404
        admin.make(PROD, stream(name, wanted))
        found = ursula.read(f"{PROD}/{name}")
        found["metadata"]["labels"] = {"a": "b"}
        assert ursula.put(f"{PROD}/{name}", found).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (of_tag("t", "missing:x"), "spec.tags[t].from.name: Not found"),
        (tag("t", "web", "Pod"), "spec.tags[t].from.kind: Required value"),
        (tag("t", "a:b:c:d"), "spec.tags[t].from.name: Invalid value"),
        (of_tag("t", "a:b:c"), "must be of the form <tag>, <repo>:<tag>, <id>, or <repo>@<id>"),
        (
            tag("t", "sha256:77", "ImageStreamImage"),
            'spec.tags[t].from.name: Invalid value: "sha256:77": error generating tag event: ',
        ),
        (
            of_tag("t", "x", importPolicy={"scheduled": True}),
            "only tags pointing to Docker repositories may be scheduled",
        ),
    ],
)
def test_a_tag_from_nowhere_is_refused(admin: KubeClient, wanted: Any, text: str) -> None:
    answer = admin.post(SHOP, stream("nowhere", wanted))
    assert answer.status_code == 422, answer.text
    assert text in answer.json()["message"]
    assert admin.get(f"{SHOP}/nowhere").status_code == 404


def test_a_tag_of_an_existing_stream_that_has_no_such_tag_yet_is_kept(
    admin: KubeClient, name: str
) -> None:
    made = admin.make(SHOP, stream(name, of_tag("t", "later")))
    assert spec_tag(made, "t")["from"]["name"] == "later"
    assert history(made, "t") == []


def test_status_takes_pruning_and_nothing_of_the_spec(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name))
    digests = [push(server, f"shop/{name}", "t", f"{name} {each}") for each in range(3)]
    found = admin.read(f"{SHOP}/{name}")
    found["spec"]["lookupPolicy"] = {"local": True}
    events = found["status"]["tags"][0]["items"]
    del events[1]
    written = admin.put(f"{SHOP}/{name}/status", found)
    assert written.status_code == 200, written.text
    left = admin.read(f"{SHOP}/{name}")
    assert [each["image"] for each in history(left, "t")] == [digests[2], digests[0]]
    assert left["spec"]["lookupPolicy"] == {"local": False}
    assert left["metadata"]["generation"] == 1
    # the newest event goes: the tag names the one before
    left["status"]["tags"][0]["items"].pop(0)
    assert admin.put(f"{SHOP}/{name}/status", left).status_code == 200
    with client_of(server) as client:
        pulled = client.http.get(f"/v2/shop/{name}/manifests/t")
    assert pulled.headers["docker-content-digest"] == digests[0]


def test_status_takes_new_events_and_gives_them_a_generation(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name, tag("t", "docker.io/x:1")))
    found = admin.read(f"{SHOP}/{name}")
    image = "sha256:" + "a" * 64
    event = {
        "created": "2026-01-02T03:04:05Z",
        "dockerImageReference": f"docker.io/library/x@{image}",
        "image": image,
        "generation": 0,
    }
    found["status"]["tags"] = [{"tag": "t", "items": [event]}]
    assert admin.put(f"{SHOP}/{name}/status", found).status_code == 200
    (kept,) = history(admin.read(f"{SHOP}/{name}"), "t")
    assert kept == {**event, "generation": 1}


def test_a_status_in_an_ordinary_write_is_ignored(admin: KubeClient, name: str) -> None:
    made = admin.make(
        SHOP, {**stream(name), "status": {"tags": [{"tag": "t", "items": None}], "x": 1}},
        fieldValidation="Ignore",
    )  # fmt: skip
    assert "tags" not in made["status"]
    patch = {"status": {"dockerImageRepository": "elsewhere/x/y"}}
    patched = admin.patch(f"{SHOP}/{name}", patch).json()
    assert patched["status"] == made["status"]
    assert patched["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_many_who_patch_one_stream_at_a_time_all_succeed(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name))

    def patch(number: int) -> int:
        change = {"metadata": {"labels": {f"n{number}": "x"}}}
        return admin.patch(f"{SHOP}/{name}", change).status_code

    with ThreadPoolExecutor(16) as pool:
        pushing = pool.submit(push, server, f"shop/{name}", "t", name)
        codes = set(pool.map(patch, range(100)))
    assert codes == {200}
    pushing.result()
    assert len(admin.read(f"{SHOP}/{name}")["metadata"]["labels"]) == 100


class Watching:
    """A watch that collects what it is told in a thread of its own."""

    def __init__(self, client: KubeClient, path: str, **params: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._read, args=(client, path, params))
        self._thread.start()

    def _read(self, client: KubeClient, path: str, params: dict[str, Any]) -> None:
        every = {"watch": "true", "timeoutSeconds": "30", **params}
        with client.http.stream("GET", path, params=every, timeout=httpx.Timeout(60)) as lines:
            self._answer = lines
            with contextlib.suppress(httpx.RemoteProtocolError):  # hung up by `leave`
                for line in lines.iter_lines():
                    self.events.append(json.loads(line))

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.events]

    def wait(self, *kinds: str) -> None:
        """Wait for just these events."""
        wait_until(lambda: len(self.events) >= len(kinds))
        assert self.kinds() == list(kinds)

    def end(self) -> None:
        """Wait for the end that the server makes."""
        self._thread.join()

    def leave(self) -> None:
        """End it without waiting, after an event."""
        assert self._answer is not None
        hang_up(self._answer)
        self._thread.join()


def test_19_a_watch_shows_the_stream_as_it_is_and_then_each_change(
    server: Server, admin: KubeClient, name: str
) -> None:
    made = admin.make(SHOP, stream(name))
    selected = {"fieldSelector": f"metadata.name={name}"}
    from_list = Watching(
        admin, SHOP, resourceVersion=made["metadata"]["resourceVersion"], **selected
    )
    from_zero = Watching(admin, SHOP, resourceVersion="0", **selected)
    from_zero.wait("ADDED")
    digest = push(server, f"shop/{name}", "t", name)
    from_zero.wait("ADDED", "MODIFIED")
    from_list.wait("MODIFIED")
    for each in (from_zero.events[-1], from_list.events[-1]):
        assert history(each["object"], "t")[0]["image"] == digest
    admin.delete(f"{SHOP}/{name}")
    from_zero.wait("ADDED", "MODIFIED", "DELETED")
    assert from_zero.events[-1]["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    for watching in (from_list, from_zero):
        watching.leave()


def test_20_a_streaming_list_ends_with_a_bookmark_that_says_so(
    admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name, tag("t", "docker.io/x:1", reference=True)))
    watching = Watching(
        admin,
        SHOP,
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
        timeoutSeconds="1",
        fieldSelector=f"metadata.name={name}",
    )
    watching.end()
    assert watching.kinds()[:2] == ["ADDED", "BOOKMARK"]
    assert len(history(watching.events[0]["object"], "t")) == 1
    annotations = watching.events[1]["object"]["metadata"]["annotations"]
    assert annotations == {"k8s.io/initial-events-end": "true"}


def test_a_stream_that_leaves_a_selection_is_told_as_deleted(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name))
    admin.patch(f"{SHOP}/{name}", {"metadata": {"labels": {"seen": "yes"}}})
    watching = Watching(admin, SHOP, resourceVersion="0", labelSelector="seen=yes")
    watching.wait("ADDED")
    admin.patch(f"{SHOP}/{name}", {"metadata": {"labels": {"seen": "no"}}})
    watching.wait("ADDED", "DELETED")
    watching.leave()


def test_23_a_limit_on_images_stops_what_adds_one_and_nothing_else(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(f"{PROJECTS}/projectrequests", project("limited"))
    path = f"{GROUP}/namespaces/limited/imagestreams/{name}"
    for each in range(3):
        push(server, f"limited/{name}", f"t{each}", f"{name} {each}")
    limits = {"type": "openshift.io/ImageStream", "max": {"openshift.io/images": "2"}}
    admin.make(
        f"{CORE}/namespaces/limited/limitranges",
        {"metadata": {"name": "few"}, "spec": {"limits": [limits]}},
    )
    labelled = admin.patch(path, {"metadata": {"labels": {"a": "b"}}})
    assert labelled.status_code == 200, labelled.text
    image = small_image(f"{name} 4")
    with client_of(server) as client:
        for blob in image.blobs:
            client.put_blob(f"limited/{name}", blob)
        refused = client.put_manifest(f"limited/{name}", "t4", image.manifest)
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["code"] == "DENIED"
    assert "exceeds the maximum limit per openshift.io/ImageStream" in refused.text


def test_layers_show_images_by_digest_alone_too(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name))
    tagged = push(server, f"shop/{name}", "t", f"{name} tagged")
    bare = small_image(f"{name} bare")
    with client_of(server) as client:
        client.push(f"shop/{name}", bare)
    found = admin.read(f"{SHOP}/{name}/layers")
    assert found["kind"] == "ImageStreamLayers"
    assert set(found["images"]) == {tagged, bare.digest}
    config, layer = bare.blobs[0], bare.blobs[-1]
    assert found["images"][bare.digest] == {
        "imageMissing": False, "layers": [layer.digest], "config": config.digest, "manifests": []
    }  # fmt: skip
    assert found["blobs"][layer.digest] == {
        "size": len(layer.data),
        "mediaType": layer.media_type,
    }
    assert admin.get(f"{SHOP}/not-there/layers").status_code == 404


def test_secrets_are_the_pull_secrets_of_the_project(admin: KubeClient) -> None:
    secrets = f"{CORE}/namespaces/shop/secrets"
    config = {".dockerconfigjson": "eyJhdXRocyI6e319"}
    kind = "kubernetes.io/dockerconfigjson"
    admin.make(secrets, {"metadata": {"name": "quay"}, "type": kind, "data": config})
    hidden = {"openshift.io/image.excludeSecret": "true"}
    admin.make(
        secrets,
        {"metadata": {"name": "hidden", "annotations": hidden}, "type": kind, "data": config},
    )
    admin.make(secrets, {"metadata": {"name": "other"}, "data": {}})
    found = admin.read(f"{SHOP}/any/secrets")
    assert found["kind"] == "SecretList"
    names = {each["metadata"]["name"] for each in found["items"]}
    assert "quay" in names
    assert not names & {"hidden", "other"}


def test_a_deleted_stream_comes_back_with_tags_and_history(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name, tag("wanted", "docker.io/x:1")))
    for each in range(2):
        push(server, f"shop/{name}", "t", f"{name} {each}")
    before = admin.read(f"{SHOP}/{name}")
    undelete = f"{SHOP}/{name}/undelete"
    assert admin.post(undelete, stream(name)).status_code == 409
    admin.delete(f"{SHOP}/{name}")
    with client_of(server) as client:
        assert client.http.get(f"/v2/shop/{name}/manifests/t").status_code == 404
        back = admin.post(undelete, stream(name))
        assert back.status_code == 201, back.text
        assert client.http.get(f"/v2/shop/{name}/manifests/t").status_code == 200
    after = admin.read(f"{SHOP}/{name}")
    assert (after["spec"], after["status"]) == (before["spec"], before["status"])
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert admin.post(f"{SHOP}/never/undelete", stream("never")).status_code == 404


def test_a_table_shows_repository_and_tags(admin: KubeClient, name: str) -> None:
    admin.make(SHOP, stream(name, tag("v1", "docker.io/x:1", reference=True)))
    answer = admin.http.get(f"{SHOP}/{name}", headers={"Accept": TABLE}).json()
    assert [each["name"] for each in answer["columnDefinitions"]] == [
        "Name",
        "Image Repository",
        "Tags",
        "Updated",
    ]
    cells = answer["rows"][0]["cells"]
    assert cells[0] == name
    assert cells[1].endswith(f"/shop/{name}")
    assert cells[2] == "v1"


def test_patches_go_on_while_tags_are_pushed_all_the_time(
    server: Server, admin: KubeClient, name: str
) -> None:
    admin.make(SHOP, stream(name))
    image = small_image(name)
    over = threading.Event()

    def push_on(number: int) -> int:
        pushes = 0
        with client_of(server) as client:
            client.push(f"shop/{name}", image, f"t{number}")
            while not over.is_set():
                client.put_manifest(f"shop/{name}", f"t{number}-{pushes % 50}", image.manifest)
                pushes += 1
        return pushes

    with ThreadPoolExecutor(4) as pool:
        pushing = [pool.submit(push_on, each) for each in range(4)]
        try:
            for number in range(20):
                spec = {"spec": {"tags": [tag("mine", f"docker.io/x:{number}", reference=True)]}}
                patched = admin.patch(f"{SHOP}/{name}", spec)
                assert patched.status_code == 200, patched.text
        finally:
            over.set()
        assert all(each.result() for each in pushing)
    found = admin.read(f"{SHOP}/{name}")
    assert found["metadata"]["generation"] == 21
    assert len(history(found, "mine")) == 20


def test_streams_are_the_same_on_postgresql(start: Start, name: str) -> None:
    with postgresql.server() as own, own.database() as url:
        server = start(settings={"database": url, "undelete_window": "60"}, workers=1)
        with kube_client(server) as admin:
            admin.make(f"{PROJECTS}/projectrequests", project("shop"))
            admin.make(SHOP, stream(name, tag("wanted", "docker.io/x:1", reference=True)))
            first, second = (push(server, f"shop/{name}", "t", f"{name} {n}") for n in range(2))
            (listed,) = admin.read(SHOP)["items"]
            assert [each["image"] for each in history(listed, "t")] == [second, first]
            assert set(admin.read(f"{SHOP}/{name}/layers")["images"]) == {first, second}
            for _ in range(2):  # what was left behind the first time is not in the way
                admin.delete(f"{SHOP}/{name}")
                back = admin.post(f"{SHOP}/{name}/undelete", stream(name))
                assert back.status_code == 201, back.text
            assert back.json()["status"] == listed["status"]
            patch = {"spec": {"tags": [of_tag("alias", "t")]}}
            patched = admin.patch(f"{SHOP}/{name}", patch).json()
            assert history(patched, "alias")[0]["image"] == second
        assert server.stop() == 0, server.log
