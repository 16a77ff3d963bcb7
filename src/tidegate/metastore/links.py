"""Blob links: which repository may read which blob.

    link -> live -> unlink -> tombstone -> link, or a manifest that names it -> live

A tombstone is invisible to readers. Writers of the same repository may count on it as long as they
revive it in the same unit, because its bytes are still there.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore import repositories
from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName


async def size(db: Database, repository: RepositoryName, digest: Digest) -> int | None:
    """Bytes of a blob that the repository may read, None for any other."""
    rows = await db.fetch(
        "SELECT b.size FROM repositories r"
        " JOIN blobs b ON b.digest = ?"
        " JOIN links l ON l.repository_id = r.id AND l.blob_id = b.id"
        " WHERE r.name = ? AND l.deleted_at IS NULL",
        (digest, repository),
    )
    return rows[0][0] if rows else None


async def holders(db: Database, digest: Digest, limit: int) -> list[RepositoryName]:
    """Up to `limit` repositories that may read the blob; for a mount that names none."""
    rows = await db.fetch(
        "SELECT r.name FROM blobs b"
        " JOIN links l ON l.blob_id = b.id AND l.deleted_at IS NULL"
        " JOIN repositories r ON r.id = l.repository_id"
        " WHERE b.digest = ? AND b.size IS NOT NULL AND r.name NOT LIKE '%~%'"
        " ORDER BY l.repository_id LIMIT ?",
        (digest, limit),
    )
    return [RepositoryName(name) for (name,) in rows]


def link(
    tx: Transaction, repository: RepositoryName, digest: Digest, size: int, now: float
) -> None:
    """Let the repository read a stored blob of `size` bytes; revives a tombstone."""
    repository_id = repositories.ensure(tx, repository)
    tx.execute(
        "INSERT INTO blobs (digest, size) VALUES (?, ?)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size"
        " WHERE blobs.size IS NULL OR blobs.size <> excluded.size",
        (digest, size),
    )
    tx.execute(
        "INSERT INTO links (repository_id, blob_id, linked_at)"
        " SELECT ?, id, ? FROM blobs WHERE digest = ?"
        " ON CONFLICT (repository_id, blob_id)"
        " DO UPDATE SET linked_at = excluded.linked_at, deleted_at = NULL",
        (repository_id, now, digest),
    )


def unlink(tx: Transaction, repository: RepositoryName, digest: Digest, now: float) -> bool:
    """Make the link a tombstone; False when the repository could not read the blob anyway."""
    gone = tx.execute(
        "UPDATE links SET deleted_at = ? WHERE deleted_at IS NULL"
        " AND repository_id = (SELECT id FROM repositories WHERE name = ?)"
        " AND blob_id = (SELECT id FROM blobs WHERE digest = ?)",
        (now, repository, digest),
    )
    if gone:
        tx.record("blobs", f"{repository}@{digest}", "delete")
    return gone > 0


UNUSED_SECONDS = 24 * 3600.0
"""How long a link that no manifest ever used is kept for the push that made it."""


def give_up(tx: Transaction, digest: Digest, now: float) -> RepositoryName | None:
    """Make every link of a blob a tombstone, unless one is needed: then who needs it.

    A live manifest needs it, and so may a push that has not come to its manifest yet; one that was
    imported needs no bytes of a blob that its repository has not. What a deleted stream has stays,
    for as long as it may come back.
    """
    rows = tx.fetch(
        "SELECT r.name FROM blobs b JOIN blob_uses u ON u.blob_id = b.id"
        " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
        " JOIN repositories r ON r.id = m.repository_id"
        " WHERE b.digest = ? AND r.name NOT LIKE '%~%' AND (m.origin IS NULL OR EXISTS"
        " (SELECT 1 FROM links l WHERE l.repository_id = m.repository_id AND l.blob_id = b.id"
        " AND l.deleted_at IS NULL)) LIMIT 1",
        (digest,),
    ) or tx.fetch(
        "SELECT r.name FROM blobs b JOIN links l ON l.blob_id = b.id AND l.deleted_at IS NULL"
        " JOIN repositories r ON r.id = l.repository_id"
        " WHERE b.digest = ? AND l.linked_at > ? AND r.name NOT LIKE '%~%'"
        " AND NOT EXISTS (SELECT 1 FROM blob_uses u"
        " WHERE u.blob_id = b.id AND u.repository_id = l.repository_id) LIMIT 1",
        (digest, now - UNUSED_SECONDS),
    )
    if rows:
        return RepositoryName(rows[0][0])
    tx.execute(
        "UPDATE links SET deleted_at = ? WHERE deleted_at IS NULL"
        " AND blob_id = (SELECT id FROM blobs WHERE digest = ?)"
        " AND EXISTS (SELECT 1 FROM repositories r"
        " WHERE r.id = links.repository_id AND r.name NOT LIKE '%~%')",
        (now, digest),
    )
    return None


class Link(NamedTuple):
    """A blob that a repository may read or, where the link is a tombstone, might by `revive`."""

    blob_id: int
    size: int
    is_live: bool


def find(
    tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]
) -> dict[Digest, Link]:
    """What the repository has of these blobs, tombstones included.

    A blob that was lost (`blobs.lose`) is not among them, so that its next push brings it back.
    """
    found: dict[Digest, Link] = {}
    for marks, values in batches(digests):
        rows = tx.fetch(
            # CROSS JOIN holds SQLite to this order; else it reads all of the repository's links
            "SELECT b.digest, b.id, b.size, l.deleted_at"  # noqa: S608 - placeholders
            " FROM blobs b CROSS JOIN links l"
            f" WHERE b.digest IN ({marks}) AND b.size IS NOT NULL AND l.blob_id = b.id"
            " AND l.repository_id = (SELECT id FROM repositories WHERE name = ?)",
            (*values, repository),
        )
        found.update(
            (Digest(digest), Link(blob_id, size, deleted_at is None))
            for digest, blob_id, size, deleted_at in rows
        )
    return found


def sizes(
    tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]
) -> dict[Digest, int]:
    """Bytes of those blobs that the repository may read, or might again by `revive`."""
    return {digest: link.size for digest, link in find(tx, repository, digests).items()}


def missing(tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]) -> list[Digest]:
    """Those blobs that the repository may not read; tombstones among the others are revived."""
    known = sizes(tx, repository, digests)
    revive(tx, repository, digests)
    return [digest for digest in digests if digest not in known]


def revive(tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]) -> int:
    """Make live again what of these is a tombstone; how many were."""
    revived = 0
    for marks, values in batches(digests):
        revived += tx.execute(
            "UPDATE links SET deleted_at = NULL WHERE deleted_at IS NOT NULL"  # noqa: S608
            " AND repository_id = (SELECT id FROM repositories WHERE name = ?)"
            f" AND blob_id IN (SELECT id FROM blobs WHERE digest IN ({marks}))",
            (repository, *values),
        )
    return revived
