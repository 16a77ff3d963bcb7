"""Origins of imported images: the repositories of other registries that have their blobs.

    manifests.origin    HOST/REPOSITORY; null for a manifest that was pushed, whose blobs are linked

An imported manifest is a row like a pushed one, and names its blobs (`blob_uses`) without a link of
the repository to them: they are read from the origin. Promoting an image takes its origin along.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_LOOKED_AT = 100
"""Manifests that name a blob: a base layer may be in thousands, most of one origin."""

_OF_BLOB = (
    "SELECT m.origin, m.origin_insecure FROM repositories r JOIN blobs b ON b.digest = ?"
    " JOIN blob_uses u ON u.blob_id = b.id AND u.repository_id = r.id"
    " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
    " WHERE r.name = ? AND m.origin IS NOT NULL LIMIT ?"
)


class Origin(NamedTuple):
    """Where blobs are: `HOST/REPOSITORY`, and whether bad TLS or none is good enough there."""

    repository: str
    insecure: bool = False


async def of_blob(db: Database, repository: RepositoryName, digest: Digest) -> list[Origin]:
    """Where to read a blob that live imported manifests of the repository name.

    Nowhere for a blob that no such manifest names: it is not for readers of the repository.
    """
    rows = await db.fetch(_OF_BLOB, (digest, repository, _LOOKED_AT))
    found = {Origin(origin, bool(insecure)) for origin, insecure in rows}
    return sorted(found, key=lambda each: (each.insecure, each.repository))


def lent(
    tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]
) -> dict[Digest, Origin]:
    """Those blobs that live imported manifests of the repository name, each with an origin."""
    found: dict[Digest, Origin] = {}
    for digest in digests:
        for origin, insecure in tx.fetch(_OF_BLOB, (digest, repository, 1)):
            found[digest] = Origin(origin, bool(insecure))
    return found


def of_manifest(tx: Transaction, repository_id: int, digest: str) -> Origin | None:
    """The origin of a live manifest; None for one that was pushed, or is not there."""
    rows = tx.fetch(
        "SELECT origin, origin_insecure FROM manifests"
        " WHERE repository_id = ? AND digest = ? AND deleted_at IS NULL",
        (repository_id, digest),
    )
    if not rows or rows[0][0] is None:
        return None
    return Origin(rows[0][0], bool(rows[0][1]))
