"""What `oc import-image`, `oc tag --source=docker` and `oc new-app` ask, and need to hear.

The requests are those that oc of the 4.2x line sends, field by field, as it was overheard; no oc is
needed to run this. The other registry is a second tidegate.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.images import IMAGE_CONFIG, IMAGE_MANIFEST, Content, Pushable, encode, index, small_image
from tests.kube_client import CORE, PROJECTS, KubeClient, add_user, kube_client, project
from tests.registry_client import client_of
from tests.server import Server, serving
from tests.upstream import Upstream, second_tidegate

GROUP = "/apis/image.openshift.io/v1"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with second_tidegate(tmp_path_factory.mktemp("far")) as (upstream, _):
        yield upstream


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own, with a user beside the administrator."""
    data = tmp_path_factory.mktemp("oc-imports") / "data"
    with serving(Server(data, settings={"allow_private_upstreams": "true"})) as started:
        add_user(started, "una")
        yield started
    assert "Traceback" not in started.log, started.log


@pytest.fixture(scope="module")
def una(server: Server) -> Iterator[KubeClient]:
    with kube_client(server, "una") as client:
        yield client


class Shop(NamedTuple):
    """A project of una's, and where the other registry has images for it."""

    name: str
    una: KubeClient
    server: Server
    far: Upstream

    @property
    def place(self) -> str:
        """The repository `app` of the other registry."""
        return f"{self.far.address}/{self.name}/app"

    def path(self, resource: str, name: str = "") -> str:
        found = f"{GROUP}/namespaces/{self.name}/{resource}"
        return f"{found}/{name}" if name else found

    def put(self, pushable: Pushable, *tags: str) -> Pushable:
        with self.far.client() as client:
            for tag in tags:
                client.push(f"{self.name}/app", pushable, tag)
        return pushable

    def found(self, stream: str) -> Json | None:
        """The GET with which `oc import-image` begins; None for 404."""
        answer = self.una.get(self.path("imagestreams", stream))
        assert answer.status_code in (200, 404)
        return None if answer.status_code == 404 else answer.json()

    def sent(self, stream: str, **spec: Any) -> Json:
        """The POST of `oc import-image`, with the version of the stream that it has read."""
        found = self.found(stream)
        metadata = {"name": stream, "namespace": self.name}
        if found is not None:
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        return {
            "kind": "ImageStreamImport",
            "apiVersion": "image.openshift.io/v1",
            "metadata": metadata,
            "spec": {"import": True, **spec},
            "status": {},
        }

    def imports(self, stream: str, **spec: Any) -> Json:
        return self.una.make(self.path("imagestreamimports"), self.sent(stream, **spec))

    def source(self, tag: str) -> Json:
        return {"kind": "DockerImage", "name": f"{self.place}:{tag}"}


def one(source: Json, to: str, policy: str = "Source", **importing: Any) -> Json:
    """An image as `oc import-image --insecure` has it."""
    return {
        "from": source,
        "to": {"name": to},
        "importPolicy": {"insecure": True, "importMode": "Legacy", **importing},
        "referencePolicy": {"type": policy},
    }


@pytest.fixture
def shop(una: KubeClient, server: Server, far: Upstream, repository: str) -> Shop:
    name = repository.partition("/")[0]
    una.make(f"{PROJECTS}/projectrequests", project(name))
    text = base64.b64encode(far.dockerconfigjson.encode()).decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "far"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": text},
    }
    una.make(f"{CORE}/namespaces/{name}/secrets", secret)
    return Shop(name, una, server, far)


# oc import-image


def test_a_stream_that_is_not_there_is_made(shop: Shop) -> None:
    """`oc import-image web:1 --from=… --confirm --insecure`, and what it prints of it."""
    pushed = shop.put(small_image(shop.name), "1")
    assert shop.found("web") is None
    answer = shop.imports("web", images=[one(shop.source("1"), "1")])
    (found,) = answer["status"]["images"]
    assert found["status"]["status"] == "Success"
    image = found["image"]
    assert image["metadata"]["name"] == pushed.digest
    assert image["dockerImageReference"] == f"{shop.place}@{pushed.digest}"
    assert image["dockerImageMetadata"]["Size"] > 0
    assert [each["size"] for each in image["dockerImageLayers"]] == [len(pushed.blobs[1].data)]
    stream = answer["status"]["import"]
    assert stream["metadata"]["resourceVersion"] == shop.found("web")["metadata"]["resourceVersion"]  # type: ignore[index]
    (tag,) = stream["spec"]["tags"]
    assert tag["from"] == shop.source("1")
    assert tag["importPolicy"] == {"insecure": True, "importMode": "Legacy"}
    (history,) = stream["status"]["tags"]
    assert history["items"][0]["image"] == pushed.digest
    assert tag["generation"] == history["items"][0]["generation"]  # else: "importing ..."


