import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from tests.authorizers import Rights
from tests.images import Content, small_image
from tests.registry_client import RegistryClient, error_codes
from tests.unit.registry.in_process import in_process
from tidegate.metastore.database import Database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.registry.blobs import Blobs
from tidegate.registry.request import Request
from tidegate.registry.response import Response
from tidegate.storage.blobs import BlobStore
from tidegate.storage.memory import Memory

BLOB = Content(bytes(range(250)) * 8)
REPOSITORY = "shop/web"


@pytest.fixture
def pushed(client: RegistryClient) -> RegistryClient:
    assert client.put_blob(REPOSITORY, BLOB).status_code == 201
    return client


def test_a_blob_comes_with_the_headers_that_clients_check(pushed: RegistryClient) -> None:
    got = pushed.blob(REPOSITORY, BLOB.digest)
    asked = pushed.http.head(f"/v2/{REPOSITORY}/blobs/{BLOB.digest}")
    assert got.content == BLOB.data
    assert asked.content == b""
    for answer in (got, asked):
        assert answer.status_code == 200
        assert answer.headers["docker-content-digest"] == BLOB.digest
        assert answer.headers["content-length"] == "2000"
        assert answer.headers["etag"] == f'"{BLOB.digest}"'
        assert answer.headers["accept-ranges"] == "bytes"
        assert "max-age=31536000" in answer.headers["cache-control"]
        assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1500-5000", 1500, 2000),
        ("bytes=500-", 500, 2000),
        ("bytes=-500", 1500, 2000),
    ],
)
def test_a_range_is_served_as_that_part(
    pushed: RegistryClient, header: str, start: int, stop: int
) -> None:
    answer = pushed.blob(REPOSITORY, BLOB.digest, Range=header)
    assert answer.status_code == 206
    assert answer.content == BLOB.data[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/2000"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=5000-", "bytes=2000-2001"])
def test_a_range_outside_is_416_and_says_how_much_there_is(
    pushed: RegistryClient, header: str
) -> None:
    answer = pushed.blob(REPOSITORY, BLOB.digest, Range=header)
    assert (answer.status_code, error_codes(answer)) == (416, ["RANGE_INVALID"])
    assert answer.headers["content-range"] == "bytes */2000"


def test_several_ranges_and_other_units_get_the_whole(pushed: RegistryClient) -> None:
    for header in ("bytes=0-1,5-6", "lines=1-2"):
        assert pushed.blob(REPOSITORY, BLOB.digest, Range=header).status_code == 200


def test_a_range_of_another_entity_gets_the_whole(pushed: RegistryClient) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"sha256:other"'}
    assert pushed.blob(REPOSITORY, BLOB.digest, **headers).status_code == 200
    headers["If-Range"] = f'"{BLOB.digest}"'
    assert pushed.blob(REPOSITORY, BLOB.digest, **headers).status_code == 206


@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', '"x", "{}"', "*"])
def test_a_blob_that_the_client_has_is_304(pushed: RegistryClient, form: str) -> None:
    answer = pushed.blob(REPOSITORY, BLOB.digest, **{"If-None-Match": form.format(BLOB.digest)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{BLOB.digest}"'


def test_a_blob_is_unknown_outside_its_repository_although_it_is_on_disk(
    pushed: RegistryClient,
) -> None:
    answer = pushed.blob("shop/other", BLOB.digest)
    assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"])
    assert pushed.http.delete(f"/v2/shop/other/blobs/{BLOB.digest}").status_code == 404


def test_a_deleted_blob_is_gone_at_once_and_only_there(pushed: RegistryClient) -> None:
    pushed.put_blob("shop/other", BLOB)
    assert pushed.http.delete(f"/v2/{REPOSITORY}/blobs/{BLOB.digest}").status_code == 202
    assert not pushed.has_blob(REPOSITORY, BLOB.digest)
    assert pushed.has_blob("shop/other", BLOB.digest)
    assert pushed.http.delete(f"/v2/{REPOSITORY}/blobs/{BLOB.digest}").status_code == 404


def test_a_deleted_blob_comes_back_with_the_next_push_or_mount(pushed: RegistryClient) -> None:
    pushed.http.delete(f"/v2/{REPOSITORY}/blobs/{BLOB.digest}")
    assert pushed.put_blob(REPOSITORY, BLOB).status_code == 201
    assert pushed.has_blob(REPOSITORY, BLOB.digest)


def test_a_blob_that_a_manifest_needs_is_not_deleted(tmp_path: Path) -> None:
    rights = Rights(("una", "get", "shop"), ("una", "update", "shop"), ("una", "delete", "shop"))
    with in_process(tmp_path, rights, more_users=("una",)) as registry:
        admin, una = registry.client(), registry.client("una")
        image = small_image("kept")
        admin.push(REPOSITORY, image, "1")
        path = f"/v2/{REPOSITORY}/blobs/{image.blobs[1].digest}"
        refused = una.http.delete(path)
        assert (refused.status_code, error_codes(refused)) == (405, ["UNSUPPORTED"])
        assert image.digest in refused.text
        # oc deletes the layers of an image before the image, and counts refusals as failures
        assert admin.http.delete(path).status_code == 202
        assert una.has_blob(REPOSITORY, image.blobs[1].digest)
        admin.http.delete(f"/v2/{REPOSITORY}/manifests/{image.digest}")
        assert una.http.delete(path).status_code == 202
        assert not una.has_blob(REPOSITORY, image.blobs[1].digest)


@pytest.mark.parametrize(
    "digest", ["sha256:abc", "latest", "md5:" + "a" * 32, "sha256:" + "A" * 64, "sha256:%2e%2e"]
)
def test_a_malformed_digest_is_400(client: RegistryClient, digest: str) -> None:
    for method in ("GET", "DELETE"):
        answer = client.http.request(method, f"/v2/{REPOSITORY}/blobs/{digest}")
        assert (answer.status_code, error_codes(answer)) == (400, ["DIGEST_INVALID"])


def test_another_method_is_405_and_names_those_that_are(client: RegistryClient) -> None:
    answer = client.http.patch(f"/v2/{REPOSITORY}/blobs/{BLOB.digest}")
    assert (answer.status_code, error_codes(answer)) == (405, ["UNSUPPORTED"])
    assert answer.headers["allow"] == "GET, HEAD, DELETE"


def test_a_pull_of_a_linked_blob_reads_the_database_once() -> None:
    class Counting:
        """The database of a repository that is linked to the blob."""

        def __init__(self) -> None:
            self.read: list[str] = []

        async def fetch(self, sql: str, params: object = ()) -> list[tuple[int]]:
            self.read.append(sql)
            return [(len(BLOB.data),)]

    async def elsewhere(*_: object) -> Response:
        raise AssertionError("it is here")

    async def scenario() -> None:
        store = BlobStore(Memory())
        await store.put(Digest(BLOB.digest), BLOB.data)
        database = Counting()
        blobs = Blobs(cast("Database", database), store, elsewhere)
        scope = {"method": "GET", "headers": [], "path": "/", "query_string": b""}
        request = Request(scope, cast("Any", None))
        answer = await blobs.pull(request, RepositoryName(REPOSITORY), Digest(BLOB.digest))
        assert (answer.status, answer.size) == (200, len(BLOB.data))
        assert len(database.read) == 1

    asyncio.run(scenario())
