"""Where another registry has what a stream names and this one has not: from rows to candidates.

    a blob        origins of the live manifests that name it
    a manifest    events of the stream that name it, and the origins of indexes that list it

What is said to be in this registry itself is no candidate: nobody is to be sent around in a circle.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.documents.beside import weighed
from tidegate.images.kinds.tag_reference import LOCAL, TagReference
from tidegate.metastore import origins
from tidegate.metastore.database import Database
from tidegate.metastore.origins import Named, Origin
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.manifest import Manifest, parse_manifest
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid
from tidegate.remote.location import Location

_SPEC = msgspec.json.Decoder(TagReference)


class Candidate(NamedTuple):
    """A repository that may have what is wanted, and whether it is asked without TLS if need be."""

    location: Location
    insecure: bool = False


class WantedBlob(NamedTuple):
    """A blob as a manifest tells of it, whether it is kept, and who may have it.

    `size` is None where the manifest does not tell.
    """

    size: int | None
    keep: bool
    candidates: Sequence[Candidate]


async def of_blob(
    db: Database, repository: RepositoryName, digest: Digest, own: Collection[str], *, keep: bool
) -> WantedBlob | None:
    """Where to have a blob which a live manifest of the repository names; None without such.

    `own` are the hosts of this registry. It is kept where a tag with the policy Local names its
    image, or where everything is (`keep`).
    """
    named = await origins.naming_blob(db, repository, digest)
    if named is None:
        return None
    size = await weighed(len(named.content), _size_in, named, digest)
    found = await origins.of_blob(db, repository, digest)
    keep = keep or await _is_local(db, repository, digest)
    return WantedBlob(size, keep, _candidates(found, own))


async def of_manifest(
    db: Database, repository: RepositoryName, digest: Digest, own: Collection[str]
) -> list[Candidate]:
    """Where to have a manifest that the stream names and the repository has not."""
    found = [
        Candidate(location, _is_insecure(spec))
        for reference, spec in await origins.events_of(db, repository, digest)
        if (location := _location(reference)) is not None
    ]
    listed = await origins.of_listed(db, repository, digest)
    found += _candidates(listed, own)
    return [each for each in dict.fromkeys(found) if each.location.host not in own]


async def _is_local(db: Database, repository: RepositoryName, digest: Digest) -> bool:
    specs = await origins.specs_using(db, repository, digest)
    return any(_SPEC.decode(spec).reference_policy.type == LOCAL for spec in specs)


def _is_insecure(spec: str | None) -> bool:
    return spec is not None and _SPEC.decode(spec).import_policy.insecure


def _size_in(named: Named, digest: Digest) -> int | None:
    manifest = _parsed(named)
    if manifest is None:
        return None
    said = next((each.size for each in manifest.blobs if each.digest == digest), None)
    return said if said or digest.matches(b"") else None


def _parsed(named: Named) -> Manifest | None:
    try:
        return parse_manifest(named.content, named.media_type)
    except OciError:
        return None


def _candidates(found: Sequence[Origin], own: Collection[str]) -> list[Candidate]:
    made = [
        Candidate(Location(*each.repository.split("/", 1)), each.insecure)
        for each in found
        if "/" in each.repository
    ]
    return [each for each in dict.fromkeys(made) if each.location.host not in own]


def _location(reference: str) -> Location | None:
    try:
        return Location.of(PullSpec.parse(reference))
    except PullSpecInvalid:
        return None
