"""Manifests of another registry: HEAD for what a tag is, GET for the bytes, both distrusted.

Invariant: bytes that leave here have the digest that leaves with them, and that was asked for.
"""

from dataclasses import dataclass

from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid, ManifestInvalid
from tidegate.oci.manifest import MANIFEST_LIMIT, parse_manifest
from tidegate.remote.errors import ContentInvalid, NoRegistry
from tidegate.remote.http.answer import Answer
from tidegate.remote.location import Location, is_digest
from tidegate.remote.repository import Repository

ACCEPTED = (
    mediatype.OCI_INDEX,
    mediatype.DOCKER_MANIFEST_LIST,
    mediatype.OCI_MANIFEST,
    mediatype.DOCKER_MANIFEST,
)
_ACCEPT = (("Accept", ", ".join(ACCEPTED)),)

_VAGUE = frozenset({"", "application/json", "text/plain", "application/octet-stream"})
"""What servers call a manifest that they keep as a file."""

_HEAD_REFUSED = frozenset({400, 401, 403, 405, 501})
"""Statuses of a HEAD after which GET is tried: it may be allowed, and says more if it is not."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a tag or digest is at its registry.

    `location` is the repository that was asked for; `mirror` the one that answered, if another.
    """

    digest: Digest
    media_type: str
    size: int
    location: Location
    mirror: Location | None = None


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest's bytes, whose digest was verified; locations are as in `Found`."""

    digest: Digest
    media_type: str
    content: bytes
    location: Location
    mirror: Location | None = None


async def head(repository: Repository, reference: str) -> Found:
    """What a tag or digest is, at the price of a HEAD where the registry knows how."""
    path, about = f"manifests/{reference}", repository.location.at(reference)
    async with repository.ask("HEAD", path, about, headers=_ACCEPT, counted=True) as answer:
        if answer.status == 200 and (found := _told(answer, repository, reference)):
            return found
        if answer.status != 200 and answer.status not in _HEAD_REFUSED:
            raise await repository.refusal(answer, about)
    return await _unless_changed(repository, reference)


async def get(repository: Repository, reference: str) -> RemoteManifest:
    """A manifest's bytes."""
    manifest, _ = await _fetched(repository, reference)
    if manifest is None:
        raise ContentInvalid(f"{repository.location.at(reference)}: nothing came")
    return manifest


async def _unless_changed(repository: Repository, reference: str) -> Found:
    """What a tag is, by GET; where it is as it was, its bytes do not come again."""
    etag, known = repository.recall(reference)
    manifest, etag = await _fetched(repository, reference, etag)
    if manifest is None and isinstance(known, Found):
        return known
    if manifest is None:
        raise ContentInvalid(f"{repository.location.at(reference)}: nothing came")
    digest, media_type, content = manifest.digest, manifest.media_type, manifest.content
    found = Found(digest, media_type, len(content), repository.location)
    if etag:
        repository.keep(reference, etag, found)
    return found


async def _fetched(
    repository: Repository, reference: str, known: str = ""
) -> tuple[RemoteManifest | None, str]:
    """A manifest with its ETag; None where it still has the one that is known."""
    path, about = f"manifests/{reference}", repository.location.at(reference)
    headers = [*_ACCEPT, *([("If-None-Match", known)] if known else [])]
    async with repository.ask("GET", path, about, headers=headers, counted=True) as answer:
        if answer.status == 304 and known:
            return None, known
        if answer.status != 200:
            raise await repository.refusal(answer, about)
        media_type = _media_type(answer, about)
        content = await answer.content(MANIFEST_LIMIT)
        media_type = media_type or _declared(content, about)
        digest = _verified(content, reference, answer.header("docker-content-digest"), about)
        etag = answer.header("etag")
    return RemoteManifest(digest, media_type, content, repository.location), etag


def _told(answer: Answer, repository: Repository, reference: str) -> Found | None:
    """What a HEAD says; None where it leaves out what is needed."""
    about = repository.location.at(reference)
    digest = parsed_digest(answer.header("docker-content-digest"))
    media_type = _media_type(answer, about)
    if digest is None or answer.length is None or not media_type:
        return None
    if answer.length > MANIFEST_LIMIT:
        raise ContentInvalid(f"{about}: {answer.length} bytes, more than {MANIFEST_LIMIT}")
    if is_digest(reference) and digest != reference:
        raise ContentInvalid(f"{about}: the registry says that this is {digest}")
    return Found(digest, media_type, answer.length, repository.location)


def _media_type(answer: Answer, about: str) -> str:
    """The type of a manifest; empty where the server knows no better than that it is JSON."""
    found = mediatype.essence(answer.header("content-type"))
    if found in mediatype.DOCKER_SCHEMA1:
        raise ContentInvalid(
            f"{about} is in Docker's schema 1, which nobody should use any more: push it again "
            "with a current client"
        )
    if found == "text/html":
        raise NoRegistry(f"{about}: a web page came instead of a manifest")
    if found in _VAGUE:
        return ""
    if found not in ACCEPTED:
        raise ContentInvalid(f"{about}: {found[:100]!r} is no type of a manifest")
    return found


def _declared(content: bytes, about: str) -> str:
    try:
        return parse_manifest(content, None).media_type
    except ManifestInvalid as error:
        raise ContentInvalid(f"{about}: {error}") from error


def _verified(content: bytes, reference: str, told: str, about: str) -> Digest:
    """The digest of the content, which is the one asked for, and the one that was told."""
    for wanted in (reference if is_digest(reference) else "", told):
        digest = parsed_digest(wanted)
        if digest is not None and not digest.matches(content):
            raise ContentInvalid(f"{about}: what came has another digest than {digest}")
    return parsed_digest(reference) or parsed_digest(told) or Digest.of(content)


def parsed_digest(text: str) -> Digest | None:
    """A digest that a header may hold; None for anything else."""
    try:
        return Digest.parse(text)
    except DigestInvalid:
        return None
