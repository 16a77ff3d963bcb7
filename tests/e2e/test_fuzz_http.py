"""Requests put together from valid and broken parts: never a 5xx, never a dead worker.

Every 4xx below /v2 carries a JSON error with a code that the specification, or the reference
registry, knows; an answer to HEAD carries no body.
"""

import json
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.images import IMAGE_INDEX, IMAGE_MANIFEST, index, small_image
from tests.raw_http import exchange, request
from tests.registry_client import RegistryClient, basic, client_of
from tests.server import Server

EXAMPLES = 3000
IMAGE, OTHER = small_image("fuzz"), small_image("other", "arm64")
INDEX = index(IMAGE, OTHER)

# distribution-spec, "Error Codes", and those of the reference registry that clients know
CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID",
    "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
    "RANGE_INVALID", "TAG_INVALID", "PAGINATION_NUMBER_INVALID", "MANIFEST_UNVERIFIED",
}  # fmt: skip

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
NAMES = ["fuzz/app", "fuzz/other", "fuzz/none", "fuzz", "a/b/c", "Fuzz/App", "..", "a%2fb", "a/..",
         "a/" + "b" * 300, "%00/x", ""]  # fmt: skip
DIGESTS = [IMAGE.digest, INDEX.digest, IMAGE.blobs[0].digest, IMAGE.blobs[1].digest,
           "sha256:" + "0" * 64, "sha512:" + "0" * 128, "sha256:short", "sha256:" + "G" * 64,
           "md5:" + "0" * 32, "sha256:..%2f..", "%73ha256:" + "0" * 64]  # fmt: skip
TAGS = ["latest", "multi", "none", "-bad", "a" * 129, "a%00b", "..", "%ff"]
PARAMETERS = [
    "digest={digest}", "digest", "digest={digest}&digest=x", "digest-algorithm=sha512",
    "digest-algorithm=none", "mount={digest}", "mount={digest}&from={name}", "from={name}",
    "n=0", "n=1", "n=-1", "n=x", "n=99999999999999999999", "last=latest", "last=%00", "last=%ff",
    "tag=latest", "tag=a&tag=b", "tag=%00", "artifactType=a/b", "artifactType=%ff",
    "ns=example.com", "_state=x", "&&&", "=", "%",
]  # fmt: skip
HEADERS = {
    "Content-Type": [IMAGE_MANIFEST, IMAGE_INDEX, f"{IMAGE_MANIFEST}; charset=utf-8", "x", ""],
    "Accept": ["*/*", "text/html", f"{IMAGE_MANIFEST};q=0", ","],
    "Range": ["bytes=0-0", "bytes=5-2", "bytes=-0", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2",
              "bytes=99999999999999999999-"],
    "Content-Range": ["0-9", "5-2", "bytes 0-9/10", "99999999999999999999-1", "\xd9\xa0-\xd9\xa9"],
    "If-None-Match": ["*", IMAGE.digest, f'"{IMAGE.digest}"', '"'],
    "If-Match": ["x"],
    "If-Range": ["x"],
    "If-Modified-Since": ["yesterday"],
    "Expect": ["100-continue", "else"],
    "Content-Encoding": ["gzip"],
    "Accept-Encoding": ["gzip"],
    "X-Forwarded-Host": ["evil.example"],
    "X-Forwarded-Proto": ["gopher"],
    "Forwarded": ["host=", 'for="[::1'],
    "X-Request-Id": ["x" * 5000, "a\tb"],
    "Authorization": ["Bearer x.y.z", "Basic x"],
    "Connection": ["close", "upgrade"],
    "Upgrade": ["websocket"],
    "Cookie": ["x"],
    "Docker-Content-Digest": ["x"],
}  # fmt: skip
FIELDS = [(name, value) for name, values in HEADERS.items() for value in values]
BODIES = [b"", b"x", b"{}", b"[]", b"null", b"\xff\xfe", b"x" * 70_000, b"[" * 5000,
          IMAGE.manifest.data, INDEX.manifest.data, IMAGE.blobs[0].data]  # fmt: skip

