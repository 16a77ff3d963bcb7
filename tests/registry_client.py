"""A minimal OCI client over httpx that does exactly what a test says, right or wrong.

Requests go as they are given: no retry, no redirect, no raised status. `push` is the one verb that
insists, since most tests need something to be there.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from tests.images import IMAGE_INDEX, IMAGE_MANIFEST, Content, Pushable, digest_of
from tests.server import PASSWORD, TRUST, USERNAME, Server

TIMEOUT = httpx.Timeout(60.0)
ACCEPTED = ", ".join(  # what container clients send
    (
        IMAGE_MANIFEST,
        IMAGE_INDEX,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


class RegistryClient:
    """Speaks to one registry as one user, with Basic credentials, a bearer token, or neither."""

    def __init__(
        self,
        url: str,
        *,
        credentials: tuple[str, str] | None = (USERNAME, PASSWORD),
        bearer: str | None = None,
        verify: Any = TRUST,
    ) -> None:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self.url = url
        self.http = httpx.Client(
            base_url=url,
            auth=None if bearer else credentials,
            headers=headers,
            timeout=TIMEOUT,
            trust_env=False,
            verify=verify,
        )

    def __enter__(self) -> "RegistryClient":
        return self

    def __exit__(self, *ignored: object) -> None:
        self.http.close()

    def token(self, *scopes: str) -> str:
        """A token for the scopes, as a client gets one after a challenge."""
        challenge = httpx.get(f"{self.url}/v2/", trust_env=False, verify=TRUST).headers[
            "www-authenticate"
        ]
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        answer = self.http.get(
            wanted["realm"], params={"service": wanted.get("service", ""), "scope": list(scopes)}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    # blobs

    def open_upload(self, repository: str) -> str:
        """The location of a new upload session."""
        answer = self.http.post(f"/v2/{repository}/blobs/uploads/")
        assert answer.status_code == 202, describe(answer)
        return answer.headers["location"]

    def append(
        self, location: str, data: bytes | Iterator[bytes], content_range: str | None = None
    ) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"}
        if content_range is not None:
            headers["Content-Range"] = content_range
        return self.http.patch(location, content=data, headers=headers)

    def close_upload(
        self, location: str, digest: str, data: bytes = b"", content_range: str | None = None
    ) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"}
        if content_range is not None:
            headers["Content-Range"] = content_range
        return self.http.put(with_digest(location, digest), content=data, headers=headers)

    def status(self, location: str) -> httpx.Response:
        return self.http.get(location)

    def received(self, location: str) -> int:
        """Bytes that the registry has of an upload whose first byte arrived."""
        answer = self.status(location)
        assert answer.status_code == 204, describe(answer)
        first, last = answer.headers["range"].split("-")
        assert first == "0", answer.headers["range"]
        return int(last) + 1

    def put_blob(self, repository: str, content: Content) -> httpx.Response:
        """One POST and one PUT, as the specification's simplest way in."""
        return self.close_upload(self.open_upload(repository), content.digest, content.data)

    def blob(self, repository: str, digest: str, **headers: str) -> httpx.Response:
        return self.http.get(f"/v2/{repository}/blobs/{digest}", headers=headers)

    def has_blob(self, repository: str, digest: str) -> bool:
        answer = self.http.head(f"/v2/{repository}/blobs/{digest}")
        assert answer.status_code in (200, 404), describe(answer)
        return answer.status_code == 200

    # manifests

    def put_manifest(self, repository: str, reference: str, manifest: Content) -> httpx.Response:
        return self.http.put(
            f"/v2/{repository}/manifests/{reference}",
            content=manifest.data,
            headers={"Content-Type": manifest.media_type},
        )

    def manifest(self, repository: str, reference: str, accept: str = ACCEPTED) -> httpx.Response:
        return self.http.get(f"/v2/{repository}/manifests/{reference}", headers={"Accept": accept})

    def tags(self, repository: str) -> list[str]:
        answer = self.http.get(f"/v2/{repository}/tags/list")
        assert answer.status_code == 200, describe(answer)
        return list(answer.json()["tags"])

    def push(self, repository: str, pushable: Pushable, reference: str | None = None) -> None:
        """Push children, blobs and manifest, every answer a success."""
        for child in pushable.children:
            self.push(repository, child)
        for blob in pushable.blobs:
            answer = self.put_blob(repository, blob)
            assert answer.status_code == 201, describe(answer)
        answer = self.put_manifest(repository, reference or pushable.digest, pushable.manifest)
        assert answer.status_code == 201, describe(answer)

    def pull(self, repository: str, pushable: Pushable, reference: str | None = None) -> None:
        """Read everything back and compare each byte and digest."""
        answer = self.manifest(repository, reference or pushable.digest)
        assert answer.status_code == 200, describe(answer)
        assert answer.content == pushable.manifest.data
        assert answer.headers["content-type"] == pushable.manifest.media_type
        for blob in pushable.blobs:
            received = self.blob(repository, blob.digest)
            assert received.status_code == 200, describe(received)
            assert digest_of(received.content, blob.algorithm) == blob.digest
        for child in pushable.children:
            self.pull(repository, child)


def client_of(server: Server, **options: Any) -> RegistryClient:
    """A client of a server that the test started, as its administrator unless told otherwise."""
    return RegistryClient(server.url, **options)


def basic(username: str = USERNAME, password: str = PASSWORD) -> dict[str, str]:
    """Basic credentials as a header, for requests made by hand."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def with_digest(location: str, digest: str) -> str:
    """The location with the digest added to whatever query it already has."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def error_codes(answer: httpx.Response) -> list[str]:
    """The codes of an OCI error body, which has to have the specified shape."""
    assert answer.headers["content-type"].partition(";")[0] == "application/json", answer.headers
    document: Mapping[str, Any] = json.loads(answer.content)
    assert document["errors"], document
    for error in document["errors"]:
        assert isinstance(error["code"], str), document
        assert isinstance(error.get("message", ""), str), document
    return [str(error["code"]) for error in document["errors"]]


def describe(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}"
