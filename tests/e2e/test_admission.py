"""The admission webhook of a running server, asked as a cluster's API server asks it."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.images import small_image
from tests.kube_client import KubeClient, kube_client
from tests.registry_client import client_of
from tests.server import Server, serving

SECRET = "s" * 40
STREAMS = "/apis/image.openshift.io/v1/namespaces/shop/imagestreams"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("admission") / "data"
    with serving(Server(data, workers=1, settings={"admission_secret": SECRET})) as server:
        with client_of(server) as client:
            client.push("shop/web", small_image("one"), "v1")
        yield server
    assert "Traceback" not in server.log, server.log


@pytest.fixture
def kube(running: Server) -> Iterator[KubeClient]:
    with kube_client(running) as client:
        yield client


def review(resource: str, obj: dict[str, Any], kind: str, group: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": group, "version": "v1", "kind": kind},
            "resource": {"group": group, "version": "v1", "resource": resource},
            "requestKind": {"group": group, "version": "v1", "kind": kind},
            "requestResource": {"group": group, "version": "v1", "resource": resource},
            "name": "web",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:shop:default"},
            "object": obj,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }


def pod(image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }


def ask(server: Server, body: dict[str, Any], secret: str = SECRET) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/admission/{secret}/workloads", json=body)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()["response"]
    assert response["uid"] == body["request"]["uid"]
    return response


def patched(response: dict[str, Any]) -> list[dict[str, Any]]:
    assert response["patchType"] == "JSONPatch"
    operations: list[dict[str, Any]] = json.loads(base64.b64decode(response["patch"]))
    return operations


def test_a_name_of_a_stream_becomes_the_image_that_its_tag_names(
    running: Server, kube: KubeClient
) -> None:
    untouched = ask(running, review("pods", pod("web:v1"), "Pod"))
    assert untouched["allowed"]
    assert "web@sha256" not in json.dumps(untouched)
    local = {"spec": {"lookupPolicy": {"local": True}}}
    assert kube.patch(f"{STREAMS}/web", local).status_code == 200
    tag = kube.read(STREAMS.replace("imagestreams", "imagestreamtags/web:v1"))
    operations = patched(ask(running, review("pods", pod("web:v1"), "Pod")))
    values = {each["path"]: each["value"] for each in operations}
    image = values["/spec/containers/0/image"]
    assert image == tag["image"]["dockerImageReference"]
    assert image.endswith("@" + tag["image"]["metadata"]["name"])
    missing = patched(ask(running, review("pods", pod("web:v9"), "Pod")))
    stream = kube.read(f"{STREAMS}/web")
    expected = stream["status"]["dockerImageRepository"] + ":v9"
    assert expected in [each["value"] for each in missing]


@pytest.mark.parametrize("name", ["web:a\0b", "a\0b:1", "web@a\0b", "web@", ":", "../web:v1"])
def test_an_odd_name_in_a_build_is_nothing_of_ours(running: Server, name: str) -> None:
    for kind in ("ImageStreamTag", "ImageStreamImage", "DockerImage"):
        for namespace in ("shop", "a\0b", ""):
            origin = {"kind": kind, "name": name, "namespace": namespace}
            strategy = {"type": "Docker", "dockerStrategy": {"from": origin}}
            build = {"metadata": {"name": "b"}, "spec": {"strategy": strategy}}
            body = review("builds", build, "Build", "build.openshift.io")
            assert ask(running, body)["allowed"]


def test_an_image_that_may_not_run_is_refused(running: Server, kube: KubeClient) -> None:
    with client_of(running) as client:
        client.push("shop/bad", small_image("bad"), "v1")
    tag = kube.read(STREAMS.replace("imagestreams", "imagestreamtags/bad:v1"))
    name = tag["image"]["metadata"]["name"]
    deny = {"metadata": {"annotations": {"images.openshift.io/deny-execution": "true"}}}
    path = f"/apis/image.openshift.io/v1/images/{name}"
    assert kube.patch(path, deny).status_code == 200
    response = ask(running, review("pods", pod(tag["image"]["dockerImageReference"]), "Pod"))
    assert not response["allowed"]
    assert "prohibited by policy" in response["status"]["message"]


def test_without_the_secret_there_is_nothing(running: Server) -> None:
    for path in (f"/admission/{'x' * 40}/workloads", "/admission/", "/admission"):
        answer = httpx.post(running.url + path, json=review("pods", pod("web:v1"), "Pod"))
        assert answer.status_code == 404
