import json
from pathlib import Path

import pytest

from tests.images import IMAGE_MANIFEST, Content, artifact, encode, index, small_image
from tests.registry_client import RegistryClient, error_codes
from tests.unit.registry.in_process import in_process
from tidegate.oci.manifest import MANIFEST_LIMIT

REPOSITORY = "shop/web"
IMAGE = small_image("one")


def test_what_is_pulled_is_what_was_pushed_whatever_the_client_accepts(
    client: RegistryClient,
) -> None:
    client.push(REPOSITORY, IMAGE, "1.0")
    for accept in ("", "*/*", "application/json", IMAGE_MANIFEST):
        for reference in ("1.0", IMAGE.digest):
            answer = client.manifest(REPOSITORY, reference, accept)
            assert answer.content == IMAGE.manifest.data
            assert answer.headers["content-type"] == IMAGE_MANIFEST
            assert answer.headers["docker-content-digest"] == IMAGE.digest
    head = client.http.head(f"/v2/{REPOSITORY}/manifests/1.0")
    assert head.headers["content-length"] == str(len(IMAGE.manifest.data))
    assert head.content == b""


def test_a_manifest_without_a_tag_is_read_by_its_digest(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE)
    assert client.manifest(REPOSITORY, IMAGE.digest).status_code == 200
    assert client.tags(REPOSITORY) == []


@pytest.mark.parametrize("form", ['"{}"', "{}"])
def test_a_manifest_that_the_client_has_is_304(client: RegistryClient, form: str) -> None:
    client.push(REPOSITORY, IMAGE, "1.0")
    path = f"/v2/{REPOSITORY}/manifests/1.0"
    answer = client.http.get(path, headers={"If-None-Match": form.format(IMAGE.digest)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert client.http.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_manifest_whose_blobs_are_missing_names_each(client: RegistryClient) -> None:
    answer = client.put_manifest(REPOSITORY, "1.0", IMAGE.manifest)
    assert answer.status_code == 400
    assert error_codes(answer) == ["MANIFEST_BLOB_UNKNOWN"] * 2
    named = {error["detail"]["digest"] for error in answer.json()["errors"]}
    assert named == {blob.digest for blob in IMAGE.blobs}
    assert client.manifest(REPOSITORY, "1.0").status_code == 404


def test_blobs_of_another_repository_do_not_count(client: RegistryClient) -> None:
    client.push("shop/other", IMAGE)
    assert client.put_manifest(REPOSITORY, "1.0", IMAGE.manifest).status_code == 400


def test_a_sparse_registry_takes_a_manifest_before_its_blobs(tmp_path: Path) -> None:
    with in_process(tmp_path, sparse=True) as registry:
        assert registry.client().put_manifest("a/b", "1", IMAGE.manifest).status_code == 201


def test_a_size_that_the_blob_does_not_have_is_refused(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE)
    document = json.loads(IMAGE.manifest.data)
    document["layers"][0]["size"] += 1
    answer = client.put_manifest(REPOSITORY, "x", Content(encode(document), IMAGE_MANIFEST))
    assert (answer.status_code, error_codes(answer)) == (400, ["MANIFEST_INVALID"])


def test_a_digest_that_the_bytes_do_not_have_is_refused(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE)
    answer = client.put_manifest(REPOSITORY, small_image("two").digest, IMAGE.manifest)
    assert (answer.status_code, error_codes(answer)) == (400, ["DIGEST_INVALID"])


def test_a_manifest_over_the_limit_is_413_and_one_at_it_is_taken(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE)
    document = json.loads(IMAGE.manifest.data)
    document["annotations"] = {"pad": ""}
    spare = MANIFEST_LIMIT - len(encode(document))
    for extra, status in ((0, 201), (1, 413)):
        document["annotations"]["pad"] = "x" * (spare + extra)
        answer = client.put_manifest(REPOSITORY, "big", Content(encode(document), IMAGE_MANIFEST))
        assert answer.status_code == status
    assert error_codes(answer) == ["MANIFEST_INVALID"]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", IMAGE_MANIFEST),
        (b"\xff\xfe", IMAGE_MANIFEST),
        (b"[" * 100_000, IMAGE_MANIFEST),
        (b'{"schemaVersion": 2}', "text/plain"),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ],
)
def test_what_is_no_manifest_is_refused(
    client: RegistryClient, body: bytes, media_type: str
) -> None:
    answer = client.put_manifest(REPOSITORY, "x", Content(body, media_type))
    assert (answer.status_code, error_codes(answer)) == (400, ["MANIFEST_INVALID"])


def test_one_push_by_digest_sets_many_tags(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE)
    path = f"/v2/{REPOSITORY}/manifests/{IMAGE.digest}"
    headers = {"Content-Type": IMAGE_MANIFEST}
    answer = client.http.put(f"{path}?tag=a&tag=b&tag=a", content=IMAGE.manifest.data,
                             headers=headers)  # fmt: skip
    assert answer.status_code == 201
    assert answer.headers.get_list("oci-tag") == ["a", "b"]
    assert client.tags(REPOSITORY) == ["a", "b"]
    bad = client.http.put(f"{path}?tag=ok&tag=-", content=IMAGE.manifest.data, headers=headers)
    assert (bad.status_code, error_codes(bad)) == (400, ["TAG_INVALID"])
    many = "&".join(f"tag=t{number}" for number in range(101))
    assert client.http.put(f"{path}?{many}", content=b"", headers=headers).status_code in (400, 414)
    assert client.tags(REPOSITORY) == ["a", "b"]


