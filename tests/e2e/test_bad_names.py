"""Path tricks in names, tags and digests: never a file outside, always a 4xx with a code."""

import json

import pytest

from tests.images import small_image
from tests.raw_http import exchange, request
from tests.registry_client import RegistryClient, basic, error_codes
from tests.server import Server

DIGEST = "sha256:" + "0" * 64
NAMES = [
    "..",
    "../..",
    "a/..",
    "../a",
    "a/../b",
    "a/.",
    "./a",
    "a//b",
    "/a/b",
    "a/b/",
    "a",
    "a/b/c",
    "a/B",
    "A/b",
    "a/b_",
    "a/-b",
    "a/b..c",
    "a_b/c",
    "%2e%2e/%2e%2e",
    "a%2fb",
    "a/b%2f..%2f..%2fmetadata.db",
    "..%2f..%2f..%2fetc",
    "a/b%00",
    "%00/%00",
    "a/b%0a",
    "a/b%0d%0aX-Injected:%20yes",
    "a/b\\..\\c",
    "a\\b",
    "a/%5c..%5cb",
    "a/b%c0%ae%c0%ae",
    "a/%ff%fe",
    "a/b%",
    "a/b%zz",
    "a/b;x=1",
    "a/" + "b" * 300,
    "a" * 64 + "/b",
    "_catalog/b",
]
ENDPOINTS = [
    ("GET", "/v2/{name}/tags/list"),
    ("GET", "/v2/{name}/manifests/latest"),
    ("PUT", "/v2/{name}/manifests/latest"),
    ("GET", f"/v2/{{name}}/blobs/{DIGEST}"),
    ("POST", "/v2/{name}/blobs/uploads/"),
    ("GET", f"/v2/{{name}}/referrers/{DIGEST}"),
]
REFERENCES = [
    "..",
    ".",
    "%2e%2e",
    "..%2f..%2fserver.lock",
    "%00",
    "a%00b",
    "a%2fb",
    "\\..\\..",
    "-a",
    "a" * 129,
    "sha256:",
    "sha256:" + "0" * 63,
    "sha256:" + "0" * 63 + "G",
    "sha256:" + "0" * 64 + "0",
    "sha256:..%2f..",
    "sha256%3a..",
    "sha256:" + "0" * 62 + "%2f0",
    "sha999:" + "0" * 64,
    "SHA256:" + "0" * 64,
    "%ff%fe",
    "a%0d%0ab",
]
CODES = {"NAME_INVALID", "NAME_UNKNOWN", "UNSUPPORTED", "TAG_INVALID", "DIGEST_INVALID",
         "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_INVALID"}  # fmt: skip


def refuse(server: Server, method: str, target: str) -> str:
    """The code with which a request by the administrator is refused."""
    headers = {**basic(), "Content-Length": "0"}
    answer = exchange(server.address, request(method, target, headers), method)
    assert answer is not None, "the connection closed without an answer"
    assert 400 <= answer.status < 500, (target, answer)
    assert "x-injected" not in answer.headers
    assert answer.headers["content-type"].startswith("application/json"), answer
    return str(json.loads(answer.body)["errors"][0]["code"])


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("method", "target"), ENDPOINTS)
def test_a_name_that_is_none_is_refused(
    server: Server, name: str, method: str, target: str
) -> None:
    assert refuse(server, method, target.format(name=name)) in {"NAME_INVALID", "UNSUPPORTED"}


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("endpoint", ["manifests", "blobs", "referrers"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_a_reference_that_is_none_is_refused(
    server: Server, method: str, endpoint: str, reference: str
) -> None:
    assert refuse(server, method, f"/v2/a/b/{endpoint}/{reference}") in CODES


def test_the_refusal_of_a_name_says_what_a_name_is(api: RegistryClient) -> None:
    answer = api.http.get("/v2/only-one-part/tags/list")
    assert answer.status_code == 400
    assert "<project>/<" in answer.text, answer.text


@pytest.mark.parametrize(
    "source", ["../../etc", "a%2fb", "a//b", "x" * 300, "a/b\x00", "", "é/é", "A/B"]
)
def test_a_mount_from_a_name_that_is_none_starts_an_upload_or_is_refused(
    api: RegistryClient, repository: str, source: str
) -> None:
    answer = api.http.post(
        f"/v2/{repository}/blobs/uploads/", params={"mount": DIGEST, "from": source}
    )
    assert answer.status_code in (202, 400)


@pytest.mark.parametrize("target", ["/v2/../../etc/passwd", "/v2/%2e%2e/metadata.db", "/..", "//",
                                    "/v2/a/b/blobs/../../../metadata.db"])  # fmt: skip
def test_no_path_leads_to_a_file_of_the_server(
    server: Server, api: RegistryClient, target: str
) -> None:
    answer = exchange(server.address, request("GET", target, basic()))
    assert answer is not None
    assert 400 <= answer.status < 500
    assert b"SQLite" not in answer.body


def test_a_name_of_the_longest_kind_works_everywhere(api: RegistryClient) -> None:
    name = "p" * 63 + "/" + "s" * (255 - 64)
    image = small_image("longest")
    api.push(name, image, "t" * 128)
    api.pull(name, image, "t" * 128)
    assert api.tags(name) == ["t" * 128]


def test_who_pushes_into_a_project_that_no_push_may_make_is_told_so(api: RegistryClient) -> None:
    refused = api.http.post("/v2/a/b/blobs/uploads/")  # OpenShift: two characters at least
    assert refused.status_code == 403
    assert error_codes(refused) == ["DENIED"]
    assert "there is no project a" in refused.text

    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    assert api.http.post("/api/v1/namespaces", json=namespace).status_code == 201
    image = small_image("one letter")
    api.push("a/b", image, "1")
    api.pull("a/b", image, "1")
