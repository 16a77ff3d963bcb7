"""Pushes of blobs into a project with a quota or a limit (registry-and-operator 2.7)."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.registry_client import RegistryClient
from tidegate.apimachinery.store import Key
from tidegate.metastore import uploads
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest

STORAGE = "tidegate.io/storage"


def keep(directory: Path, resource: str, spec: object) -> None:
    """Give the project an object, as the API would store it."""
    metadata = {"name": "small", "namespace": "shop", "uid": "u"}
    body = msgspec.json.encode({"metadata": metadata, "spec": spec})

    async def run() -> None:
        db = await open_database(f"sqlite:///{directory / 'metadata.db'}")
        key = Key(resource, "shop", "small")
        await db.write(lambda tx: DocumentUnit(tx).put(key, "u", lambda _: body))
        await db.close()

    asyncio.run(run())


def sessions(directory: Path) -> int:
    async def run() -> int:
        db = await open_database(f"sqlite:///{directory / 'metadata.db'}")
        found = await uploads.expired(db, 2.0**40, 100)
        await db.close()
        return len(found)

    return asyncio.run(run())


@pytest.mark.parametrize("at_once", [True, False])
def test_a_blob_beyond_the_quota_is_denied_in_the_client_s_words(
    client: RegistryClient, tmp_path: Path, at_once: bool
) -> None:
    keep(tmp_path, "resourcequotas", {"hard": {STORAGE: "10"}})
    content = b"more than ten"
    digest = Digest.of(content)
    start = "/v2/shop/web/blobs/uploads/"
    if at_once:
        answer = client.http.post(start, params={"digest": digest}, content=content)
    else:
        place = client.http.post(start).headers["location"]
        answer = client.http.put(place, params={"digest": digest}, content=content)
    assert answer.status_code == 403
    (error,) = answer.json()["errors"]
    assert error["code"] == "DENIED"
    assert error["message"] == (
        f"exceeded quota: small, requested: {STORAGE}=13, used: {STORAGE}=0, limited: {STORAGE}=10"
    )
    assert client.http.head(f"/v2/shop/web/blobs/{digest}").status_code == 404
    assert sessions(tmp_path) == 0


def test_a_mount_beyond_the_quota_is_denied(client: RegistryClient, tmp_path: Path) -> None:
    content = b"more than ten"
    digest = Digest.of(content)
    pushed = client.http.post(
        "/v2/lab/web/blobs/uploads/", params={"digest": digest}, content=content
    )
    assert pushed.status_code == 201
    keep(tmp_path, "resourcequotas", {"hard": {STORAGE: "10"}})
    answer = client.http.post(
        "/v2/shop/web/blobs/uploads/", params={"mount": digest, "from": "lab/web"}
    )
    assert answer.status_code == 403
    assert "exceeded quota: small" in answer.text


def test_a_blob_larger_than_an_image_may_be_is_denied(
    client: RegistryClient, tmp_path: Path
) -> None:
    limits = [{"type": "openshift.io/Image", "max": {"storage": "10"}}]
    keep(tmp_path, "limitranges", {"limits": limits})
    content = b"more than ten"
    answer = client.http.post(
        "/v2/shop/web/blobs/uploads/", params={"digest": Digest.of(content)}, content=content
    )
    assert answer.status_code == 403
    assert answer.json()["errors"] == [
        {
            "code": "DENIED",
            "message": "requested usage of storage exceeds the maximum limit"
            " per openshift.io/Image (13 > 10)",
            "detail": None,
        }
    ]


def test_metrics_tell_what_each_project_holds(client: RegistryClient) -> None:
    for repository, contents in (("shop/web", (b"one", b"three")), ("lab/web", (b"three",))):
        for content in contents:
            client.http.post(
                f"/v2/{repository}/blobs/uploads/",
                params={"digest": Digest.of(content)},
                content=content,
            )
    shown = client.http.get("/extensions/v2/metrics").text.splitlines()
    assert [line for line in shown if line.startswith("tidegate_project_storage_bytes{")] == [
        'tidegate_project_storage_bytes{project="lab",kind="alone"} 0',
        'tidegate_project_storage_bytes{project="lab",kind="shared"} 5',
        'tidegate_project_storage_bytes{project="shop",kind="alone"} 3',
        'tidegate_project_storage_bytes{project="shop",kind="shared"} 5',
    ]
