"""What `oc` says of streams, tags and images, and needs to hear; no oc is needed to run it.

The requests are those that oc of the 4.2x line sends, field by field: nulls, zeros and empty names
are its own. What it prints is made of the fields that are looked at here. Logging in, projects and
roles are in `test_oc_exchanges`.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.images import index, small_image
from tests.kube_client import (
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving

GROUP = "/apis/image.openshift.io/v1"
STRATEGIC = "application/strategic-merge-patch+json"
BUSYBOX = {"kind": "DockerImage", "name": "docker.io/library/busybox:1"}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own, with a user beside the administrator."""
    with serving(Server(tmp_path_factory.mktemp("oc-images") / "data")) as started:
        add_user(started, "una")
        yield started
    assert "Traceback" not in started.log, started.log


@pytest.fixture(scope="module")
def registry(server: Server) -> Iterator[RegistryClient]:
    with client_of(server) as client:
        yield client


@pytest.fixture(scope="module")
def una(server: Server) -> Iterator[KubeClient]:
    with kube_client(server, "una") as client:
        yield client


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


class Shop(NamedTuple):
    """A project of una's, to whose stream `web` two images were pushed as `v1`."""

    name: str
    una: KubeClient
    registry: RegistryClient
    digests: tuple[str, str]  # the newer first

    def path(self, resource: str, name: str = "", project: str = "") -> str:
        found = f"{GROUP}/namespaces/{project or self.name}/{resource}"
        return f"{found}/{name}" if name else found

    def stream(self, name: str = "web") -> Json:
        return self.una.read(self.path("imagestreams", name))

    def tag(self, destination: str, origin: Json, **more: Any) -> httpx.Response:
        """The PUT of `oc tag`: `STREAM:TAG`, in another project after a slash."""
        project, _, name = destination.rpartition("/")
        return self.una.put(
            self.path("imagestreamtags", name, project),
            sent_tag(name, project or self.name, origin, **more),
        )

    def events(self, name: str, stream: str = "web") -> list[Json]:
        for each in self.stream(stream)["status"].get("tags", ()):
            if each["tag"] == name:
                return list(each["items"])
        return []


def sent_tag(name: str, namespace: str, origin: Json, **more: Any) -> Json:
    """An ImageStreamTag as `oc tag` writes it."""
    docker = origin["kind"] == "DockerImage"
    mode = more.pop("mode", "Legacy")
    tag = {
        "name": name.partition(":")[2],
        "annotations": None,
        "from": origin,
        **more.pop("flags", {}),
        "generation": 0 if docker else None,
        "importPolicy": {**more.pop("importing", {}), "importMode": mode},
        "referencePolicy": {"type": more.pop("policy", "Source")},
    }
    return {
        "kind": "ImageStreamTag",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": name, "namespace": namespace},
        "tag": tag,
        "generation": 0,
        "lookupPolicy": {"local": False},
        "image": {"metadata": {}, "dockerImageMetadata": None},
    }


@pytest.fixture
def shop(una: KubeClient, registry: RegistryClient, repository: str) -> Iterator[Shop]:
    name = repository.partition("/")[0]
    una.make(f"{PROJECTS}/projectrequests", project(name))
    images = [small_image(f"{name} {each}") for each in ("older", "newer")]
    for image in images:
        registry.push(f"{name}/web", image, "v1")
    yield Shop(name, una, registry, (images[1].digest, images[0].digest))
    una.delete(f"{PROJECTS}/projects/{name}")


def image_of(digest: str, namespace: str = "") -> Json:
    """What `oc tag` makes of a tag of a stream: the image that the tag names now."""
    origin = {"kind": "ImageStreamImage", "name": f"web@{digest}"}
    return {**origin, "namespace": namespace} if namespace else origin


# oc tag


def test_a_tag_is_set_to_the_image_that_another_has_now(shop: Shop) -> None:
    """`oc tag web:v1 web:stable` reads the stream, then names the image by its digest."""
    (v1,) = [each for each in shop.stream()["status"]["tags"] if each["tag"] == "v1"]
    digest = v1["items"][0]["image"]
    assert digest == shop.digests[0]
    answer = shop.tag("web:stable", image_of(digest))
    assert answer.status_code == 201
    made = answer.json()
    assert made["image"]["metadata"]["name"] == digest
    assert made["tag"]["from"] == image_of(digest)
    later = small_image(f"{shop.name} later")
    shop.registry.push(f"{shop.name}/web", later, "v1")
    assert [each["image"] for each in shop.events("stable")] == [digest]
    assert shop.tag("web:stable", image_of(later.digest)).status_code == 200  # set anew
    assert [each["image"] for each in shop.events("stable")] == [later.digest, digest]


