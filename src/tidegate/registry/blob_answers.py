"""The answer to a pull of a blob, wherever its bytes are: whole, a range, or nothing new."""

from collections.abc import Awaitable, Callable

from tidegate.oci.digest import Digest
from tidegate.oci.errors import RangeInvalid
from tidegate.oci.range import parse_range
from tidegate.registry.conditions import etag, none_match, range_applies
from tidegate.registry.errors import RangeUnsatisfiable
from tidegate.registry.request import Request
from tidegate.registry.response import Headers, Part, Response

IMMUTABLE = (b"cache-control", b"max-age=31536000, immutable")

OpenPart = Callable[[int, int], Awaitable[Part]]
"""Opens so many bytes of the blob, from an offset on."""


def unchanged(request: Request, digest: Digest) -> Response | None:
    """304 for who has the blob; None for everybody else."""
    return Response(304, _headers(digest)) if none_match(request, digest) else None


async def answered(request: Request, digest: Digest, size: int, open_part: OpenPart) -> Response:
    """200, or 206 for a range, 416 past the end; only a GET opens anything."""
    headers = _headers(digest)
    headers.append((b"content-type", b"application/octet-stream"))
    window = wanted_range(request, digest, size)
    status, (offset, count) = (200, (0, size)) if window is None else (206, window)
    headers.append((b"content-length", str(count).encode()))
    if window is not None:
        span = f"bytes {offset}-{offset + count - 1}/{size}"
        headers.append((b"content-range", span.encode()))
    if request.method == "HEAD":
        return Response(status, headers)
    return Response(status, headers, window=await open_part(offset, count))


def _headers(digest: Digest) -> Headers:
    return [
        (b"docker-content-digest", digest.encode()),
        (b"etag", etag(digest)),
        (b"accept-ranges", b"bytes"),
        IMMUTABLE,
    ]


def wanted_range(request: Request, digest: Digest, size: int) -> tuple[int, int] | None:
    """Offset and count of what is asked for; None for all of it. `RangeUnsatisfiable`."""
    header = request.header(b"range")
    if header is None or not range_applies(request, digest):
        return None
    try:
        return parse_range(header, size)
    except RangeInvalid as error:
        span = (b"content-range", f"bytes */{size}".encode())  # RFC 9110, 14.4
        raise RangeUnsatisfiable(str(error), [span]) from error
