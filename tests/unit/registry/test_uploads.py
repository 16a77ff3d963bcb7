"""Blob uploads as the reference's statements 1 to 4 and section 1.4 have them."""

import time
from pathlib import Path

import httpx
import pytest

from tests.authorizers import Rights
from tests.images import Content
from tests.registry_client import RegistryClient, error_codes
from tests.unit.registry.in_process import InProcess, in_process
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.storage.blobs import BlobStore
from tidegate.storage.receiving import Receiving

BLOB = Content(b"0123456789" * 30)
LARGE = Content(b"0123456789" * 7000)
OTHER = Content(b"other")
REPOSITORY = "shop/web"


def test_a_chunk_out_of_order_is_416_and_the_upload_goes_on(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    assert client.append(location, BLOB.data[:100], "0-99").status_code == 202
    refused = client.append(location, BLOB.data[:100], "200-299")
    assert refused.status_code == 416
    assert error_codes(refused) == ["RANGE_INVALID"]
    assert refused.headers["range"] == "0-99"
    status = client.status(location)
    assert (status.status_code, status.headers["range"]) == (204, "0-99")
    assert client.append(location, BLOB.data[100:200], "100-199").status_code == 202
    last = client.close_upload(location, BLOB.digest, BLOB.data[200:], "200-299")
    assert last.status_code == 201
    assert client.blob(REPOSITORY, BLOB.digest).content == BLOB.data


def test_the_closing_chunk_is_checked_for_its_range_too(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    client.append(location, BLOB.data[:100], "0-99")
    wrong = client.close_upload(location, BLOB.digest, BLOB.data[200:], "200-299")
    assert wrong.status_code == 416
    assert client.received(location) == 100


def test_a_stream_without_a_range_and_an_empty_put_make_a_blob(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    assert client.append(location, iter([BLOB.data])).status_code == 202
    finished = client.close_upload(location, BLOB.digest)
    assert finished.status_code == 201
    assert finished.headers["docker-content-digest"] == BLOB.digest
    assert client.http.get(finished.headers["location"]).content == BLOB.data


def test_a_location_with_a_query_still_leads_to_its_upload(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY) + "?_state=x"
    client.append(location, BLOB.data)
    assert client.close_upload(location, BLOB.digest).status_code == 201


@pytest.mark.parametrize("content", [BLOB, Content(b""), Content(b"{}", algorithm="sha512")])
def test_one_post_with_the_whole_body_makes_a_blob(
    client: RegistryClient, content: Content
) -> None:
    answer = client.http.post(
        f"/v2/{REPOSITORY}/blobs/uploads/?digest={content.digest}", content=content.data
    )
    assert answer.status_code == 201
    assert client.http.get(answer.headers["location"]).content == content.data


def test_a_session_without_a_hint_takes_a_sha512_digest_at_its_end(client: RegistryClient) -> None:
    content = Content(BLOB.data, algorithm="sha512")
    location = client.open_upload(REPOSITORY)
    for start in (0, 150):
        client.append(location, BLOB.data[start : start + 150])
    assert client.close_upload(location, content.digest).status_code == 201
    assert client.blob(REPOSITORY, content.digest).content == BLOB.data


def test_a_hint_of_an_unknown_algorithm_is_refused(client: RegistryClient) -> None:
    path = f"/v2/{REPOSITORY}/blobs/uploads/?digest-algorithm="
    assert client.http.post(path + "sha512").status_code == 202
    refused = client.http.post(path + "md5")
    assert (refused.status_code, error_codes(refused)) == (400, ["DIGEST_INVALID"])


def test_another_digest_at_the_end_ends_the_session(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    client.append(location, BLOB.data)
    refused = client.close_upload(location, OTHER.digest)
    assert (refused.status_code, error_codes(refused)) == (400, ["DIGEST_INVALID"])
    assert client.status(location).status_code == 404
    assert not client.has_blob(REPOSITORY, OTHER.digest)


def test_a_put_without_a_digest_keeps_the_session(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    client.append(location, BLOB.data)
    refused = client.http.put(location)
    assert (refused.status_code, error_codes(refused)) == (400, ["DIGEST_INVALID"])
    assert client.close_upload(location, BLOB.digest).status_code == 201


@pytest.mark.parametrize("content_range", ["bytes 0-99", "0", "9-0", "0-", "x-y"])
def test_a_malformed_chunk_range_is_416(client: RegistryClient, content_range: str) -> None:
    location = client.open_upload(REPOSITORY)
    assert client.append(location, b"x" * 100, content_range).status_code == 416
    assert client.received(location) in (0, 1)


def test_a_chunk_of_another_length_than_its_range_is_size_invalid(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    for data in (b"x" * 99, b"x" * 101):
        refused = client.append(location, data, "0-99")
        assert (refused.status_code, error_codes(refused)) == (400, ["SIZE_INVALID"])
    short = client.append(location, iter([b"x" * 99]), "0-99")
    assert (short.status_code, error_codes(short)) == (400, ["SIZE_INVALID"])


def test_an_empty_session_says_zero_and_a_cancelled_one_is_gone(client: RegistryClient) -> None:
    location = client.open_upload(REPOSITORY)
    assert client.status(location).headers["range"] == "0-0"
    assert client.http.delete(location).status_code == 204
    for answer in (
        client.status(location),
        client.append(location, b"x"),
        client.close_upload(location, OTHER.digest),
        client.http.delete(location),
    ):
        assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_a_session_of_another_repository_is_unknown(client: RegistryClient) -> None:
    upload_id = client.open_upload(REPOSITORY).rpartition("/")[2]
    for forged in (upload_id, "0" * 32, "..", "%2e%2e%2fmetadata.db", "a" * 4000):
        answer = client.append(f"/v2/shop/other/blobs/uploads/{forged}", b"x")
        assert answer.status_code == 404, forged
    assert client.received(f"/v2/{REPOSITORY}/blobs/uploads/{upload_id}") == 1


def test_a_blob_is_mounted_from_a_repository_the_user_can_read(client: RegistryClient) -> None:
    client.put_blob("a/x", BLOB)
    path = f"/v2/b/x/blobs/uploads/?mount={BLOB.digest}"
    mounted = client.http.post(f"{path}&from=a/x")
    assert mounted.status_code == 201
    assert mounted.headers["docker-content-digest"] == BLOB.digest
    assert client.http.get(mounted.headers["location"]).content == BLOB.data
    assert client.http.post(path.replace("b/x", "c/x")).status_code == 201
    assert client.has_blob("c/x", BLOB.digest)


@pytest.mark.parametrize("source", ["a/y", "library/nothing", "busybox", "../..", ""])
def test_a_mount_of_what_is_not_there_starts_an_upload(client: RegistryClient, source: str) -> None:
    answer = client.http.post(f"/v2/b/x/blobs/uploads/?mount={BLOB.digest}&from={source}")
    assert answer.status_code == 202
    assert (
        client.close_upload(answer.headers["location"], BLOB.digest, BLOB.data).status_code == 201
    )


def test_a_mount_from_a_repository_the_user_cannot_read_starts_an_upload(tmp_path: Path) -> None:
    rights = Rights(("una", "update", "b"), ("una", "get", "b"), ("una", "create", "b"))
    with in_process(tmp_path, rights, more_users=("una",)) as registry:
        registry.client().put_blob("a/x", BLOB)
        registry.client().put_blob("b/there", Content(b"the project is"))
        una = registry.client("una")
        for query in ("&from=a/x", ""):
            answer = una.http.post(f"/v2/b/x/blobs/uploads/?mount={BLOB.digest}{query}")
            assert answer.status_code == 202
            assert "a/x" not in answer.text + str(answer.headers)
        assert not una.has_blob("b/x", BLOB.digest)
        narrow = registry.bearer(registry.token("repository:b/x:pull,push", name="una"))
        answer = narrow.http.post(f"/v2/b/x/blobs/uploads/?mount={BLOB.digest}&from=a/x")
        assert answer.status_code == 202


def test_a_token_too_narrow_for_the_source_is_told_which_scope_mounts(registry: InProcess) -> None:
    registry.client().put_blob("a/x", BLOB)
    narrow = registry.bearer(registry.token("repository:b/x:pull,push"))
    path = f"/v2/b/x/blobs/uploads/?mount={BLOB.digest}"
    for query in ("&from=a/x", ""):
        answer = narrow.http.post(path + query)
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="repository:b/x:pull,push repository:a/x:pull"' in challenge
    wide = registry.bearer(registry.token("repository:b/x:pull,push repository:a/x:pull"))
    assert wide.http.post(path).status_code == 201


def test_a_full_store_answers_507_and_takes_the_space_back(tmp_path: Path) -> None:
    with in_process(tmp_path, capacity=1000) as registry:
        client = registry.client()
        assert client.put_blob(REPOSITORY, OTHER).status_code == 201
        location = client.open_upload(REPOSITORY)
        refused = client.append(location, b"x" * 2000)
        assert (refused.status_code, error_codes(refused)) == (507, ["UNAVAILABLE"])
        assert client.status(location).status_code == 404
        whole = Content(b"y" * 2000)
        location = client.open_upload(REPOSITORY)
        refused = client.close_upload(location, whole.digest, whole.data)
        assert (refused.status_code, error_codes(refused)) == (507, ["UNAVAILABLE"])
        assert client.status(location).status_code == 404
        assert client.blob(REPOSITORY, OTHER.digest).content == OTHER.data
        assert client.put_blob(REPOSITORY, BLOB).status_code == 201


def test_only_uploads_without_progress_are_purged(registry: InProcess) -> None:
    client = registry.client()
    stale = client.open_upload(REPOSITORY)
    client.append(stale, b"stale")
    cut = time.time()
    live = client.open_upload(REPOSITORY)
    assert registry.purge(cut) == 1
    assert client.status(stale).status_code == 404
    assert client.status(live).status_code == 204


def test_what_came_of_a_broken_body_is_kept_for_a_resume(registry: InProcess) -> None:
    client = registry.client()
    location = client.open_upload(REPOSITORY)
    client.append(location, BLOB.data[:100])
    resumed = client.append(location, BLOB.data[100:], f"100-{len(BLOB.data) - 1}")
    assert isinstance(resumed, httpx.Response)
    assert resumed.headers["range"] == f"0-{len(BLOB.data) - 1}"
    assert client.close_upload(location, BLOB.digest).status_code == 201


@pytest.mark.parametrize("blob", [BLOB, LARGE], ids=["small", "large"])
def test_an_upload_that_ended_while_its_last_bytes_came_leaves_nothing(
    registry: InProcess, monkeypatch: pytest.MonkeyPatch, blob: Content
) -> None:
    """As one does with its project, whose name may be another's by then."""
    client = registry.client()
    location = client.open_upload(REPOSITORY)
    commit, put = BlobStore.commit_held, BlobStore.put

    async def end() -> None:
        await registry.uploads._end(await registry.uploads._find(*_named(location)))

    async def late(store: BlobStore, receiving: Receiving, digest: Digest) -> int:
        size = await commit(store, receiving, digest)
        await end()
        return size

    async def late_put(store: BlobStore, digest: Digest, content: bytes) -> int:
        size = await put(store, digest, content)
        await end()
        return size

    monkeypatch.setattr(BlobStore, "commit_held", late)
    monkeypatch.setattr(BlobStore, "put", late_put)
    refused = client.close_upload(location, blob.digest, blob.data)
    assert (refused.status_code, error_codes(refused)) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    assert not client.has_blob(REPOSITORY, blob.digest)
    assert client.http.get("/v2/_catalog").json() == {"repositories": []}


@pytest.mark.parametrize("size", [1, 65536, 65537])
def test_a_whole_blob_of_any_size_comes_in_one_request(registry: InProcess, size: int) -> None:
    client, blob = registry.client(), Content(bytes(size))
    location = client.open_upload(REPOSITORY)
    wrong = client.close_upload(location, BLOB.digest, blob.data)
    assert (wrong.status_code, error_codes(wrong)) == (400, ["DIGEST_INVALID"])
    assert client.close_upload(location, blob.digest, blob.data).status_code == 404
    location = client.open_upload(REPOSITORY)
    assert client.close_upload(location, blob.digest, blob.data).status_code == 201
    assert client.blob(REPOSITORY, blob.digest).content == blob.data
    at_once = client.http.post(
        f"/v2/shop/other/blobs/uploads/?digest={blob.digest}", content=blob.data
    )
    assert at_once.status_code == 201
    assert client.blob("shop/other", blob.digest).content == blob.data


def _named(location: str) -> tuple[RepositoryName, str]:
    return RepositoryName.parse(REPOSITORY), location.rpartition("/")[2]
