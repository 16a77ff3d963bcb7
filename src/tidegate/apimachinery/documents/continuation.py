"""Continue tokens: where a paged list goes on, and as of which revision.

A token is opaque and safe in a URL, and good for the list that gave it out alone. It holds no
right: whoever forges one reads no more than the list that she asks for.
"""

import base64
import binascii
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.store import Key

_VERSION = "tidegate/v1"
_LIMIT = 4096  # characters of a token; ours have under 1,000


class Continuation(NamedTuple):
    """The page after `last`, in the list as it was at `revision`."""

    last: Key
    revision: int


class _Token(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: str
    resource: str
    namespace: str
    name: str
    revision: int


_DECODER = msgspec.json.Decoder(_Token)


def written(at: Continuation) -> str:
    """The token of a continuation."""
    content = msgspec.json.encode(_Token(_VERSION, *at.last, at.revision))
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def read(token: str, resource: str, namespace: str | None) -> Continuation:
    """The continuation of a list of `resource` in `namespace`, in all with None."""
    try:
        if len(token) > _LIMIT or not token.isascii():
            raise ValueError("too long or not ASCII")
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        found = _DECODER.decode(content)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise _refused("continue key is not valid") from error
    if found.version != _VERSION:
        raise _refused("continue key is not valid: server does not recognize this encoded version")
    if found.revision <= 0:
        raise _refused("continue key is not valid: incorrect encoded start resourceVersion")
    if "\0" in found.namespace + found.name:  # which no store can look for
        raise _refused("continue key is not valid")
    if found.resource != resource or namespace not in (None, found.namespace):
        raise _refused("continue key is not valid: it was given for another list")
    return Continuation(Key(resource, found.namespace, found.name), found.revision)


def _refused(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: {why}")
