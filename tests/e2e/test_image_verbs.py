"""Each verb of each kind of image.openshift.io over HTTP, and 405 for those that a kind has not.

Who may use which is in `test_access_table`, what they do to each other in `test_image_rules`.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.images import small_image
from tests.kube_client import PROJECTS, KubeClient, kube_client, project
from tests.registry_client import RegistryClient
from tests.server import Server

GROUP = "/apis/image.openshift.io/v1"
MERGE, STRATEGIC, JSON_PATCH, APPLY = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)

Json = dict[str, Any]

# Of discovery (image-api 1); a watch is a list with `watch=true`.
VERBS = {
    "images": "create delete deletecollection get list patch update watch",
    "imagesignatures": "create delete",
    "imagestreams": "create delete deletecollection get list patch update watch",
    "imagestreams/status": "get patch update",
    "imagestreams/layers": "get",
    "imagestreams/secrets": "get",
    "imagestreamtags": "create delete get list patch update",
    "imagetags": "create delete get list patch update",
    "imagestreamimages": "get",
    "imagestreammappings": "create",
    "imagestreamimports": "create",
}

KEPT = ("images", "imagestreams")
"""Kinds that are stored as they are; the others are parts of these."""


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture
def shop(api: RegistryClient, admin: KubeClient) -> str:
    """A project whose stream `web` had an image pushed to it as `v1`."""
    name = f"v{uuid.uuid4().hex[:12]}"
    admin.make(f"{PROJECTS}/projectrequests", project(name))
    api.push(f"{name}/web", small_image(name), "v1")
    return name


def path_of(resource: str, shop: str, name: str = "") -> str:
    plural, _, part = resource.partition("/")
    place = "" if plural in ("images", "imagesignatures") else shop
    parts = [f"{GROUP}/namespaces/{place}" if place else GROUP, plural, name, part]
    return "/".join(filter(None, parts))


def kept(resource: str, shop: str, number: int = 0) -> Json:
    """An object of a kind that is stored."""
    metadata: Json = {"name": f"{shop}-{number}", "labels": {"made": shop}}
    if resource == "images":
        metadata["name"] = small_image(f"{shop} {number}").digest
        reference = f"docker.io/library/x@{metadata['name']}"
        body = {"kind": "Image", "metadata": metadata, "dockerImageReference": reference}
    else:
        body = {"kind": "ImageStream", "metadata": metadata}
    return {"apiVersion": "image.openshift.io/v1", **body}


def test_discovery_tells_these_verbs(admin: KubeClient) -> None:
    found = {each["name"]: each["verbs"] for each in admin.read(GROUP)["resources"]}
    assert {resource: " ".join(sorted(found[resource])) for resource in VERBS} == VERBS


@pytest.mark.parametrize("resource", KEPT)
def test_an_object_is_made_read_replaced_and_deleted(
    admin: KubeClient, shop: str, resource: str
) -> None:
    body = kept(resource, shop)
    made = admin.make(path_of(resource, shop), body)
    path = path_of(resource, shop, body["metadata"]["name"])
    assert admin.read(path) == made
    again = admin.post(path_of(resource, shop), body)
    assert (again.status_code, again.json()["reason"]) == (409, "AlreadyExists")
    changed = json.loads(json.dumps(made))
    changed["metadata"]["annotations"] = {"a": "b"}
    replaced = admin.put(path, changed)
    assert replaced.status_code == 200
    assert replaced.json()["metadata"]["annotations"]["a"] == "b"
    stale = admin.put(path, changed)
    assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")
    deleted = admin.delete(path)
    assert (deleted.status_code, deleted.json()["status"]) == (200, "Success")
    assert admin.delete(path).status_code == admin.get(path).status_code == 404
    assert admin.put(path, body).status_code in (404, 422)  # PUT makes nothing


@pytest.mark.parametrize("resource", KEPT)
def test_an_object_is_patched_in_every_form(admin: KubeClient, shop: str, resource: str) -> None:
    body = kept(resource, shop)
    admin.make(path_of(resource, shop), body)
    path = path_of(resource, shop, body["metadata"]["name"])
    operations = [{"op": "add", "path": "/metadata/labels/json", "value": "yes"}]
    for form, patch in (
        (MERGE, {"metadata": {"labels": {"merge": "yes"}}}),
        (STRATEGIC, {"metadata": {"labels": {"strategic": "yes"}}}),
        (JSON_PATCH, operations),
    ):
        answer = admin.patch(path, patch, form)
        assert answer.status_code == 200, answer.text
        version = answer.json()["metadata"]["resourceVersion"]
        same = admin.patch(path, patch, form).json()
        assert same["metadata"]["resourceVersion"] == version
    applied = {**body, "metadata": {**body["metadata"], "labels": {"applied": "yes"}}}
    answer = admin.patch(path, applied, APPLY, fieldManager="gitops", force="true")
    assert answer.status_code == 200, answer.text
    labels = answer.json()["metadata"]["labels"]
    assert {*labels} == {"made", "merge", "strategic", "json", "applied"}
    assert admin.patch(path, {}, "text/plain").status_code == 415


@pytest.mark.parametrize("resource", KEPT)
def test_objects_are_listed_watched_and_deleted_together(
    admin: KubeClient, shop: str, resource: str
) -> None:
    path, selected = path_of(resource, shop), {"labelSelector": f"made={shop}"}
    since = admin.read(path, **selected)["metadata"]["resourceVersion"]
    names = {
        admin.make(path, kept(resource, shop, number))["metadata"]["name"] for number in range(3)
    }
    other = admin.make(path, {**kept(resource, shop, 3), "metadata": {
        "name": kept(resource, shop, 3)["metadata"]["name"]}})  # fmt: skip
    listed = admin.read(path, limit=2, **selected)
    rest = admin.read(path, limit=2, **{"continue": listed["metadata"]["continue"]}, **selected)
    items = [*listed["items"], *rest["items"]]
    assert {each["metadata"]["name"] for each in items} == names
    if resource == "imagestreams":
        everywhere = admin.read(f"{GROUP}/imagestreams", **selected)["items"]
        assert {each["metadata"]["name"] for each in everywhere} == names
    assert admin.delete(path, **selected).status_code == 200
    assert admin.read(path, **selected)["items"] == []
    kept_one = path_of(resource, shop, other["metadata"]["name"])
    assert admin.get(kept_one).status_code == 200
    params = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "2", **selected}
    seen = [json.loads(line) for line in admin.get(path, **params).text.splitlines()]
    kinds = [(each["type"], each["object"]["metadata"]["name"]) for each in seen]
    assert {each for each in kinds if each[0] == "ADDED"} == {("ADDED", name) for name in names}
    assert {each for each in kinds if each[0] == "DELETED"} == {("DELETED", name) for name in names}


@pytest.mark.parametrize("resource", ["imagestreamtags", "imagetags"])
def test_a_tag_is_made_read_replaced_patched_and_deleted(
    admin: KubeClient, shop: str, resource: str
) -> None:
    field = "tag" if resource == "imagestreamtags" else "spec"
    origin = {"kind": "ImageStreamTag", "name": "web:v1"}
    body = {"metadata": {"name": "web:t"}, field: {"name": "t", "from": origin}}
    made = admin.make(path_of(resource, shop), body)
    path = path_of(resource, shop, "web:t")
    read = admin.read(path)
    assert read[field]["from"] == made[field]["from"] == origin
    read[field]["referencePolicy"] = {"type": "Local"}
    replaced = admin.put(path, read)
    assert replaced.status_code == 200, replaced.text
    mode = {field: {"importPolicy": {"importMode": "PreserveOriginal"}}}
    for form, patch in (
        (MERGE, mode),
        (STRATEGIC, mode),
        (
            JSON_PATCH,
            [{"op": "replace", "path": f"/{field}/referencePolicy/type", "value": "Source"}],
        ),
    ):
        answer = admin.patch(path, patch, form)
        assert answer.status_code == 200, answer.text
    shown = admin.read(path)[field]
    assert shown["importPolicy"] == {"importMode": "PreserveOriginal"}
    assert shown["referencePolicy"] == {"type": "Source"}
    listed = admin.read(path_of(resource, shop))["items"]
    assert [each["metadata"]["name"] for each in listed] == ["web:t", "web:v1"]
    assert admin.delete(path).json()["status"] == "Success"
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize("resource", VERBS)
def test_a_verb_that_a_kind_has_not_is_not_allowed(
    admin: KubeClient, shop: str, resource: str
) -> None:
    digest = small_image(shop).digest
    name = {
        "images": digest,
        "imagesignatures": f"{digest}@x",
        "imagestreamtags": "web:v1",
        "imagetags": "web:v1",
        "imagestreamimages": f"web@{digest}",
    }.get(resource, "web")
    verbs, one = VERBS[resource].split(), path_of(resource, shop, name)
    collection = path_of(resource, shop)
    asked = {
        "get": lambda: admin.get(one),
        "update": lambda: admin.put(one, {}),
        "patch": lambda: admin.patch(one, {}),
    }
    if "/" not in resource:
        asked |= {
            "list": lambda: admin.get(collection),
            "watch": lambda: admin.get(collection, watch="true", timeoutSeconds=1),
            "create": lambda: admin.post(collection, {}),
            "delete": lambda: admin.delete(one),
            "deletecollection": lambda: admin.delete(collection),
        }
    for verb in asked.keys() - {*verbs}:
        answer = asked[verb]()
        assert answer.status_code == 405, (verb, answer.text)
        assert answer.json()["reason"] == "MethodNotAllowed"
