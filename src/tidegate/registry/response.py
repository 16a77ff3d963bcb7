"""What an endpoint answers, and how it is written to an ASGI `send`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tidegate.observability.request_id import REQUEST_ID
from tidegate.registry.request import Scope, Send
from tidegate.storage.blobs import OpenBlob
from tidegate.wire.send import send_file

Headers = list[tuple[bytes, bytes]]

API_VERSION = (b"docker-distribution-api-version", b"registry/2.0")
"""Sent with every answer: Docker's clients take its absence for "no registry here"."""

SIGNATURES = (b"x-registry-supports-signatures", b"1")
"""Sent with every answer, as OpenShift does: podman and skopeo then keep signatures of images here,
by `/extensions/v2/`, and look for them with each image that they copy."""


class Part(Protocol):
    """A body of `count` bytes that writes itself, and lets go of what it was read from."""

    @property
    def count(self) -> int: ...

    async def write_to(self, scope: Scope, send: Send) -> None: ...


@dataclass(slots=True)
class Response:
    """Status, headers and a body: bytes at hand, or a part of a blob."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    window: Part | None = None

    @property
    def size(self) -> int:
        """Bytes of body that this answer carries."""
        return self.window.count if self.window is not None else len(self.body)


@dataclass(slots=True, frozen=True)
class Window:
    """`count` bytes of a blob from `offset` on; sending it closes the blob."""

    blob: OpenBlob
    offset: int
    count: int

    async def write_to(self, scope: Scope, send: Send) -> None:
        """Send it: by the kernel where the blob is a file, else piece by piece."""
        with self.blob as blob:
            if blob.fd is not None:
                await send_file(scope, send, blob.fd, self.offset, self.count)
                return
            async for piece in blob.read(self.offset, self.count):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


encode_json = msgspec.json.Encoder(enc_hook=str).encode
"""JSON as bytes; digests, names and tags, which are kinds of `str`, as text."""


def json_response(
    status: int, document: object, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    """An answer with a JSON body."""
    return Response(
        status, [(b"content-type", b"application/json"), *headers], encode_json(document)
    )


def link_to_next(path: str, query: Mapping[str, str | int]) -> tuple[bytes, bytes]:
    """The `Link` header of a page that has a next one (RFC 8288); the target is relative."""
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    return (b"link", f'<{path}?{parameters}>; rel="next"'.encode())


def warning(text: str) -> tuple[bytes, bytes]:
    """A `Warning` header that clients print (distribution-spec, "Warnings")."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return (b"warning", f'299 - "{quoted}"'.encode("ascii", "replace")[:4096])


async def write(response: Response, scope: Scope, send: Send) -> None:
    """Send `response`; a HEAD gets the same headers and no body."""
    length = response.size
    headers = [
        API_VERSION,
        SIGNATURES,
        (b"x-request-id", REQUEST_ID.get().encode()),
        *response.headers,
    ]
    if response.status not in (204, 304) and not _declares_length(response.headers):
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.window is not None and length:
        await response.window.write_to(scope, send)
        return
    body = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


def _declares_length(headers: Headers) -> bool:
    return any(name == b"content-length" for name, _ in headers)