names = st.sampled_from(NAMES)
digests = st.sampled_from(DIGESTS)
noise = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"),
                max_size=30)  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """One request, made of parts."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    anonymous: bool

    def message(self) -> bytes:
        headers = {} if self.anonymous else basic()
        headers |= self.headers
        headers["Content-Length"] = str(len(self.body))
        return request(self.method, self.target.encode("latin-1"), headers, self.body)


@st.composite
def targets(draw: st.DrawFn, uploads: tuple[str, ...]) -> str:
    """A path under /v2 with a query, both perhaps broken."""
    name, digest = draw(names), draw(digests)
    path = draw(
        st.one_of(
            st.sampled_from(["/v2/", "/v2", "/v2/_catalog", "/v2//", "/v2/x"]),
            st.just(f"/v2/{name}/tags/list"),
            st.sampled_from(TAGS + DIGESTS).map(
                lambda reference: f"/v2/{name}/manifests/{reference}"
            ),
            st.just(f"/v2/{name}/blobs/{digest}"),
            st.just(f"/v2/{name}/referrers/{digest}"),
            st.just(f"/v2/{name}/blobs/uploads/"),
            st.sampled_from(uploads),
            noise.map(lambda junk: f"/v2/{junk}"),
            noise.map(lambda junk: f"/v2/fuzz/app/{junk}"),
            st.sampled_from(
                ["/openshift/token", "/healthz", "/livez", "/readyz", "/", "/favicon.ico"]
            ),
        )
    )
    queries = draw(st.lists(st.one_of(st.sampled_from(PARAMETERS), noise), max_size=3))
    query = "&".join(queries).replace("{digest}", digest).replace("{name}", name)
    return f"{path}?{query}" if queries else path


@st.composite
def probes(draw: st.DrawFn, uploads: tuple[str, ...]) -> Probe:
    return Probe(
        method=draw(st.sampled_from(METHODS)),
        target=draw(targets(uploads)),
        headers=dict(draw(st.lists(st.sampled_from(FIELDS), max_size=4))),
        body=draw(st.one_of(st.sampled_from(BODIES), st.binary(max_size=200))),
        anonymous=draw(st.booleans()) and draw(st.booleans()),
    )


@pytest.fixture(scope="module")
def uploads(server: Server) -> tuple[str, ...]:
    """Locations of uploads: open ones, and some that are none."""
    with client_of(server) as client:
        client.push("fuzz/app", INDEX, "multi")
        client.push("fuzz/app", IMAGE, "latest")
        opened = [client.open_upload("fuzz/app") for _ in range(20)]
    return (*opened, "/v2/fuzz/app/blobs/uploads/" + "0" * 32, "/v2/fuzz/app/blobs/uploads/x")


def examine(server: Server, probe: Probe) -> None:
    """Send a probe and judge the answer."""
    answer = exchange(server.address, probe.message(), probe.method)
    assert answer is not None, "the connection closed without an answer"
    assert answer.status < 500, answer
    if probe.method == "HEAD":
        assert answer.body == b""
    elif answer.status >= 400 and probe.target.split("?")[0].startswith("/v2/"):
        assert answer.headers["content-type"].startswith("application/json"), answer
        for error in json.loads(answer.body)["errors"]:
            assert error["code"] in CODES, answer
    if answer.status == 401:
        assert answer.headers["www-authenticate"]


def test_no_request_gets_a_5xx_and_every_refusal_has_a_code(
    server: Server, api: RegistryClient, uploads: tuple[str, ...]
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(probe=probes(uploads))
    def fuzz(probe: Probe) -> None:
        examine(server, probe)

    fuzz()


def test_no_noise_on_the_wire_ends_a_worker(server: Server, api: RegistryClient) -> None:
    pieces = [b"GET /v2/ HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n",
              b"Content-Length: 5\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\x00", b"\xff" * 100,
              b"PATCH /v2/a/b/blobs/uploads/x HTTP/1.1\r\n", b"Expect: 100-continue\r\n", b" ",
              b"HTTP/1.0\r\n", b"Connection: keep-alive\r\n", b"ffffffffffffffff\r\n"]  # fmt: skip

    @settings(
        max_examples=EXAMPLES // 5,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(message=st.lists(st.sampled_from(pieces), min_size=1, max_size=12).map(b"".join))
    def fuzz(message: bytes) -> None:
        # a blank line, then the end: the server need not wait for the rest of a body
        answer = exchange(server.address, message + b"\r\n\r\n", last=True)
        assert answer is None or answer.status < 500 or answer.status in (501, 505)

    fuzz()