def test_a_sha512_manifest_is_tagged_under_its_own_digest(client: RegistryClient) -> None:
    content = Content(IMAGE.manifest.data, IMAGE_MANIFEST, "sha512")
    client.push(REPOSITORY, IMAGE)
    path = f"/v2/{REPOSITORY}/manifests/{content.digest}?tag=long"
    client.http.put(path, content=content.data, headers={"Content-Type": IMAGE_MANIFEST})
    answer = client.manifest(REPOSITORY, "long")
    assert answer.headers["docker-content-digest"] == content.digest


def test_a_tag_moves_and_what_it_named_stays_readable(client: RegistryClient) -> None:
    other = small_image("two")
    client.push(REPOSITORY, IMAGE, "latest")
    client.push(REPOSITORY, other, "latest")
    assert client.manifest(REPOSITORY, "latest").content == other.manifest.data
    assert client.manifest(REPOSITORY, IMAGE.digest).status_code == 200


def test_a_deleted_tag_takes_nothing_else_along(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE, "a")
    client.put_manifest(REPOSITORY, "b", IMAGE.manifest)
    assert client.http.delete(f"/v2/{REPOSITORY}/manifests/a").status_code == 202
    assert client.tags(REPOSITORY) == ["b"]
    assert client.manifest(REPOSITORY, IMAGE.digest).status_code == 200
    assert client.http.delete(f"/v2/{REPOSITORY}/manifests/a").status_code == 404


def test_a_deleted_manifest_takes_its_tags_along_and_may_come_back(client: RegistryClient) -> None:
    client.push(REPOSITORY, IMAGE, "a")
    path = f"/v2/{REPOSITORY}/manifests/{IMAGE.digest}"
    assert client.http.delete(path).status_code == 202
    for reference in ("a", IMAGE.digest):
        answer = client.manifest(REPOSITORY, reference)
        assert (answer.status_code, error_codes(answer)) == (404, ["MANIFEST_UNKNOWN"])
    assert client.tags(REPOSITORY) == []
    assert client.http.delete(path).status_code == 404
    assert client.put_manifest(REPOSITORY, "a", IMAGE.manifest).status_code == 201


def test_a_blob_deleted_after_the_client_asked_is_revived_by_its_manifest(
    client: RegistryClient,
) -> None:
    client.push(REPOSITORY, IMAGE)
    client.http.delete(f"/v2/{REPOSITORY}/manifests/{IMAGE.digest}")
    for blob in IMAGE.blobs:
        assert client.http.delete(f"/v2/{REPOSITORY}/blobs/{blob.digest}").status_code == 202
        assert not client.has_blob(REPOSITORY, blob.digest)
    assert client.put_manifest(REPOSITORY, "again", IMAGE.manifest).status_code == 201
    client.pull(REPOSITORY, IMAGE, "again")


def test_an_index_is_pushed_with_its_children_and_protects_them(client: RegistryClient) -> None:
    both = index(small_image("amd64"), small_image("arm64", "arm64"))
    client.push(REPOSITORY, both, "multi")
    client.pull(REPOSITORY, both, "multi")
    child = f"/v2/{REPOSITORY}/manifests/{both.children[0].digest}"
    refused = client.http.delete(child)
    assert (refused.status_code, error_codes(refused)) == (405, ["UNSUPPORTED"])
    assert both.digest in refused.text
    assert client.http.delete(f"/v2/{REPOSITORY}/manifests/{both.digest}").status_code == 202
    assert client.http.delete(child).status_code == 202


def test_an_index_of_absent_manifests_is_taken_with_a_warning(client: RegistryClient) -> None:
    both = index(small_image("here"), small_image("absent"))
    client.push(REPOSITORY, both.children[0])
    answer = client.put_manifest(REPOSITORY, "sparse", both.manifest)
    assert answer.status_code == 201
    assert answer.headers["warning"].startswith('299 - "1 of 2 manifests')


def test_a_manifest_of_an_absent_subject_is_taken_and_says_so(client: RegistryClient) -> None:
    signature = artifact("application/vnd.example.signature", b"sig", subject=IMAGE)
    for blob in signature.blobs:
        client.put_blob(REPOSITORY, blob)
    answer = client.put_manifest(REPOSITORY, signature.digest, signature.manifest)
    assert answer.status_code == 201
    assert answer.headers["oci-subject"] == IMAGE.digest


@pytest.mark.parametrize("reference", ["-x", "a" * 129, "sha256:x", "%00", "a%2fb"])
def test_a_reference_that_is_none_is_400(client: RegistryClient, reference: str) -> None:
    answer = client.http.get(f"/v2/{REPOSITORY}/manifests/{reference}")
    assert answer.status_code == 400
    assert error_codes(answer)[0] in ("TAG_INVALID", "DIGEST_INVALID")
