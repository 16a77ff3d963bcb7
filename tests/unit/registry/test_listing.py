"""Tags, repositories and referrers, in pages."""

import json

import pytest

from tests.images import Content, artifact, encode, index, small_image
from tests.registry_client import RegistryClient, error_codes
from tidegate.oci import mediatype

REPOSITORY = "shop/web"
IMAGE = small_image("one")


@pytest.fixture
def tagged(client: RegistryClient) -> RegistryClient:
    client.push(REPOSITORY, IMAGE)
    for tag in ("b", "a", "C"):
        client.put_manifest(REPOSITORY, tag, IMAGE.manifest)
    return client


@pytest.mark.parametrize(
    ("query", "tags", "link"),
    [
        ("", ["C", "a", "b"], None),
        ("?n=0", [], None),
        ("?n=2", ["C", "a"], '</v2/shop/web/tags/list?n=2&last=a>; rel="next"'),
        ("?n=3", ["C", "a", "b"], None),
        ("?n=5000", ["C", "a", "b"], None),
        ("?last=D", ["a", "b"], None),
        ("?last=a", ["b"], None),
        ("?n=1&last=C", ["a"], '</v2/shop/web/tags/list?n=1&last=a>; rel="next"'),
        ("?last=z", [], None),
    ],
)
def test_tags_come_sorted_and_in_pages(
    tagged: RegistryClient, query: str, tags: list[str], link: str | None
) -> None:
    answer = tagged.http.get(f"/v2/{REPOSITORY}/tags/list{query}")
    assert answer.json() == {"name": REPOSITORY, "tags": tags}
    assert answer.headers.get("link") == link


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "1e3", "%D9%A1", "9" * 30])
def test_a_number_that_is_none_is_refused(tagged: RegistryClient, number: str) -> None:
    for path in (f"/v2/{REPOSITORY}/tags/list", "/v2/_catalog"):
        answer = tagged.http.get(f"{path}?n={number}")
        assert answer.status_code == 400
        assert error_codes(answer) == ["PAGINATION_NUMBER_INVALID"]


def test_a_repository_without_tags_has_an_empty_list_and_an_unknown_one_is_404(
    client: RegistryClient,
) -> None:
    client.push(REPOSITORY, IMAGE)
    assert client.http.get(f"/v2/{REPOSITORY}/tags/list").json()["tags"] == []
    answer = client.http.get("/v2/shop/nothing/tags/list")
    assert (answer.status_code, error_codes(answer)) == (404, ["NAME_UNKNOWN"])


def test_repositories_come_sorted_and_in_pages(client: RegistryClient) -> None:
    for name in ("b/x", "a/y", "a/x"):
        client.push(name, IMAGE)
    assert client.http.get("/v2/_catalog").json() == {"repositories": ["a/x", "a/y", "b/x"]}
    page = client.http.get("/v2/_catalog?n=2")
    assert page.json() == {"repositories": ["a/x", "a/y"]}
    assert page.headers["link"] == '</v2/_catalog?n=2&last=a/y>; rel="next"'
    assert client.http.get("/v2/_catalog?n=2&last=a/y").json() == {"repositories": ["b/x"]}
    assert client.http.get("/v2/_catalog?n=1001").status_code == 400


