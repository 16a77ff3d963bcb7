"""What is said of an image elsewhere in its repository: signatures, attestations, SBOMs.

    referrers      manifests whose subject is the image
    cosign's tags  sha256-HEX.sig, .att, .sbom

They belong to a repository and not to the Image, which is the same in all of them; so they are
shown where an image is read as one of a stream, as an annotation.
"""

import msgspec

from tidegate.images.kinds.image import Image
from tidegate.metastore import manifests
from tidegate.metastore.database import Database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

REFERRERS = "tidegate.io/referrers"
"""Annotation of an image as one of a stream: a JSON list of `Attached`."""

SHOWN = 100
"""Entries of the annotation at most; the registry's referrers list has all that refer to it."""

_COSIGN = (".sig", ".att", ".sbom")


class Attached(msgspec.Struct, rename="camel", omit_defaults=True):
    """A manifest about an image; `tag` is the one by which cosign finds it."""

    digest: str
    artifact_type: str = ""
    tag: str = ""


async def referrers_of(db: Database, repository: RepositoryName, digest: Digest) -> list[Attached]:
    """What a repository has about an image: by cosign's tags first, then in digest order."""
    found: dict[str, Attached] = {}
    start = digest.replace(":", "-", 1)
    for suffix in _COSIGN:
        manifest = await manifests.by_tag(db, repository, Tag(start + suffix))
        if manifest is not None:
            found[manifest.digest] = Attached(str(manifest.digest), tag=start + suffix)
    for each in await manifests.referrers(db, repository, digest, None, "", SHOWN):
        attached = found.setdefault(each.digest, Attached(str(each.digest)))
        attached.artifact_type = each.artifact_type or ""
    return list(found.values())[:SHOWN]


async def show_referrers(db: Database, repository: RepositoryName, image: Image) -> None:
    """Annotate an image as one of a stream with what the stream has about it, if anything."""
    found = await referrers_of(db, repository, Digest(image.metadata.name))
    if found:
        shown = msgspec.json.encode(found).decode()
        image.metadata.annotations = {**image.metadata.annotations, REFERRERS: shown}