def test_what_a_tag_says_of_its_stream_is_ignored(shop: Shop) -> None:
    """oc writes `lookupPolicy` and `generation` of a stream tag as zeros and means nothing."""
    local = {"spec": {"lookupPolicy": {"local": True}}}
    shop.una.patch(shop.path("imagestreams", "web"), local, STRATEGIC)
    assert shop.tag("web:stable", image_of(shop.digests[0])).status_code == 201
    assert shop.stream()["spec"]["lookupPolicy"] == {"local": True}


def test_an_alias_follows(shop: Shop) -> None:
    """`oc tag web:v1 web:latest --alias`."""
    assert shop.tag("web:latest", {"kind": "ImageStreamTag", "name": "web:v1"}).status_code == 201
    later = small_image(f"{shop.name} later")
    shop.registry.push(f"{shop.name}/web", later, "v1")
    expected = [later.digest, shop.digests[0]]
    assert [each["image"] for each in shop.events("latest")] == expected


@pytest.mark.parametrize(
    ("flags", "policy", "mode", "importing"),
    [
        ({}, "Source", "Legacy", {}),
        ({}, "Local", "Legacy", {}),  # --reference-policy=local
        ({}, "Source", "PreserveOriginal", {}),  # --import-mode=PreserveOriginal
        ({}, "Source", "Legacy", {"scheduled": True}),  # --scheduled
        ({}, "Source", "Legacy", {"insecure": True}),  # --insecure
        ({"reference": True}, "Source", "Legacy", {}),  # --reference
    ],
)
def test_a_tag_is_set_to_another_registry(
    shop: Shop, flags: Json, policy: str, mode: str, importing: Json
) -> None:
    """`oc tag --source=docker docker.io/library/busybox:1 web:bb`."""
    more = {"flags": flags, "policy": policy, "mode": mode, "importing": importing}
    answer = shop.tag("web:bb", BUSYBOX, **more)
    assert answer.status_code == 201
    (wanted,) = shop.stream()["spec"]["tags"]
    assert wanted["from"] == BUSYBOX
    assert wanted["generation"] == shop.stream()["metadata"]["generation"]
    assert wanted["importPolicy"] == {**importing, "importMode": mode}
    assert wanted["referencePolicy"] == {"type": policy}
    assert wanted.get("reference", False) is bool(flags)
    events = [each["dockerImageReference"] for each in shop.events("bb")]
    assert events == (["docker.io/library/busybox:1"] if flags else [])
    # once more asks for another import; a reference stays what it is
    assert shop.tag("web:bb", BUSYBOX, **more).status_code == 200
    assert len(shop.events("bb")) == len(events)


def test_one_source_is_set_as_several_tags(shop: Shop, admin: KubeClient) -> None:
    """`oc tag web:v1 a:1 b:2 PROJECT/c:3`: streams that are not there are made."""
    other = f"{shop.name}-prod"
    shop.una.make(f"{PROJECTS}/projectrequests", project(other))
    digest = shop.digests[0]
    for destination, origin in (
        ("a:1", image_of(digest)),
        ("b:2", image_of(digest)),
        (f"{other}/c:3", image_of(digest, shop.name)),
    ):
        answer = shop.tag(destination, origin)
        assert answer.status_code == 201
        assert answer.json()["image"]["metadata"]["name"] == digest
    pulled = shop.registry.manifest(f"{other}/c", "3")
    assert pulled.headers["docker-content-digest"] == digest
    reference = admin.read(f"{GROUP}/namespaces/{other}/imagestreamtags/c:3")["image"]
    assert reference["dockerImageReference"].endswith(f"/{other}/c@{digest}")


def test_what_cannot_be_tagged_is_told(shop: Shop, admin: KubeClient) -> None:
    missing = shop.una.get(shop.path("imagestreams", "none"))
    assert missing.status_code == 404
    assert missing.json()["message"] == 'imagestreams.image.openshift.io "none" not found'
    gone = shop.tag("web:x", image_of("sha256:" + "0" * 64))
    assert gone.status_code == 422
    theirs = f"{shop.name}-theirs"
    admin.make(f"{PROJECTS}/projectrequests", project(theirs))
    refused = shop.tag(f"{theirs}/web:1", image_of(shop.digests[0], shop.name))
    assert refused.status_code == 403
    # oc then tries to create the same, and as a last resort the whole stream
    body = sent_tag("web:1", theirs, image_of(shop.digests[0], shop.name))
    assert shop.una.post(shop.path("imagestreamtags", "", theirs), body).status_code == 403
    assert shop.una.get(shop.path("imagestreams", "web", theirs)).status_code == 403
    taken = shop.tag("web:t", {**image_of(shop.digests[0], theirs)})
    assert taken.status_code == 422
    assert "spec.tags[t].from: Forbidden" in taken.json()["message"]


