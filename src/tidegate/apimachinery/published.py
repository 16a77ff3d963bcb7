"""Documents that say what the server serves, and which of their forms a client takes.

Discovery and OpenAPI are computed from the declared resources, once per process: each is bytes, a
content type and an ETag by which a client asks whether its copy is still right. What is asked of
the answers is left to their owners; nothing here knows a resource.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.errors import NotAcceptable
from tidegate.apimachinery.http.negotiation import Clause, clauses

JSON = "application/json"

_ENCODE = msgspec.json.Encoder()


class Published(NamedTuple):
    """A document as it is sent: 200 with these, or 304 with the ETag when it is `held`."""

    content_type: str
    body: bytes
    etag: str

    def held(self, if_none_match: str) -> bool:
        """Whether a client with this If-None-Match header has the document already."""
        held = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
        return self.etag in held or "*" in held


def published(content_type: str, body: bytes) -> Published:
    """The document with its ETag, which covers the form too: forms share one address."""
    digest = hashlib.sha256(content_type.encode() + b"\n" + body).hexdigest().upper()
    return Published(content_type, body, f'"{digest}"')


def json_document(document: object, content_type: str = JSON) -> Published:
    return published(content_type, _ENCODE.encode(document))


def chosen(accept: str, offers: Sequence[str]) -> str:
    """The first of the offered content types that the Accept header takes; none given, the first.

    Raises `NotAcceptable`, in the words of Kubernetes, when it takes none.
    """
    if not accept.strip():
        return offers[0]
    for wanted in clauses(accept):
        for offer in offers:
            if _takes(wanted, clauses(offer)[0]):
                return offer
    raise NotAcceptable("only the following media types are accepted: " + ", ".join(offers))


def _takes(wanted: Clause, offered: Clause) -> bool:
    """Whether the offer is meant; `as`, `g` and `v` choose between objects of one media type."""
    media = (offered.media, offered.media.partition("/")[0] + "/*", "*/*")
    return wanted.media in media and all(
        wanted.parameters.get(name, "") == offered.parameters.get(name, "")
        for name in ("as", "g", "v")
    )
