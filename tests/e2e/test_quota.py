"""Limits and quota of a running server, from the side of clients (image-api section 11)."""

from collections.abc import Iterator

import pytest

from tests.images import small_image
from tests.kube_client import KubeClient, log_in
from tests.registry_client import RegistryClient
from tests.server import Server

PROJECT = "quotas"
STREAMS, STORAGE = "openshift.io/imagestreams", "tidegate.io/storage"
CORE = f"/api/v1/namespaces/{PROJECT}"


@pytest.fixture
def kube(server: Server) -> Iterator[KubeClient]:
    with KubeClient(server.url, log_in(server.url)) as client:
        yield client


def test_a_project_has_no_more_streams_and_bytes_than_its_quota(
    api: RegistryClient, kube: KubeClient
) -> None:
    one, two = small_image("one"), small_image("two")
    api.push(f"{PROJECT}/one", one, "v1")
    size = len(one.manifest.data) + sum(len(blob.data) for blob in one.blobs)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {STREAMS: "1", STORAGE: str(size + 1)}},
    }
    assert kube.post(f"{CORE}/resourcequotas", quota).status_code == 201
    status = kube.read(f"{CORE}/resourcequotas/small")["status"]
    assert status == {
        "hard": {STREAMS: "1", STORAGE: str(size + 1)},
        "used": {STREAMS: "1", STORAGE: str(size)},
    }

    api.push(f"{PROJECT}/one", one, "v2")  # adds nothing
    refused = api.put_blob(f"{PROJECT}/one", two.blobs[-1])
    assert refused.status_code == 403
    (error,) = refused.json()["errors"]
    assert error["code"] == "DENIED"
    assert error["message"].startswith(f"exceeded quota: small, requested: {STORAGE}=")

    stream = {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStream",
        "metadata": {"name": "two"},
    }
    path = f"/apis/image.openshift.io/v1/namespaces/{PROJECT}/imagestreams"
    answer = kube.post(path, stream)
    assert answer.status_code == 403
    assert answer.json()["message"].endswith(
        f"exceeded quota: small, requested: {STREAMS}=1, used: {STREAMS}=1, limited: {STREAMS}=1"
    )