def test_a_failure_is_printed_and_ends_with_an_error(shop: Shop) -> None:
    """Its exit status is 1 when any status is a Failure; the describer shows the condition."""
    answer = shop.imports("web", images=[one(shop.source("none"), "none")])
    (found,) = answer["status"]["images"]
    wanted = f'dockerimage.image.openshift.io "{shop.place}:none" not found'
    assert found["status"]["status"] == "Failure"
    assert found["status"]["message"] == wanted
    (history,) = answer["status"]["import"]["status"]["tags"]
    (condition,) = history["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "ImportSuccess",
        "False",
        "NotFound",
    )
    assert condition["message"] == wanted


def test_a_tag_that_is_there_is_imported_again_from_where_it_comes(shop: Shop) -> None:
    """`oc import-image web:1` without anything: source and flags are those of the tag."""
    shop.put(small_image(f"{shop.name} older"), "1")
    shop.imports("web", images=[one(shop.source("1"), "1", scheduled=True)])
    newer = shop.put(small_image(f"{shop.name} newer"), "1")
    found = shop.found("web")
    assert found is not None
    (tag,) = found["spec"]["tags"]
    again = one(tag["from"], "1", scheduled=tag["importPolicy"]["scheduled"])
    answer = shop.imports("web", images=[again])
    (history,) = answer["status"]["import"]["status"]["tags"]
    assert history["items"][0]["image"] == newer.digest
    assert len(history["items"]) == 2
    same = shop.imports("web", images=[again])["status"]["import"]
    assert same == answer["status"]["import"]


def test_a_stream_that_changed_meanwhile_is_told_of(shop: Shop) -> None:
    shop.put(small_image(shop.name), "1", "2")
    shop.imports("web", images=[one(shop.source("1"), "1")])
    stale = shop.sent("web", images=[one(shop.source("1"), "1")])
    shop.imports("web", images=[one(shop.source("2"), "2")])
    answer = shop.una.post(shop.path("imagestreamimports"), stale)
    assert answer.status_code == 409
    assert "the image stream was updated from" in answer.json()["message"]


def test_who_only_looks_changes_nothing(shop: Shop) -> None:
    """`oc import-image web:1 --from=… --confirm --dry-run`."""
    pushed = shop.put(small_image(shop.name), "1")
    body = shop.sent("web", images=[one(shop.source("1"), "1")])
    body["spec"]["import"] = False
    answer = shop.una.make(shop.path("imagestreamimports"), body)
    (found,) = answer["status"]["images"]
    assert found["image"]["metadata"]["name"] == pushed.digest
    assert "import" not in answer["status"]
    assert shop.found("web") is None


def test_all_tags_of_a_repository_are_imported(shop: Shop) -> None:
    """`oc import-image web --all --from=… --confirm --scheduled --reference-policy=local`."""
    for tag in ("latest", "v1.9", "v1.10"):
        shop.put(small_image(f"{shop.name} {tag}"), tag)
    repository = {
        "from": {"kind": "DockerImage", "name": shop.place},
        "importPolicy": {"insecure": True, "scheduled": True, "importMode": "Legacy"},
        "referencePolicy": {"type": "Local"},
    }
    answer = shop.imports("web", repository=repository)
    whole = answer["status"]["repository"]
    assert whole["status"]["status"] == "Success"
    assert [each["tag"] for each in whole["images"]] == ["latest", "v1.10", "v1.9"]
    for each in answer["status"]["import"]["spec"]["tags"]:
        assert each["from"]["name"] == f"{shop.place}:{each['name']}"
        assert each["importPolicy"]["scheduled"] is True
        assert each["referencePolicy"] == {"type": "Local"}


