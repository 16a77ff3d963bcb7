"""Single tags of streams over HTTP: what the API writes is what the registry serves, and back."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.images import Pushable, index, small_image
from tests.kube_client import (
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, Server

IMAGES = "/apis/image.openshift.io/v1"
OLD, NEW = small_image("old"), small_image("new")


class Shop(NamedTuple):
    """A project with the stream `web`, to which two images were pushed as `v1`."""

    name: str
    admin: KubeClient
    registry: RegistryClient

    @property
    def repository(self) -> str:
        return f"{self.name}/web"

    def path(self, resource: str, name: str = "", subresource: str = "") -> str:
        parts = [IMAGES, "namespaces", self.name, resource, name, subresource]
        return "/".join(part for part in parts if part)

    def tag(self, tag: str, subresource: str = "") -> str:
        return self.path("imagestreamtags", f"web:{tag}", subresource)

    def pulled(self, tag: str) -> str | None:
        """The digest of what a pull by tag gets; None for nothing."""
        answer = self.registry.manifest(self.repository, tag)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return str(answer.headers["docker-content-digest"])

    def set(self, tag: str, origin: dict[str, Any], **more: Any) -> dict[str, Any]:
        """As `oc tag` does: without a version, and whatever there is."""
        body = {
            "metadata": {"name": f"web:{tag}"},
            "tag": {"name": tag, "from": origin, "importPolicy": {}, "referencePolicy": {}, **more},
            "lookupPolicy": {"local": False},
            "generation": 0,
            "image": {"metadata": {"creationTimestamp": None}, "dockerImageMetadata": None},
        }
        answer = self.admin.put(self.tag(tag), body)
        assert answer.status_code in (200, 201), answer.text
        made: dict[str, Any] = answer.json()
        return made


def image_of(pushable: Pushable, stream: str = "web", namespace: str = "") -> dict[str, str]:
    origin = {"kind": "ImageStreamImage", "name": f"{stream}@{pushable.digest}"}
    return {**origin, "namespace": namespace} if namespace else origin


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture
def shop(api: RegistryClient, admin: KubeClient) -> Shop:
    name = f"p{uuid.uuid4().hex[:12]}"
    admin.make(f"{PROJECTS}/projectrequests", project(name))
    shop = Shop(name, admin, api)
    for pushable in (OLD, NEW):
        api.push(shop.repository, pushable, "v1")
    return shop


def test_a_pushed_tag_is_read_as_a_tag_with_its_image(shop: Shop) -> None:
    found = shop.admin.read(shop.tag("v1"))
    assert found["image"]["metadata"]["name"] == NEW.digest
    assert found["image"]["dockerImageReference"].endswith(f"{shop.repository}@{NEW.digest}")
    layers = [each["name"] for each in found["image"]["dockerImageLayers"]]
    assert layers == [each.digest for each in NEW.blobs[1:]]
    history = shop.admin.read(shop.path("imagetags", "web:v1"))["status"]["items"]
    assert [each["image"] for each in history] == [NEW.digest, OLD.digest]
    isimage = shop.admin.read(shop.path("imagestreamimages", f"web@{OLD.digest[7:20]}"))
    assert isimage["image"]["metadata"]["name"] == OLD.digest


def test_a_tag_that_is_set_is_pulled_at_once(shop: Shop) -> None:
    shop.set("stable", image_of(OLD))
    assert shop.pulled("stable") == OLD.digest
    shop.set("stable", image_of(NEW))
    assert shop.pulled("stable") == NEW.digest


def test_a_tag_that_follows_another_moves_with_a_push(shop: Shop) -> None:
    shop.set("latest", {"kind": "ImageStreamTag", "name": "v1"})
    assert shop.pulled("latest") == NEW.digest
    shop.registry.push(shop.repository, OLD, "v1")
    assert shop.pulled("latest") == OLD.digest


def test_a_copy_into_another_project_needs_no_right_on_the_first(
    shop: Shop, server: Server
) -> None:
    """An index with all of its images: who may pull from the copy sees nothing of the source."""
    both = index(small_image("a"), small_image("b", architecture="arm64"))
    shop.registry.push(shop.repository, both, "multi")
    other = f"{shop.name}-prod"
    shop.admin.make(f"{PROJECTS}/projectrequests", project(other))
    user = f"u{uuid.uuid4().hex[:8]}"
    add_user(server, user)
    binding = role_binding("edit", "edit", user)
    shop.admin.make(f"{RBAC}/namespaces/{other}/rolebindings", binding)
    body = {
        "metadata": {"name": "web:multi"},
        "tag": {"name": "multi", "from": image_of(both, namespace=shop.name)},
    }
    path = f"{IMAGES}/namespaces/{other}/imagestreamtags/web:multi"
    with KubeClient(server.url, log_in(server.url, user)) as client:
        refused = client.put(path, body)
        assert refused.status_code == 422
        assert "spec.tags[multi].from: Forbidden" in refused.json()["message"]
        assert client.get(path).status_code == 404
        assert shop.admin.put(path, body).status_code == 201
        assert client.get(path).json()["image"]["metadata"]["name"] == both.digest
    with RegistryClient(server.url, credentials=(user, PASSWORD)) as puller:
        for pushable in (both, *both.children):
            answer = puller.manifest(f"{other}/web", pushable.digest)
            assert answer.status_code == 200, answer.text
            for blob in pushable.blobs:
                assert puller.blob(f"{other}/web", blob.digest).status_code == 200
        assert puller.manifest(shop.repository, both.digest).status_code in (401, 403)


def test_writes_without_a_version_never_meet_a_conflict(shop: Shop, server: Server) -> None:
    """Eight clients on one stream, four of them on one tag, while others push to it."""

    def write(number: int) -> list[int]:
        tag = f"t{number}" if number % 2 else "shared"
        codes = []
        with KubeClient(server.url, shop.admin.token) as client:
            for round_ in range(20):
                origin = image_of((OLD, NEW)[(number // 2 + round_) % 2])
                body = {
                    "metadata": {"name": f"web:{tag}"},
                    "tag": {"name": tag, "from": origin},
                }
                codes.append(client.put(shop.tag(tag), body).status_code)
        return codes

    def push(number: int) -> list[int]:
        for round_ in range(10):
            pushable = (OLD, NEW)[round_ % 2]
            shop.registry.push(shop.repository, pushable, f"p{number}")
        return [200]

    with ThreadPoolExecutor(10) as threads:
        writing = [threads.submit(write, number) for number in range(8)]
        pushing = [threads.submit(push, number) for number in range(2)]
        codes = {code for each in (*writing, *pushing) for code in each.result()}
    assert codes <= {200, 201}
    history = shop.admin.read(shop.tag("shared", "history"))["items"]
    numbers = [each["number"] for each in history]
    assert numbers == list(range(len(numbers), 0, -1))
    spec = shop.admin.read(shop.tag("shared"))
    assert spec["tag"]["from"]["name"] == f"web@{spec['image']['metadata']['name']}"
    assert shop.pulled("shared") == spec["image"]["metadata"]["name"]


def test_a_stale_version_is_a_conflict(shop: Shop) -> None:
    shop.set("stable", image_of(OLD))
    found = shop.admin.read(shop.tag("stable"))
    shop.registry.push(shop.repository, OLD, "v2")
    found["metadata"]["annotations"] = {"a": "b"}
    assert shop.admin.put(shop.tag("stable"), found).status_code == 409
    found["metadata"].pop("resourceVersion")
    assert shop.admin.put(shop.tag("stable"), found).status_code == 200


def test_all_tags_of_a_stream_come_in_pages(shop: Shop) -> None:
    tags = [f"t{number:03}" for number in range(130)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda tag: shop.set(tag, image_of(OLD)), tags))
    for resource in ("imagestreamtags", "imagetags"):
        found: list[str] = []
        token = ""
        while True:
            page = shop.admin.read(shop.path(resource), limit=50, **{"continue": token})
            found += [each["metadata"]["name"] for each in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert found == [*(f"web:{tag}" for tag in tags), "web:v1"]


def test_a_rollback_is_pulled_and_can_be_taken_back(shop: Shop) -> None:
    assert shop.admin.post(shop.tag("v1", "rollback"), {}).status_code == 201
    assert shop.pulled("v1") == OLD.digest
    history = shop.admin.read(shop.tag("v1", "history"))["items"]
    assert [each["how"] for each in history] == ["rollback", "push", "push"]
    to = {"to": {"number": history[1]["number"]}}
    assert shop.admin.post(shop.tag("v1", "rollback"), to).status_code == 201
    assert shop.pulled("v1") == NEW.digest


def test_a_deleted_tag_comes_back_with_what_it_named(shop: Shop) -> None:
    assert shop.admin.delete(shop.tag("v1")).status_code == 200
    assert shop.pulled("v1") is None
    assert shop.admin.get(shop.tag("v1")).status_code == 404
    assert shop.admin.post(shop.tag("v1", "undelete"), {}).status_code == 201
    assert shop.pulled("v1") == NEW.digest
    assert shop.admin.post(shop.tag("v1", "undelete"), {}).status_code == 409
    # and after its manifest was deleted in the registry
    answer = shop.registry.http.delete(f"/v2/{shop.repository}/manifests/{NEW.digest}")
    assert answer.status_code == 202
    assert shop.pulled("v1") is None
    assert shop.admin.post(shop.tag("v1", "undelete"), {}).status_code == 201
    assert shop.pulled("v1") == NEW.digest


def test_who_may_view_reads_the_past_and_changes_nothing(shop: Shop, server: Server) -> None:
    viewer, editor = (f"{each}{uuid.uuid4().hex[:8]}" for each in ("view", "edit"))
    for user in (viewer, editor):
        add_user(server, user)
        binding = role_binding(user, user[:4], user)
        shop.admin.make(f"{RBAC}/namespaces/{shop.name}/rolebindings", binding)
    stranger = f"u{uuid.uuid4().hex[:8]}"
    add_user(server, stranger)
    rollback, undelete = shop.tag("v1", "rollback"), shop.tag("v1", "undelete")
    with KubeClient(server.url, log_in(server.url, viewer)) as client:
        assert client.get(shop.path("imagetags")).status_code == 200
        assert client.get(shop.tag("v1", "history")).status_code == 200
        assert client.post(rollback, {}).status_code == 403
        assert client.post(undelete, {}).status_code == 403
        assert client.delete(shop.tag("v1")).status_code == 403
    with KubeClient(server.url, log_in(server.url, editor)) as client:
        assert client.post(rollback, {}).status_code == 201
        assert client.delete(shop.tag("v1")).status_code == 200
        assert client.post(undelete, {}).status_code == 201
    with KubeClient(server.url, log_in(server.url, stranger)) as client:
        for path in (shop.tag("v1"), shop.tag("v1", "history"), shop.path("imagestreamtags")):
            assert client.get(path).status_code == 403
        assert client.get(f"{IMAGES}/imagestreamtags").status_code == 403


def test_a_mapping_of_what_was_pushed_points_a_tag(shop: Shop) -> None:
    body = {
        "metadata": {"name": "web"},
        "tag": "mapped",
        "image": {
            "metadata": {
                "name": OLD.digest,
                "annotations": {"openshift.io/image.managed": "true"},
            },
            "dockerImageManifest": OLD.manifest.data.decode(),
        },
    }
    answer = shop.admin.post(shop.path("imagestreammappings"), body)
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    assert shop.pulled("mapped") == OLD.digest