def referrers(client: RegistryClient, digest: str, query: str = "") -> list[dict[str, object]]:
    answer = client.http.get(f"/v2/{REPOSITORY}/referrers/{digest}{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == mediatype.OCI_INDEX
    document = answer.json()
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == mediatype.OCI_INDEX
    return list(document["manifests"])


def test_a_referrer_is_listed_with_its_type_and_annotations(client: RegistryClient) -> None:
    sbom = artifact("application/spdx+json", b"sbom", IMAGE, {"org.example": 'é "x"'})
    client.push(REPOSITORY, sbom)
    assert referrers(client, IMAGE.digest) == [
        {
            "mediaType": mediatype.OCI_MANIFEST,
            "digest": sbom.digest,
            "size": len(sbom.manifest.data),
            "artifactType": "application/spdx+json",
            "annotations": {"org.example": 'é "x"'},
        }
    ]


def test_the_filter_is_said_to_be_applied_even_when_nothing_is_left(client: RegistryClient) -> None:
    client.push(REPOSITORY, artifact("a/b", b"1", IMAGE))
    client.push(REPOSITORY, artifact("a/c+d", b"2", IMAGE))
    assert len(referrers(client, IMAGE.digest)) == 2
    assert len(referrers(client, IMAGE.digest, "?artifactType=a/c%2Bd")) == 1
    answer = client.http.get(f"/v2/{REPOSITORY}/referrers/{IMAGE.digest}?artifactType=x/y")
    assert answer.json()["manifests"] == []
    assert answer.headers["oci-filters-applied"] == "artifactType"
    other = client.http.get(f"/v2/{REPOSITORY}/referrers/{IMAGE.digest}?other=x")
    assert "oci-filters-applied" not in other.headers


def test_nobody_refers_to_an_unknown_digest_and_a_bad_one_is_400(client: RegistryClient) -> None:
    assert referrers(client, "sha512:" + "0" * 128) == []
    assert client.http.get(f"/v2/{REPOSITORY}/referrers/latest").status_code == 400


def test_an_image_without_artifact_type_shows_its_config_and_an_index_nothing(
    client: RegistryClient,
) -> None:
    subject = IMAGE.manifest.descriptor()
    image = json.loads(IMAGE.manifest.data) | {"subject": subject}
    client.push(REPOSITORY, IMAGE)
    client.put_manifest(REPOSITORY, "i", Content(encode(image), mediatype.OCI_MANIFEST))
    both = json.loads(index(IMAGE).manifest.data) | {"subject": subject}
    client.put_manifest(REPOSITORY, "x", Content(encode(both), mediatype.OCI_INDEX))
    types = {
        entry["mediaType"]: entry.get("artifactType") for entry in referrers(client, IMAGE.digest)
    }
    assert types == {
        mediatype.OCI_MANIFEST: image["config"]["mediaType"],
        mediatype.OCI_INDEX: None,
    }


def test_a_deleted_referrer_is_gone_at_once_and_a_deleted_subject_hides_none(
    client: RegistryClient,
) -> None:
    signature = artifact("a/b", b"1", IMAGE)
    client.push(REPOSITORY, IMAGE)
    client.push(REPOSITORY, signature)
    client.http.delete(f"/v2/{REPOSITORY}/manifests/{IMAGE.digest}")
    assert len(referrers(client, IMAGE.digest)) == 1
    client.http.delete(f"/v2/{REPOSITORY}/manifests/{signature.digest}")
    assert referrers(client, IMAGE.digest) == []


def test_what_a_fallback_tag_lists_is_in_the_api(client: RegistryClient) -> None:
    signature = artifact("a/b", b"1", IMAGE)
    client.push(REPOSITORY, signature)
    tag = IMAGE.digest.replace(":", "-")
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [signature.manifest.descriptor(artifactType="a/b")],
    }
    fallback = Content(encode(document), mediatype.OCI_INDEX)
    assert client.put_manifest(REPOSITORY, tag, fallback).status_code == 201
    assert [entry["digest"] for entry in referrers(client, IMAGE.digest)] == [signature.digest]


def test_a_long_list_comes_in_pages_that_clients_can_read(client: RegistryClient) -> None:
    pushed = set()
    for number in range(6):
        big = artifact("a/b", b"%d" % number, IMAGE, {"pad": "x" * 1_000_000})
        client.push(REPOSITORY, big)
        pushed.add(big.digest)
    path = f"/v2/{REPOSITORY}/referrers/{IMAGE.digest}?artifactType=a/b"
    seen: list[str] = []
    pages = 0
    while path:
        answer = client.http.get(path)
        assert len(answer.content) < 4 * 1024 * 1024
        seen += [entry["digest"] for entry in answer.json()["manifests"]]
        pages += 1
        path = answer.headers.get("link", "").partition(">")[0].lstrip("<")
    assert pages > 1
    assert len(seen) == len(set(seen))
    assert set(seen) == pushed