def test_a_tag_is_taken_away(shop: Shop) -> None:
    """`oc tag -d web:stable`."""
    shop.tag("web:stable", image_of(shop.digests[0]))
    options = {"kind": "DeleteOptions", "apiVersion": "image.openshift.io/v1"}
    path = shop.path("imagestreamtags", "web:stable")
    answer = shop.una.delete(path, options)
    assert (answer.status_code, answer.json()["status"]) == (200, "Success")
    again = shop.una.delete(path, options)
    assert again.status_code == 404
    assert again.json()["message"] == 'imagestreamtags.image.openshift.io "web:stable" not found'


# oc get, oc describe


def test_streams_and_tags_are_listed_as_tables(shop: Shop) -> None:
    """`oc get is`, `oc get istag -o wide`: cells come from the server, 500 at a time."""
    accept = (
        "application/json;as=Table;v=v1;g=meta.k8s.io,"
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
    )

    def table(resource: str, name: str = "", **params: Any) -> Json:
        path = shop.path(resource, name)
        answer = shop.una.http.get(path, headers={"Accept": accept}, params=params)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        assert (found["kind"], found["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        for row in found["rows"]:
            assert len(row["cells"]) == len(found["columnDefinitions"])
            assert row["object"]["metadata"]["name"]
        return found

    found = table("imagestreams", limit=500)
    assert [each["cells"][0] for each in found["rows"]] == ["web"]
    assert found["rows"][0]["object"]["metadata"]["namespace"] == shop.name
    found = table("imagestreamtags", limit=500)
    wide = [each["name"] for each in found["columnDefinitions"] if each["priority"]]
    assert wide == ["Image Name"]
    assert found["rows"][0]["cells"][0::3] == ["web:v1", shop.digests[0]]
    short = shop.digests[1].removeprefix("sha256:")[:12]
    assert table("imagestreamimages", f"web@{short}")["rows"][0]["cells"][0] == f"web@{short}"


def test_a_stream_says_all_that_describe_prints(shop: Shop) -> None:
    """Where to push, what each tag came from, and a star at what it points to."""
    shop.tag("web:stable", image_of(shop.digests[1]))
    found = shop.stream()
    assert found["metadata"]["creationTimestamp"]
    assert found["status"]["dockerImageRepository"].endswith(f"/{shop.name}/web")
    assert found["spec"]["lookupPolicy"] == {"local": False}
    (wanted,) = found["spec"]["tags"]
    assert wanted["from"]["name"] == f"web@{shop.digests[1]}"
    for each in found["status"]["tags"]:
        for item in each["items"]:
            assert item["created"].endswith("Z")
            assert item["dockerImageReference"].endswith(f"/{shop.name}/web@{item['image']}")
            # a spec tag whose generation is newer is shown as `importing`
            assert item["generation"] >= (wanted["generation"] if each["tag"] == "stable" else 1)


@pytest.mark.parametrize("kind", ["imagestreamtags", "imagestreamimages", "images"])
def test_an_image_says_all_that_describe_prints(shop: Shop, admin: KubeClient, kind: str) -> None:
    digest = shop.digests[0]
    if kind == "images":
        image = admin.read(f"{GROUP}/images/{digest}")
    else:
        name = "web:v1" if kind == "imagestreamtags" else f"web@{digest}"
        found = shop.una.read(shop.path(kind, name))
        assert found["metadata"]["name"] == name
        image = found["image"]
    assert image["metadata"]["name"] == digest
    assert image["dockerImageReference"].endswith(f"@{digest}")
    metadata = image["dockerImageMetadata"]
    assert (metadata["kind"], metadata["apiVersion"]) == ("DockerImage", "image.openshift.io/1.0")
    assert metadata["Architecture"] == "amd64"
    assert metadata["Size"] > sum(each["size"] for each in image["dockerImageLayers"])
    assert image["dockerImageMetadataVersion"] == "1.0"


# oc create


def test_a_stream_is_created(shop: Shop) -> None:
    """`oc create is x --lookup-local`, without which `local` is false."""
    for name, local in (("x", True), ("y", False)):
        body = {
            "kind": "ImageStream",
            "apiVersion": "image.openshift.io/v1",
            "metadata": {"name": name},
            "spec": {"lookupPolicy": {"local": local}},
            "status": {"dockerImageRepository": ""},
        }
        made = shop.una.make(shop.path("imagestreams"), body)
        assert made["spec"]["lookupPolicy"] == {"local": local}
        assert made["status"]["dockerImageRepository"].endswith(f"/{shop.name}/{name}")
        again = shop.una.post(shop.path("imagestreams"), body)
        assert again.status_code == 409
        assert again.json()["message"] == f'imagestreams.image.openshift.io "{name}" already exists'


@pytest.mark.parametrize(
    ("origin", "more"),
    [
        ({"kind": "ImageStreamTag", "name": "web:v1"}, {}),  # --from=web:v1
        (BUSYBOX, {}),  # --from-image=…
        (BUSYBOX, {"reference": True}),  # --from-image=… --reference
        (BUSYBOX, {"importPolicy": {"scheduled": True}}),  # --from-image=… --scheduled
    ],
)
def test_a_stream_tag_is_created_without_its_name_and_policies(
    shop: Shop, origin: Json, more: Json
) -> None:
    """`oc create istag x:a`: its name and the types of its policies are left to the server."""
    body = sent_tag("x:a", "", origin)
    body["metadata"] = {"name": "x:a"}
    body["tag"] = {
        "name": "",
        "annotations": {},
        "from": origin,
        "generation": None,
        "importPolicy": {},
        "referencePolicy": {"type": ""},
        **more,
    }
    dry = shop.una.post(shop.path("imagestreamtags"), body, dryRun="All")
    assert dry.status_code == 201
    assert shop.una.get(shop.path("imagestreams", "x")).status_code == 404
    made = shop.una.make(shop.path("imagestreamtags"), body)["tag"]
    assert (made["name"], made["generation"]) == ("a", 1)
    assert made["importPolicy"]["importMode"] == "Legacy"
    assert made["referencePolicy"] == {"type": "Source"}


# oc set image-lookup, oc label, oc annotate


def test_image_lookup_is_listed_set_and_disabled(shop: Shop) -> None:
    path = shop.path("imagestreams", "web")
    for local in (True, False):
        body = {"spec": {"lookupPolicy": {"local": local}}}
        answer = shop.una.patch(path, body, STRATEGIC, fieldManager="kubectl-set")
        assert answer.status_code == 200, answer.text
        (listed,) = shop.una.read(shop.path("imagestreams"))["items"]
        assert listed["spec"]["lookupPolicy"] == {"local": local}  # false is written out


def test_a_stream_is_labelled_and_its_tags_bear_the_label(shop: Shop) -> None:
    body = {"metadata": {"labels": {"team": "shop"}}}
    path = shop.path("imagestreams", "web")
    answer = shop.una.patch(
        path, body, "application/merge-patch+json", fieldManager="kubectl-label"
    )
    assert answer.status_code == 200
    (listed,) = shop.una.read(shop.path("imagestreamtags"), labelSelector="team=shop")["items"]
    assert listed["metadata"]["labels"] == {"team": "shop"}


# oc delete


@pytest.mark.parametrize(
    ("resource", "name"), [("imagestreams", "web"), ("imagestreamtags", "web:v1")]
)
def test_a_delete_is_waited_for_until_it_is_not_found(shop: Shop, resource: str, name: str) -> None:
    path = shop.path(resource, name)
    uid = shop.una.read(path)["metadata"]["uid"]
    answer = shop.una.delete(path, {"propagationPolicy": "Background"})
    assert (answer.status_code, answer.json()["status"]) == (200, "Success")
    gone = shop.una.get(path)
    assert gone.status_code == 404
    status = gone.json()
    assert status["reason"] == "NotFound"
    assert status["details"] == {"name": name, "group": "image.openshift.io", "kind": resource}
    if resource == "imagestreams":  # where it was not gone at once, oc would watch for its end
        assert answer.json()["details"]["uid"] == uid


# oc adm top


def test_top_counts_from_lists_of_all_images_and_streams(shop: Shop, admin: KubeClient) -> None:
    """`oc adm top imagestreams`, `oc adm top images`: lists in one piece, joined by the client."""
    both = index(small_image(f"{shop.name} newer"), small_image(shop.name, architecture="arm64"))
    shop.registry.push(f"{shop.name}/web", both, "multi")
    images = {each["metadata"]["name"]: each for each in admin.read(f"{GROUP}/images")["items"]}
    streams = admin.read(f"{GROUP}/imagestreams")["items"]
    (stream,) = [each for each in streams if each["metadata"]["namespace"] == shop.name]
    shown = {item["image"] for each in stream["status"]["tags"] for item in each["items"]}
    assert shown == {*shop.digests, both.digest}
    assert shown <= images.keys()
    for digest in shop.digests:
        layers = images[digest]["dockerImageLayers"]
        assert [each["name"].partition(":")[0] for each in layers] == ["sha256"]
        assert images[digest]["dockerImageMetadata"]["Size"] > layers[0]["size"] > 0
    children = [each["digest"] for each in images[both.digest]["dockerImageManifests"]]
    assert children == [each.digest for each in both.children]
    assert {*children} <= images.keys()


# oc import-image


def test_an_import_is_answered_for_each_image_in_words_that_are_printed(shop: Shop) -> None:
    """`oc import-image web:bb`; exit status and lines come from `status.images[].status`."""
    shop.tag("web:bb", BUSYBOX)
    found = shop.stream()
    body = {
        "kind": "ImageStreamImport",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {
            "name": "web",
            "namespace": shop.name,
            "resourceVersion": found["metadata"]["resourceVersion"],
        },
        "spec": {
            "import": True,
            "images": [
                {
                    "from": BUSYBOX,
                    "to": {"name": "bb"},
                    "importPolicy": {"importMode": "Legacy"},
                    "referencePolicy": {"type": "Source"},
                }
            ],
        },
        "status": {},
    }
    answer = shop.una.make(shop.path("imagestreamimports"), body)
    (imported,) = answer["status"]["images"]
    assert imported["tag"] == "1"
    assert imported["status"]["status"] in ("Success", "Failure")
    if imported["status"]["status"] == "Failure":
        assert imported["status"]["message"]
    shop.tag("web:other", BUSYBOX)
    stale = shop.una.post(shop.path("imagestreamimports"), body)
    assert stale.status_code == 409
    assert "the image stream was updated from" in stale.json()["message"]


# oc registry, oc image info


def test_the_registry_is_found_through_a_stream_and_takes_the_token(
    server: Server, shop: Shop
) -> None:
    """`oc registry info`, `oc registry login`: the first stream of the project names the host."""
    (listed,) = shop.una.read(shop.path("imagestreams"))["items"]
    host = listed["status"]["dockerImageRepository"].partition("/")[0]
    assert host == server.address
    empty = shop.una.get(f"{GROUP}/namespaces/openshift/imagestreams")
    assert empty.status_code == 200  # where it looks when the project has none
    token = base64.b64encode(f"user:{shop.una.token}".encode()).decode()
    with httpx.Client(base_url=f"http://{host}", trust_env=False, timeout=60) as client:
        answer = client.get("/v2/", headers={"Authorization": f"Basic {token}"})
    assert answer.status_code == 200


def test_an_image_is_looked_at_through_the_registry_alone(server: Server, shop: Shop) -> None:
    """`oc image info HOST/PROJECT/web:v1`: a challenge, a token for a pull, HEAD, two GETs."""
    with RegistryClient(server.url, credentials=("user", str(shop.una.token))) as client:
        bearer = client.token(f"repository:{shop.name}/web:pull")
    with RegistryClient(server.url, bearer=bearer) as client:
        path = f"/v2/{shop.name}/web"
        head = client.http.head(f"{path}/manifests/v1")
        assert head.status_code == 200
        digest = head.headers["docker-content-digest"]
        assert digest == shop.digests[0]
        manifest = client.manifest(f"{shop.name}/web", digest)
        assert manifest.headers["content-type"] == json.loads(manifest.text)["mediaType"]
        config = client.http.get(f"{path}/blobs/{json.loads(manifest.text)['config']['digest']}")
        assert config.json()["architecture"] == "amd64"


# oc policy


def test_a_role_that_was_added_lets_somebody_tag(server: Server, shop: Shop) -> None:
    """`oc policy add-role-to-user view`, then `edit`: what each may do with tags from then on."""
    add_user(server, f"ugo-{shop.name}")
    with kube_client(server, f"ugo-{shop.name}") as ugo:
        theirs = shop._replace(una=ugo)
        assert ugo.get(shop.path("imagestreamtags", "web:v1")).status_code == 403
        bindings = f"{RBAC}/namespaces/{shop.name}/rolebindings"
        shop.una.make(bindings, role_binding("view", "view", f"ugo-{shop.name}"))
        assert ugo.get(shop.path("imagestreamtags", "web:v1")).status_code == 200
        assert theirs.tag("web:x", image_of(shop.digests[0])).status_code == 403
        shop.una.make(bindings, role_binding("edit", "edit", f"ugo-{shop.name}"))
        assert theirs.tag("web:x", image_of(shop.digests[0])).status_code == 201
