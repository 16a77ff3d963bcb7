"""Simple signatures of images at a registry that keeps them, as OpenShift's does.

`/extensions/v2/REPOSITORY/signatures/DIGEST`, offered by registries whose answers have the header
`X-Registry-Supports-Signatures`. What they sign is for others to verify.
"""

import base64
import binascii

import msgspec

from tidegate.oci.digest import Digest
from tidegate.remote.errors import ContentInvalid, ContentMissing
from tidegate.remote.repository import Repository

BODY_LIMIT = 1024 * 1024
"""Bytes of all signatures of an image; one has some hundreds."""

TYPES = ("", "atomic", "AtomicImageV1")
"""What the one form of signatures is called."""


class _Signature(msgspec.Struct):
    type: str = ""
    content: str = ""


class _Signatures(msgspec.Struct):
    signatures: list[_Signature] = []


async def of(repository: Repository, digest: Digest) -> list[bytes]:
    """The signatures of an image, none of a registry that has not said that it keeps them."""
    if not repository.keeps_signatures:
        return []
    place = f"{repository.location.repository}/signatures/{digest}"
    path = f"{repository.peer.origin}/extensions/v2/{place}"
    about = f"{repository.location.at(digest)}: signatures"
    async with repository.ask("GET", path, about, counted=True) as answer:
        if answer.status != 200:
            error = await repository.refusal(answer, about)
            if isinstance(error, ContentMissing):
                return []
            raise error
        body = await answer.content(BODY_LIMIT)
    try:
        found = msgspec.json.decode(body, type=_Signatures).signatures
        return [base64.b64decode(e.content, validate=True) for e in found if e.type in TYPES]
    except (msgspec.MsgspecError, binascii.Error, RecursionError) as error:
        raise ContentInvalid(f"{about}: not in the form that is known") from error
