"""Rules of the distribution specification that a naive implementation gets wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.images import (
    IMAGE_INDEX,
    IMAGE_MANIFEST,
    Content,
    Pushable,
    artifact,
    digest_of,
    image,
    index,
    layer,
    small_image,
)
from tests.registry_client import RegistryClient, error_codes
from tests.server import Server

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SBOM, NOTE = "application/vnd.example.sbom", "application/vnd.example.note"


def test_an_interrupted_chunked_upload_is_found_where_it_stands(
    api: RegistryClient, repository: str
) -> None:
    location = api.open_upload(repository)
    answer = api.append(location, bytes(100), "0-99")
    assert (answer.status_code, answer.headers["range"]) == (202, "0-99")
    assert api.append(location, bytes(100), "200-299").status_code == 416
    status = api.status(location)
    assert (status.status_code, status.headers["range"]) == (204, "0-99")
    assert api.append(location, bytes(100), "100-199").status_code == 202


def test_a_location_keeps_working_when_the_digest_is_added_to_its_query(
    api: RegistryClient, repository: str
) -> None:
    location = api.open_upload(repository)
    joined = f"{location}{'&' if '?' in location else '?'}some=thing"
    answer = api.close_upload(joined, digest_of(b"tide"), b"tide")
    assert answer.status_code == 201


def test_locations_are_relative_so_that_any_proxy_can_stand_in_front(
    api: RegistryClient, repository: str
) -> None:
    assert api.open_upload(repository).startswith("/v2/")
    answer = api.put_blob(repository, Content(b"tide"))
    assert answer.headers["location"].startswith("/v2/")


def test_a_mount_makes_the_blob_readable_and_a_failed_one_starts_an_upload(
    api: RegistryClient, repository: str
) -> None:
    blob = Content(repository.encode())
    assert api.put_blob(repository, blob).status_code == 201
    path = f"/v2/{repository}-two/blobs/uploads/"
    mounted = api.http.post(path, params={"mount": blob.digest, "from": repository})
    assert mounted.status_code == 201
    assert mounted.headers["docker-content-digest"] == blob.digest
    assert api.http.get(mounted.headers["location"]).content == blob.data
    missing = api.http.post(path, params={"mount": digest_of(b"none"), "from": repository})
    assert missing.status_code == 202
    assert api.close_upload(missing.headers["location"], digest_of(b"x"), b"x").status_code == 201


def test_a_blob_is_readable_only_through_a_repository_that_has_it(
    api: RegistryClient, repository: str
) -> None:
    blob = Content(repository.encode())
    assert api.put_blob(repository, blob).status_code == 201
    answer = api.blob(f"{repository}-two", blob.digest)
    assert answer.status_code == 404
    assert error_codes(answer) == ["BLOB_UNKNOWN"]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", DOCKER_MANIFEST])
def test_a_manifest_is_served_as_it_was_pushed_whatever_is_accepted(
    api: RegistryClient, repository: str, accept: str
) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed, "1")
    answer = api.manifest(repository, "1", accept)
    assert answer.status_code == 200
    assert answer.content == pushed.manifest.data
    assert answer.headers["content-type"] == IMAGE_MANIFEST
    assert answer.headers["docker-content-digest"] == pushed.digest
    assert answer.headers["etag"] == f'"{pushed.digest}"'


@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', '"x", "{}"', "*"])
def test_a_known_manifest_is_not_sent_again(
    api: RegistryClient, repository: str, form: str
) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed, "1")
    path = f"/v2/{repository}/manifests/1"
    answer = api.http.get(path, headers={"If-None-Match": form.format(pushed.digest)})
    assert (answer.status_code, answer.content) == (304, b"")
    other = api.http.get(path, headers={"If-None-Match": f'"{digest_of(b"other")}"'})
    assert other.status_code == 200


def test_sha512_content_is_pushed_tagged_and_pulled(api: RegistryClient, repository: str) -> None:
    one = layer({"a": repository.encode()})
    pushed = image(Content(one.data, one.media_type, "sha512"), algorithm="sha512")
    assert pushed.digest.startswith("sha512:")
    for blob in pushed.blobs:
        assert api.put_blob(repository, blob).status_code == 201
    path = f"/v2/{repository}/manifests/{pushed.digest}?tag=a&tag=b"
    answer = api.http.put(
        path, content=pushed.manifest.data, headers={"Content-Type": IMAGE_MANIFEST}
    )
    assert answer.status_code == 201
    assert sorted(answer.headers.get_list("oci-tag", split_commas=True)) == ["a", "b"]
    for reference in (pushed.digest, "a", "b"):
        answer = api.manifest(repository, reference)
        assert answer.headers["docker-content-digest"] == pushed.digest
        assert answer.content == pushed.manifest.data
    api.pull(repository, pushed, "a")


def test_docker_schema_2_with_a_foreign_layer_needs_only_what_is_distributable(
    api: RegistryClient, repository: str
) -> None:
    config = Content(b'{"architecture":"amd64","os":"linux"}', DOCKER_CONFIG)
    own = Content(layer({"a": b"1"}).data, DOCKER_LAYER)
    foreign = Content(b"not here", FOREIGN_LAYER)
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config.descriptor(),
        "layers": [foreign.descriptor(urls=["https://example.com/layer"]), own.descriptor()],
    }
    manifest = Content(json.dumps(document).encode(), DOCKER_MANIFEST)
    api.push(repository, Pushable(manifest, (config, own)), "docker")
    assert api.manifest(repository, "docker").headers["content-type"] == DOCKER_MANIFEST


def test_an_empty_list_of_tags_is_a_list_and_unknown_repositories_are_unknown(
    api: RegistryClient, repository: str
) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed)
    assert api.tags(repository) == []
    answer = api.http.get(f"/v2/{repository}-none/tags/list")
    assert answer.status_code == 404
    assert error_codes(answer) == ["NAME_UNKNOWN"]


@pytest.fixture
def tagged(api: RegistryClient, repository: str) -> str:
    """A repository with the tags b, a, C."""
    pushed = small_image(repository)
    for tag in ("b", "a", "C"):
        api.push(repository, pushed, tag)
    return repository


@pytest.mark.parametrize(
    ("query", "tags", "more"),
    [("", ["C", "a", "b"], False), ("n=0", [], False), ("n=2", ["C", "a"], True),
     ("n=3", ["C", "a", "b"], False), ("last=D", ["a", "b"], False), ("last=b", [], False),
     ("n=1&last=C", ["a"], True), ("n=1000&last=", ["C", "a", "b"], False)],
)  # fmt: skip
def test_tags_are_listed_in_ascii_order_in_pages(
    api: RegistryClient, tagged: str, query: str, tags: list[str], more: bool
) -> None:
    answer = api.http.get(f"/v2/{tagged}/tags/list?{query}")
    assert answer.status_code == 200
    assert answer.json() == {"name": tagged, "tags": tags}
    assert ("link" in answer.headers) is more


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "99999999999999999999999", "%00", "٣"])
def test_a_number_of_tags_that_is_none_is_refused(
    api: RegistryClient, tagged: str, number: str
) -> None:
    answer = api.http.get(f"/v2/{tagged}/tags/list?n={number}")
    assert answer.status_code == 400
    assert error_codes(answer) == ["PAGINATION_NUMBER_INVALID"]


def walk(api: RegistryClient, first: str, key: Callable[[dict[str, Any]], list[str]]) -> list[str]:
    """All entries of a list, page by page along its Link headers."""
    found: list[str] = []
    target: str | None = first
    while target is not None:
        answer = api.http.get(target)
        assert answer.status_code == 200, answer.text
        found += key(answer.json())
        target = answer.links["next"]["url"] if "next" in answer.links else None
    return found


def test_pages_of_tags_hold_each_tag_once(api: RegistryClient, repository: str) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed)
    tags = sorted(f"v1.{number}-rc_{number % 3}" for number in range(53))
    for tag in tags:
        assert api.put_manifest(repository, tag, pushed.manifest).status_code == 201
    for size in (1, 7, 52, 53, 54):
        first = f"/v2/{repository}/tags/list?n={size}"
        assert walk(api, first, lambda page: page["tags"]) == tags


def test_pages_of_the_catalog_hold_each_repository_once(
    api: RegistryClient, repository: str
) -> None:
    project = repository.partition("/")[0]
    expected = sorted(f"{project}/r{number}" for number in range(12))
    for name in expected:
        api.push(name, small_image("catalog"), "1")
    listed = walk(api, "/v2/_catalog?n=5", lambda page: page["repositories"])
    assert listed == sorted(set(listed))
    assert [name for name in listed if name.startswith(f"{project}/")] == expected


def referrers(api: RegistryClient, repository: str, subject: str, query: str = "") -> list[str]:
    """Digests of the referrers of a subject, in the order listed."""
    answer = api.http.get(f"/v2/{repository}/referrers/{subject}{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == IMAGE_INDEX
    if query:
        assert answer.headers["oci-filters-applied"] == "artifactType"
    document = answer.json()
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == IMAGE_INDEX
    return [each["digest"] for each in document["manifests"]]


def test_referrers_are_listed_before_after_and_without_their_subject(
    api: RegistryClient, repository: str
) -> None:
    subject = small_image(repository)
    first = artifact(SBOM, b"1", subject, {"made": "by hand"})
    for blob in first.blobs:
        assert api.put_blob(repository, blob).status_code == 201
    answer = api.put_manifest(repository, first.digest, first.manifest)
    assert answer.status_code == 201
    assert answer.headers["oci-subject"] == subject.digest
    assert referrers(api, repository, subject.digest) == [first.digest]
    api.push(repository, subject, "1")
    second = artifact(NOTE, b"2", subject)
    api.push(repository, second, "note")
    both = sorted([first.digest, second.digest])
    assert sorted(referrers(api, repository, subject.digest)) == both
    assert referrers(api, repository, subject.digest, f"?artifactType={SBOM}") == [first.digest]
    assert referrers(api, repository, subject.digest, "?artifactType=no/thing") == []
    assert api.http.delete(f"/v2/{repository}/manifests/{subject.digest}").status_code == 202
    assert sorted(referrers(api, repository, subject.digest)) == both
    assert api.http.delete(f"/v2/{repository}/manifests/{first.digest}").status_code == 202
    assert referrers(api, repository, subject.digest) == [second.digest]


def test_a_descriptor_of_a_referrer_says_what_its_manifest_says(
    api: RegistryClient, repository: str
) -> None:
    subject = small_image(repository)
    plain = image(layer({"b": b"2"}))
    document = json.loads(plain.manifest.data)
    document["subject"] = subject.manifest.descriptor()
    without_type = Pushable(Content(json.dumps(document).encode(), IMAGE_MANIFEST), plain.blobs)
    listing = {**json.loads(index().manifest.data), "subject": subject.manifest.descriptor()}
    as_index = Pushable(Content(json.dumps(listing).encode(), IMAGE_INDEX))
    with_type = artifact(SBOM, b"1", subject, {"made": "by hand"})
    for pushable in (without_type, as_index, with_type):
        api.push(repository, pushable)
    answer = api.http.get(f"/v2/{repository}/referrers/{subject.digest}")
    entries = {each["digest"]: each for each in answer.json()["manifests"]}
    assert entries[with_type.digest]["artifactType"] == SBOM
    assert entries[with_type.digest]["annotations"] == {"made": "by hand"}
    assert entries[with_type.digest]["size"] == len(with_type.manifest.data)
    # without a type, an image has that of its config, and an index has none
    assert entries[without_type.digest]["artifactType"] == plain.blobs[0].media_type
    assert "artifactType" not in entries[as_index.digest]


def test_referrers_of_nobody_and_of_no_digest(api: RegistryClient, repository: str) -> None:
    nobody = digest_of(b"nobody")
    assert referrers(api, repository, nobody, f"?artifactType={SBOM}") == []
    answer = api.http.get(f"/v2/{repository}/referrers/sha256:none")
    assert answer.status_code == 400
    assert error_codes(answer) == ["DIGEST_INVALID"]


def test_more_referrers_than_one_page_holds_are_all_found(
    api: RegistryClient, repository: str
) -> None:
    subject = small_image(repository)
    expected = []
    for number in range(30):
        each = artifact(SBOM, b"same", subject, {"pad": f"{number}" + "x" * 300_000})
        api.push(repository, each)
        expected.append(each.digest)
    first = f"/v2/{repository}/referrers/{subject.digest}"
    assert len(api.http.get(first).content) <= 4 << 20
    found = walk(api, first, lambda page: [each["digest"] for each in page["manifests"]])
    assert sorted(found) == sorted(expected)


def test_referrers_kept_in_a_fallback_tag_are_adopted(api: RegistryClient, repository: str) -> None:
    # what a client leaves behind that pushed while the registry had no referrers API
    subject, other = small_image(repository), artifact(NOTE, b"unrelated")
    attached = artifact(SBOM, b"1", subject)
    api.push(repository, subject, "1")
    api.push(repository, attached)
    api.push(repository, other)
    entries = [attached.manifest.descriptor(artifactType=SBOM),
               other.manifest.descriptor(artifactType=NOTE)]  # fmt: skip
    fallback = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": entries}
    tag = subject.digest.replace(":", "-")
    api.push(repository, Pushable(Content(json.dumps(fallback).encode(), IMAGE_INDEX)), tag)
    # only what names the subject itself is its referrer
    assert referrers(api, repository, subject.digest) == [attached.digest]


def test_deletes_are_seen_at_once_and_undone_by_a_new_push(
    api: RegistryClient, repository: str
) -> None:
    pushed = small_image(repository)
    for tag in ("1", "2"):
        api.push(repository, pushed, tag)
    assert api.http.delete(f"/v2/{repository}/manifests/1").status_code == 202
    assert api.manifest(repository, "1").status_code == 404
    api.pull(repository, pushed, "2")
    assert api.http.delete(f"/v2/{repository}/manifests/{pushed.digest}").status_code == 202
    assert api.manifest(repository, "2").status_code == 404
    again = api.http.delete(f"/v2/{repository}/manifests/{pushed.digest}")
    assert again.status_code == 404
    assert error_codes(again) == ["MANIFEST_UNKNOWN"]
    for blob in pushed.blobs:
        assert api.http.delete(f"/v2/{repository}/blobs/{blob.digest}").status_code == 202
        assert api.http.delete(f"/v2/{repository}/blobs/{blob.digest}").status_code == 404
    api.push(repository, pushed, "1")
    api.pull(repository, pushed, "1")


def test_a_head_says_what_a_get_would(api: RegistryClient, repository: str) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed, "1")
    for path in ("manifests/1", f"manifests/{pushed.digest}", f"blobs/{pushed.blobs[1].digest}"):
        head, full = (
            api.http.request(method, f"/v2/{repository}/{path}") for method in ("HEAD", "GET")
        )
        assert head.content == b""
        for name in ("content-length", "content-type", "docker-content-digest", "etag"):
            assert head.headers[name] == full.headers[name], name
    missing = api.http.head(f"/v2/{repository}/manifests/none")
    assert (missing.status_code, missing.content) == (404, b"")


def test_the_version_check_and_health_answers(server: Server, api: RegistryClient) -> None:
    answer = api.http.get("/v2/")
    assert answer.status_code == 200
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    assert answer.json() == {}
    with RegistryClient(server.url, credentials=None) as anyone:
        for path in ("/healthz", "/livez", "/readyz"):
            assert anyone.http.get(path).status_code == 200
