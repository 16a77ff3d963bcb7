"""Conditional requests (RFC 9110, 13): an entity tag is the quoted digest."""

from tidegate.oci.digest import Digest
from tidegate.registry.request import Request


def etag(digest: Digest) -> bytes:
    """The entity tag of content."""
    return f'"{digest}"'.encode()


def none_match(request: Request, digest: Digest) -> bool:
    """Whether If-None-Match says that the client has this content.

    Digests are matched without quotes too: some clients send them bare.
    """
    header = request.header(b"if-none-match")
    if header is None:
        return False
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in header.split(","))
    return any(tag in (digest, "*") for tag in tags)


def range_applies(request: Request, digest: Digest) -> bool:
    """Whether If-Range lets a range through; content never changes under a digest."""
    header = request.header(b"if-range")
    return header is None or header.strip().strip('"') == digest
