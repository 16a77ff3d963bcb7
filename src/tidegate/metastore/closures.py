"""An image with all that belongs to it, made readable in another repository without copying bytes.

    index -> children -> blobs          referrers (signatures, SBOMs) -> their blobs, referrers ...

Rows only: manifests and links of the target name the same contents and blobs. What the target has
already stays, tombstones of it are revived.
"""

from tidegate.metastore import links, repositories
from tidegate.metastore.database import Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

LIMIT = 1000
"""Manifests of one closure: an index names up to some hundred, and each may have referrers."""


class ClosureTooLarge(Exception):
    """An image with more children and referrers than one unit of work should copy."""


def members(tx: Transaction, repository_id: int, digest: str) -> list[Digest]:
    """The live manifests of a repository that belong to `digest`, itself first.

    Raises `ClosureTooLarge` beyond `LIMIT`.
    """
    found: dict[Digest, None] = {}
    waiting = [Digest(digest)]
    while waiting:
        each = waiting.pop()
        if each in found or not _is_live(tx, repository_id, each):
            continue
        found[each] = None
        if len(found) > LIMIT:
            raise ClosureTooLarge(f"{digest} has more than {LIMIT} children and referrers")
        waiting += _next(tx, repository_id, each)
    return list(found)


def copy(tx: Transaction, source_id: int, target: RepositoryName, digest: str, now: float) -> bool:
    """Let `target` read the image of the source and all that belongs to it.

    False when the source has no such live manifest. Raises `ClosureTooLarge`.
    """
    digests = members(tx, source_id, digest)
    if not digests:
        return False
    target_id = repositories.ensure(tx, target)
    if target_id == source_id:
        return True
    for each in digests:
        _copy_manifest(tx, source_id, target, target_id, each, now)
    return True


def _copy_manifest(
    tx: Transaction,
    source_id: int,
    target: RepositoryName,
    target_id: int,
    digest: Digest,
    now: float,
) -> None:
    """Repeat one manifest's row, what it uses, and its links."""
    tx.execute(
        "INSERT INTO manifests (repository_id, content_id, digest, media_type, size, subject,"
        " artifact_type, annotations, pushed_at, origin, origin_insecure)"
        " SELECT ?, content_id, digest, media_type, size, subject, artifact_type, annotations, ?,"
        " origin, origin_insecure FROM manifests WHERE repository_id = ? AND digest = ?"
        " ON CONFLICT (repository_id, digest) DO UPDATE SET deleted_at = NULL",
        (target_id, now, source_id, digest),
    )
    ((source_manifest,),) = tx.fetch(
        "SELECT id FROM manifests WHERE repository_id = ? AND digest = ?", (source_id, digest)
    )
    ((manifest,),) = tx.fetch(
        "SELECT id FROM manifests WHERE repository_id = ? AND digest = ?", (target_id, digest)
    )
    tx.execute(
        "INSERT INTO blob_uses (blob_id, repository_id, manifest_id)"
        " SELECT blob_id, ?, ? FROM blob_uses WHERE manifest_id = ? ON CONFLICT DO NOTHING",
        (target_id, manifest, source_manifest),
    )
    tx.execute(
        "INSERT INTO child_uses (digest, repository_id, manifest_id)"
        " SELECT digest, ?, ? FROM child_uses WHERE manifest_id = ? ON CONFLICT DO NOTHING",
        (target_id, manifest, source_manifest),
    )
    blobs = tx.fetch(
        "SELECT b.digest, b.size FROM blob_uses u JOIN blobs b ON b.id = u.blob_id"
        " JOIN links l ON l.repository_id = ? AND l.blob_id = u.blob_id AND l.deleted_at IS NULL"
        " WHERE u.manifest_id = ? AND b.size IS NOT NULL",
        (source_id, source_manifest),
    )
    for blob, size in blobs:
        links.link(tx, target, Digest(blob), size, now)
    tx.execute(  # whoever may promote the image may read its blobs, where they are copies too
        "INSERT INTO cache_readers (repository_id, digest, host)"
        " SELECT ?, c.digest, c.host FROM manifests m JOIN blob_uses u ON u.manifest_id = m.id"
        " JOIN blobs b ON b.id = u.blob_id"
        " JOIN cache_readers c ON c.repository_id = m.repository_id AND c.digest = b.digest"
        " WHERE m.repository_id = ? AND m.digest = ? ON CONFLICT DO NOTHING",
        (target_id, source_id, digest),
    )


def _is_live(tx: Transaction, repository_id: int, digest: Digest) -> bool:
    return bool(
        tx.fetch(
            "SELECT 1 FROM manifests WHERE repository_id = ? AND digest = ? AND deleted_at IS NULL",
            (repository_id, digest),
        )
    )


def _next(tx: Transaction, repository_id: int, digest: Digest) -> list[Digest]:
    """What belongs directly to a manifest: its children and its referrers."""
    rows = tx.fetch(
        "SELECT u.digest FROM manifests m JOIN child_uses u ON u.manifest_id = m.id"
        " WHERE m.repository_id = ? AND m.digest = ?"
        " UNION SELECT digest FROM manifests"
        " WHERE repository_id = ? AND subject = ? AND deleted_at IS NULL",
        (repository_id, digest, repository_id, digest),
    )
    return [Digest(each) for (each,) in rows]