def test_an_import_mode_is_kept_with_the_tag_and_the_images_of_the_index_are_shown(
    shop: Shop,
) -> None:
    """`oc import-image web:1 --from=… --confirm --import-mode=PreserveOriginal`."""
    amd, arm = small_image(shop.name), small_image(shop.name, "arm64")
    multi = shop.put(index(amd, arm), "1")
    whole = one(shop.source("1"), "1", importMode="PreserveOriginal")
    answer = shop.imports("web", images=[whole])
    (found,) = answer["status"]["images"]
    assert found["image"]["metadata"]["name"] == multi.digest
    listed = found["image"]["dockerImageManifests"]
    assert [(each["os"], each["architecture"]) for each in listed] == [
        ("linux", "amd64"),
        ("linux", "arm64"),
    ]
    assert [each["metadata"]["name"] for each in found["manifests"]] == [amd.digest, arm.digest]
    (tag,) = answer["status"]["import"]["spec"]["tags"]
    assert tag["importPolicy"]["importMode"] == "PreserveOriginal"


# oc tag


def test_a_tag_of_a_pull_spec_alone_is_an_event_without_an_image(shop: Shop) -> None:
    """`oc tag --source=docker --reference FAR web:ref`."""
    body = {
        "kind": "ImageStreamTag",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": "web:ref", "namespace": shop.name},
        "tag": {
            "name": "ref",
            "annotations": None,
            "from": shop.source("1"),
            "reference": True,
            "generation": 0,
            "importPolicy": {"importMode": "Legacy"},
            "referencePolicy": {"type": "Source"},
        },
        "generation": 0,
        "lookupPolicy": {"local": False},
        "image": {"metadata": {}, "dockerImageMetadata": None},
    }
    assert shop.una.put(shop.path("imagestreamtags", "web:ref"), body).status_code == 201
    stream = shop.found("web")
    assert stream is not None
    (history,) = stream["status"]["tags"]
    (event,) = history["items"]
    assert event["image"] == ""
    assert event["dockerImageReference"] == f"{shop.place}:1"


# oc new-app


def configured(mark: str) -> Pushable:
    """An image that says how it is run."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["MARK=" + mark],
            "Volumes": {"/data": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    content = Content(encode(config), IMAGE_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": content.descriptor(),
        "layers": [],
    }
    return Pushable(Content(encode(document), IMAGE_MANIFEST), (content,))


def test_an_application_is_made_of_what_its_image_says(shop: Shop) -> None:
    """`oc new-app --image=… --insecure-registry --dry-run`: it looks, with a name of its own."""
    shop.put(configured(shop.name), "1")
    body = {
        "kind": "ImageStreamImport",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": "newapp"},
        "spec": {
            "import": False,
            "images": [
                {
                    "from": shop.source("1"),
                    "importPolicy": {"insecure": True},
                    "referencePolicy": {"type": ""},
                }
            ],
        },
        "status": {},
    }
    answer = shop.una.make(shop.path("imagestreamimports"), body)
    (found,) = answer["status"]["images"]
    said = found["image"]["dockerImageMetadata"]["Config"]
    assert said["ExposedPorts"] == {"8080/tcp": {}}
    assert said["Volumes"] == {"/data": {}}
    assert said["Env"] == [f"MARK={shop.name}"]
    assert shop.una.get(shop.path("imagestreams", "newapp")).status_code == 404
    for name in ("imagestreams", "imagestreamtags"):
        missing = shop.una.get(shop.path(name, "app" if name == "imagestreams" else "app:1"))
        assert missing.status_code == 404  # so that it says it will make them


def test_an_image_that_nobody_has_is_told_so_that_other_sources_are_tried(shop: Shop) -> None:
    body = shop.sent("newapp", images=[{"from": shop.source("none")}])
    body["spec"]["import"] = False
    answer = shop.una.make(shop.path("imagestreamimports"), body)
    (found,) = answer["status"]["images"]
    assert found["status"]["status"] == "Failure"
    assert "image" not in found or found["image"] is None


# pulls


def test_what_was_imported_is_pulled_by_who_may_pull_from_the_project(shop: Shop) -> None:
    pushed = shop.put(small_image(shop.name), "1")
    shop.imports("web", images=[one(shop.source("1"), "1")])
    with client_of(shop.server) as client:
        found = client.manifest(f"{shop.name}/web", "1")
        assert found.content == pushed.manifest.data
        layer = pushed.blobs[1]
        assert client.blob(f"{shop.name}/web", layer.digest).content == layer.data
        listed = json.loads(client.http.get(f"/v2/{shop.name}/web/tags/list").text)
    assert listed["tags"] == ["1"]
