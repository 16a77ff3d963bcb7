"""The registry and the image API tell one story of each push, delete and pull."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.images import Pushable, index, small_image
from tests.kube_client import KubeClient, add_user, kube_client, project, role_binding
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import Server, tidegate
from tests.tools import run

IMAGES = "/apis/image.openshift.io/v1/images"
POLICIES = "/apis/tidegate.io/v1/namespaces/{}/tagpolicies"
LIMITS = "/api/v1/namespaces/{}/limitranges"
ONE, TWO = small_image("one"), small_image("two")


def streams(name: str) -> str:
    namespace, stream = name.split("/")
    return f"/apis/image.openshift.io/v1/namespaces/{namespace}/imagestreams/{stream}"


@pytest.fixture
def kube(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture
def repository(kube: KubeClient, request: pytest.FixtureRequest) -> str:
    """A name in a project of the test's own."""
    name = f"p{abs(hash(request.node.name)):x}"
    kube.make("/apis/project.openshift.io/v1/projectrequests", project(name))
    return f"{name}/web"


def tags_of(kube: KubeClient, repository: str) -> dict[str, list[dict[str, Any]]]:
    """The histories that the stream shows, newest event first."""
    shown = kube.read(streams(repository))["status"].get("tags", [])
    return {each["tag"]: each["items"] for each in shown}


def policy(kube: KubeClient, repository: str, **spec: Any) -> None:
    body = {
        "apiVersion": "tidegate.io/v1",
        "kind": "TagPolicy",
        "metadata": {"name": "rules"},
        "spec": spec,
    }
    kube.make(POLICIES.format(repository.split("/")[0]), body)


def refused(answer: Any, *words: str) -> None:
    """403 DENIED with these words in its text."""
    assert (answer.status_code, error_codes(answer)) == (403, ["DENIED"]), answer.text
    text = answer.json()["errors"][0]["message"]
    for word in words:
        assert word in text


def blobs_of(api: RegistryClient, repository: str, pushable: Pushable) -> None:
    for blob in pushable.blobs:
        assert api.put_blob(repository, blob).status_code == 201


