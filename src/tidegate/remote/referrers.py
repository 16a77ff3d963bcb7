"""What refers to an image at another registry: signatures, SBOMs and the like.

The referrers API of the distribution specification, or, where a registry has none, the tag that
clients keep instead ("Referrers Tag Schema").
"""

import re

from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.errors import ManifestInvalid
from tidegate.oci.manifest import MANIFEST_LIMIT, Descriptor, parse_manifest
from tidegate.remote import manifests
from tidegate.remote.errors import (
    AccessDenied,
    ContentInvalid,
    ContentMissing,
    RateLimited,
    Unavailable,
)
from tidegate.remote.pages import next_page
from tidegate.remote.repository import Repository

REFERRER_LIMIT = 1000
"""Referrers of one image; each is fetched by whoever asked."""

_ACCEPT = (("Accept", mediatype.OCI_INDEX),)
_NO_TAG_CHARACTER = re.compile(r"[^A-Za-z0-9._-]")


async def listed(repository: Repository, digest: Digest) -> list[Descriptor]:
    """The manifests whose subject is `digest`; none is an answer too."""
    found = await _from_api(repository, digest)
    return found if found is not None else await _from_tag(repository, digest)


def fallback_tag(digest: Digest) -> str:
    """The tag under which clients list the referrers where the registry does not."""
    return _NO_TAG_CHARACTER.sub("-", f"{digest.algorithm[:32]}-{digest.encoded[:64]}")


async def _from_api(repository: Repository, digest: Digest) -> list[Descriptor] | None:
    """What the registry says; None where it does not know the question."""
    about = f"{repository.location.at(digest)}: referrers"
    path: str | None = f"referrers/{digest}"
    found: dict[str, Descriptor] = {}
    seen: set[str] = set()
    while path is not None:
        async with repository.ask("GET", path, about, headers=_ACCEPT, counted=True) as answer:
            content_type = mediatype.essence(answer.header("content-type"))
            if answer.status == 200 and content_type != mediatype.OCI_INDEX:
                return None
            if answer.status != 200:
                error = await repository.refusal(answer, about)
                if isinstance(error, AccessDenied | RateLimited | Unavailable):
                    raise error
                return None
            found |= _read(await answer.content(MANIFEST_LIMIT), about)
            path = next_page(answer, repository.peer.origin, seen)
        if len(found) > REFERRER_LIMIT:
            raise ContentInvalid(f"{about}: more than {REFERRER_LIMIT}")
    return list(found.values())


async def _from_tag(repository: Repository, digest: Digest) -> list[Descriptor]:
    tag = fallback_tag(digest)
    about = repository.location.at(tag)
    try:
        manifest = await manifests.get(repository, tag)
    except ContentMissing:
        return []
    if manifest.media_type not in mediatype.INDEXES:
        return []
    found = list(_read(manifest.content, about).values())
    if len(found) > REFERRER_LIMIT:
        raise ContentInvalid(f"{about}: more than {REFERRER_LIMIT}")
    return found


def _read(content: bytes, about: str) -> dict[str, Descriptor]:
    try:
        index = parse_manifest(content, mediatype.OCI_INDEX)
    except ManifestInvalid as error:
        raise ContentInvalid(f"{about}: {error}") from error
    return {each.digest: each for each in index.manifests}
