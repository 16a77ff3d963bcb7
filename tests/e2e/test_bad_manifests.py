"""Manifests that are wrong: each gets the right status and code, and the server stays healthy."""

import json

import pytest

from tests.images import IMAGE_INDEX, IMAGE_MANIFEST, Content, digest_of, small_image
from tests.registry_client import RegistryClient, error_codes

SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
EMPTY = digest_of(b"")


def descriptor(**other: object) -> dict[str, object]:
    return {"mediaType": IMAGE_MANIFEST, "digest": EMPTY, "size": 0, **other}


def manifest(**other: object) -> bytes:
    document = {"schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": descriptor(),
                "layers": []}  # fmt: skip
    return json.dumps({**document, **other}).encode()


INVALID = {
    "nothing": b"",
    "no JSON": b"not json",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "truncated": manifest()[:-1],
    "two documents": manifest() + manifest(),
    "invalid UTF-8": manifest().replace(b"schemaVersion", b"schema\xff\xfeVersion"),
    "invalid UTF-8 in a value": manifest(annotations={"a": "X"}).replace(b'"X"', b'"\xc3\x28"'),
    "UTF-16": manifest().decode().encode("utf-16"),
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep in a manifest": manifest(extra="X").replace(b'"X"', b"[" * 50_000 + b"]" * 50_000),
    "no schema version": json.dumps({"mediaType": IMAGE_MANIFEST, "config": descriptor()}).encode(),
    "schema version 1": manifest(schemaVersion=1),
    "no config": json.dumps({"schemaVersion": 2, "layers": []}).encode(),
    "config a string": manifest(config="sha256:" + "0" * 64),
    "layers an object": manifest(layers={}),
    "a layer null": manifest(layers=[None]),
    "digest a number": manifest(config=descriptor(digest=5)),
    "digest with a path": manifest(config=descriptor(digest="sha256:../../etc/passwd")),
    "size negative": manifest(config=descriptor(size=-1)),
    "size a string": manifest(config=descriptor(size="1")),
    "size huge": manifest(config=descriptor(size=10**30)),
    "size not a number": manifest(config=descriptor()).replace(b'"size": 0', b'"size": NaN'),
    "subject a list": manifest(subject=[]),
    "subject of a bad digest": manifest(subject=descriptor(digest="sha256:nope")),
    "another media type": manifest(mediaType=IMAGE_INDEX),
    "annotations a list": manifest(annotations=["a"]),
    "an annotation a number": manifest(annotations={"a": 1}),
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_manifest_is_refused_and_not_stored(
    api: RegistryClient, repository: str, body: bytes
) -> None:
    api.put_blob(repository, Content(b""))
    answer = api.put_manifest(repository, "bad", Content(body, IMAGE_MANIFEST))
    assert answer.status_code == 400, answer.text
    assert set(error_codes(answer)) <= {"MANIFEST_INVALID", "DIGEST_INVALID"}, answer.text
    assert api.manifest(repository, "bad").status_code == 404
    assert api.manifest(repository, digest_of(body)).status_code == 404


def test_a_manifest_of_ten_megabytes_is_too_large(api: RegistryClient, repository: str) -> None:
    api.put_blob(repository, Content(b""))
    large = manifest(annotations={"pad": "x" * 10_000_000})
    answer = api.put_manifest(repository, "large", Content(large, IMAGE_MANIFEST))
    assert answer.status_code == 413
    assert error_codes(answer)[0] in ("MANIFEST_INVALID", "SIZE_INVALID")
    assert api.manifest(repository, "large").status_code == 404


def test_a_manifest_of_ten_megabytes_without_a_length_is_too_large_as_well(
    api: RegistryClient, repository: str
) -> None:
    pieces = (b" " * 100_000 for _ in range(100))
    answer = api.http.put(
        f"/v2/{repository}/manifests/large",
        content=pieces,
        headers={"Content-Type": IMAGE_MANIFEST},
    )
    assert answer.status_code == 413
    error_codes(answer)


def test_a_manifest_of_four_megabytes_is_accepted(api: RegistryClient, repository: str) -> None:
    api.put_blob(repository, Content(b""))
    large = Content(manifest(annotations={"pad": "x" * 4_000_000}), IMAGE_MANIFEST)
    assert api.put_manifest(repository, "large", large).status_code == 201
    assert api.manifest(repository, "large").content == large.data


@pytest.mark.parametrize(
    "media_type",
    [SCHEMA_1, "application/vnd.docker.distribution.manifest.v1+json", "text/plain", "a/b/c"],
)
def test_a_media_type_that_is_no_manifest_is_refused(
    api: RegistryClient, repository: str, media_type: str
) -> None:
    body = json.dumps({"schemaVersion": 1, "name": "a/b", "tag": "1", "fsLayers": []}).encode()
    answer = api.put_manifest(repository, "bad", Content(body, media_type))
    assert answer.status_code == 400
    assert error_codes(answer) == ["MANIFEST_INVALID"]


def test_a_digest_that_does_not_match_the_body_is_refused(
    api: RegistryClient, repository: str
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    answer = api.put_manifest(repository, EMPTY, image.manifest)
    assert answer.status_code == 400
    assert error_codes(answer) == ["DIGEST_INVALID"]


def test_missing_blobs_are_named_one_by_one(api: RegistryClient, repository: str) -> None:
    image = small_image(repository)
    answer = api.put_manifest(repository, "1", image.manifest)
    assert answer.status_code == 400
    assert set(error_codes(answer)) == {"MANIFEST_BLOB_UNKNOWN"}
    for blob in image.blobs:
        assert blob.digest in answer.text


def test_blobs_of_another_repository_do_not_count(api: RegistryClient, repository: str) -> None:
    image = small_image(repository)
    api.push(f"{repository}-other", image, "1")
    answer = api.put_manifest(repository, "1", image.manifest)
    assert answer.status_code == 400
    assert set(error_codes(answer)) == {"MANIFEST_BLOB_UNKNOWN"}
    for blob in image.blobs:
        assert not api.has_blob(repository, blob.digest)


def test_more_tag_parameters_than_any_release_needs_are_refused(
    api: RegistryClient, repository: str
) -> None:
    image = small_image(repository)
    api.push(repository, image)
    answer = api.http.put(
        f"/v2/{repository}/manifests/{image.digest}",
        params={"tag": [f"t{number}" for number in range(2000)]},
        content=image.manifest.data,
        headers={"Content-Type": IMAGE_MANIFEST},
    )
    assert answer.status_code in (400, 414, 431)
    assert api.tags(repository) == []


@pytest.mark.parametrize("tag", ["", "a b", "-a", ".a", "a/b", "a" * 129, "a:b", "é", "a\x00b"])
def test_a_tag_parameter_that_is_no_tag_is_refused(
    api: RegistryClient, repository: str, tag: str
) -> None:
    image = small_image(repository)
    api.push(repository, image)
    answer = api.http.put(
        f"/v2/{repository}/manifests/{image.digest}",
        params={"tag": ["good", tag]},
        content=image.manifest.data,
        headers={"Content-Type": IMAGE_MANIFEST},
    )
    assert answer.status_code == 400
    error_codes(answer)
    assert api.tags(repository) == []  # all of them or none