def test_a_push_makes_the_stream_with_an_event_and_an_image(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    api.push(repository, ONE, "1.0")
    ((event,),) = tags_of(kube, repository).values()
    assert event["image"] == ONE.digest
    assert event["generation"] == 1
    assert event["dockerImageReference"].endswith(f"/{repository}@{ONE.digest}")
    image = kube.read(f"{IMAGES}/{ONE.digest}")
    assert image["metadata"]["annotations"]["openshift.io/image.managed"] == "true"
    assert image["dockerImageMetadata"]["Architecture"] == "amd64"
    assert image["dockerImageMetadata"]["Size"] > 0
    assert [layer["name"] for layer in image["dockerImageLayers"]] == [
        layer["digest"] for layer in json.loads(ONE.manifest.data)["layers"]
    ]


def test_the_children_of_an_index_have_images_of_their_own(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    whole = index(ONE, TWO)
    api.push(repository, whole, "1.0")
    image = kube.read(f"{IMAGES}/{whole.digest}")
    children = [each["digest"] for each in image["dockerImageManifests"]]
    assert children == [ONE.digest, TWO.digest]
    for child in children:
        assert kube.read(f"{IMAGES}/{child}")["dockerImageMetadata"]["Architecture"] == "amd64"
    assert list(tags_of(kube, repository)) == ["1.0"]


def test_a_push_by_digest_alone_makes_a_stream_without_tags(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    api.push(repository, ONE)
    assert tags_of(kube, repository) == {}
    assert api.tags(repository) == []
    assert api.manifest(repository, ONE.digest).status_code == 200


def test_the_stream_that_has_nothing_yet_has_an_empty_list_of_tags(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    stream = {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStream",
        "metadata": {"name": "web"},
    }
    assert api.http.get(f"/v2/{repository}/tags/list").status_code == 404
    kube.make(streams(repository).rsplit("/", 1)[0], stream)
    assert api.tags(repository) == []


def test_several_tags_of_one_push_are_set_together_or_not_at_all(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    policy(kube, repository, naming={"tags": {"semver": True}})
    blobs_of(api, repository, ONE)
    path = f"/v2/{repository}/manifests/{ONE.digest}"
    headers = {"Content-Type": ONE.manifest.media_type}

    def push(*tags: str) -> Any:
        query = {"tag": list(tags)}
        return api.http.put(path, params=query, content=ONE.manifest.data, headers=headers)

    refused(push("1.0.0", "nightly"), "nightly")
    assert api.manifest(repository, ONE.digest).status_code == 404
    assert kube.get(streams(repository)).status_code == 404
    assert push("1.0.0", "1.0.1").headers.get_list("oci-tag") == ["1.0.0", "1.0.1"]
    assert sorted(tags_of(kube, repository)) == api.tags(repository) == ["1.0.0", "1.0.1"]


def test_an_immutable_tag_is_neither_moved_nor_deleted(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    policy(kube, repository, immutable=["v*"])
    api.push(repository, ONE, "v1")
    blobs_of(api, repository, TWO)
    refused(api.put_manifest(repository, "v1", TWO.manifest), "v1", "immutable")
    refused(api.http.delete(f"/v2/{repository}/manifests/v1"), "v1", "immutable")
    refused(api.http.delete(f"/v2/{repository}/manifests/{ONE.digest}"), "v1", "immutable")
    assert api.manifest(repository, "v1").headers["docker-content-digest"] == ONE.digest
    assert api.put_manifest(repository, "v1", ONE.manifest).status_code == 201


def test_a_rule_that_is_tried_out_warns_in_a_header(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    policy(kube, repository, mode="Warn", naming={"tags": {"semver": True}})
    blobs_of(api, repository, ONE)
    answer = api.put_manifest(repository, "nightly", ONE.manifest)
    assert answer.status_code == 201
    assert answer.headers["warning"].startswith('299 - "')
    assert "nightly" in answer.headers["warning"]


def test_an_image_over_the_limit_is_denied_in_the_words_that_clients_know(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    limit = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "10"}}]},
    }
    blobs_of(api, repository, ONE)
    kube.make(LIMITS.format(repository.split("/")[0]), limit)
    for reference in ("1.0", ONE.digest):
        refused(api.put_manifest(repository, reference, ONE.manifest), "exceeds the maximum limit")
    assert kube.get(streams(repository)).status_code == 404


def test_a_tag_deleted_in_the_registry_is_gone_from_the_stream(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    api.push(repository, ONE, "1.0")
    api.push(repository, ONE, "1.1")
    assert api.http.delete(f"/v2/{repository}/manifests/1.0").status_code == 202
    assert list(tags_of(kube, repository)) == ["1.1"]
    assert api.http.delete(f"/v2/{repository}/manifests/1.0").status_code == 404
    assert api.manifest(repository, ONE.digest).status_code == 200


def test_a_manifest_deleted_in_the_registry_is_in_no_history(
    api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    api.push(repository, ONE, "gone")
    api.push(repository, ONE, "stays")
    api.push(repository, TWO, "stays")
    assert api.http.delete(f"/v2/{repository}/manifests/{ONE.digest}").status_code == 202
    histories = tags_of(kube, repository)
    assert {tag: [event["image"] for event in items] for tag, items in histories.items()} == {
        "stays": [TWO.digest]
    }
    assert api.tags(repository) == ["stays"]


def test_a_tag_is_pulled_as_it_was(api: RegistryClient, kube: KubeClient, repository: str) -> None:
    api.push(repository, ONE, "1.0")
    ((first,),) = tags_of(kube, repository).values()
    time.sleep(1.1)  # forms of a tag have whole seconds
    api.push(repository, TWO, "1.0")
    second = tags_of(kube, repository)["1.0"][0]

    def form(event: dict[str, Any]) -> str:
        created: str = event["created"]
        return "1.0.at-" + created.replace("-", "").replace(":", "")

    for event, pushed in ((first, ONE), (second, TWO)):
        for method in ("GET", "HEAD"):
            answer = api.http.request(method, f"/v2/{repository}/manifests/{form(event)}")
            assert answer.headers["docker-content-digest"] == pushed.digest
    assert api.manifest(repository, "1.0.at-20200101T000000Z").status_code == 404
    assert api.manifest(repository, "2.0.at-20990101T000000Z").status_code == 404
    assert api.tags(repository) == ["1.0"]


def test_a_time_of_a_tag_is_not_pushed(api: RegistryClient, repository: str) -> None:
    blobs_of(api, repository, ONE)
    answer = api.put_manifest(repository, "1.0.at-20261123T101500Z", ONE.manifest)
    assert (answer.status_code, error_codes(answer)) == (400, ["TAG_INVALID"])
    assert "as it was at a time" in answer.json()["errors"][0]["message"]
    by_digest = api.http.put(
        f"/v2/{repository}/manifests/{ONE.digest}",
        params={"tag": "1.0.at-20261123T101500Z"},
        content=ONE.manifest.data,
        headers={"Content-Type": ONE.manifest.media_type},
    )
    assert error_codes(by_digest) == ["TAG_INVALID"]
    assert api.http.delete(f"/v2/{repository}/manifests/1.0.at-20261123T101500Z").status_code == 404


def test_events_say_who_pushed_and_the_first_push_needs_the_right_to_make_streams(
    server: Server, api: RegistryClient, kube: KubeClient, repository: str
) -> None:
    namespace = repository.split("/")[0]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "layers"},
        "rules": [
            {
                "apiGroups": ["image.openshift.io"],
                "resources": ["imagestreams/layers"],
                "verbs": ["get", "update"],
            }
        ],
    }
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    add_user(server, f"u{namespace}")
    kube.make(f"{roles}/roles", role)
    kube.make(
        f"{roles}/rolebindings", role_binding("layers", "layers", f"u{namespace}", kind="Role")
    )
    pusher = client_of(server, credentials=(f"u{namespace}", "correct horse battery staple"))
    with pusher:
        assert pusher.http.post(f"/v2/{repository}/blobs/uploads/").status_code == 403
        blobs_of(api, repository, ONE)  # blobs alone make no stream
        refused(pusher.put_manifest(repository, "1.0", ONE.manifest))
        api.push(repository, ONE, "1.0")
        pusher.push(repository, TWO, "1.0")
    assert [event["image"] for event in tags_of(kube, repository)["1.0"]] == [
        TWO.digest,
        ONE.digest,
    ]


def test_check_finds_that_both_agree(start: Start) -> None:
    server = start(workers=1)
    with client_of(server) as client:
        client.push("shop/web", index(ONE, TWO), "1.0")
        client.push("shop/web", TWO, "1.1")
        client.http.delete("/v2/shop/web/manifests/1.0")
    outcome = run(tidegate(), "check", "--data", server.data, "--json")
    assert json.loads(outcome.stdout)["problems"] == []
