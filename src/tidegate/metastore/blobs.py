"""Everything that has bytes, across repositories: what `tidegate check` compares with the store.

    blobs.size known ──> the bytes are there ──lose──> unknown: no reader sees the blob
                                   ^───────push or restore──────────┘

Readers of a repository ask `links` and `manifests`; this module is for looking after the whole.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore import tags
from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName


class Blob(NamedTuple):
    """A blob whose bytes should be in the store."""

    digest: Digest
    size: int


class Totals(NamedTuple):
    """How much the database says that there is."""

    blobs: int
    bytes: int
    contents: int


class Content(NamedTuple):
    """The bytes of a manifest; `id` is for paging."""

    id: int
    digest: Digest
    content: bytes


class Gap(NamedTuple):
    """A live manifest that names a blob which its repository cannot read, and none other has."""

    repository: RepositoryName
    manifest: Digest
    blob: Digest


async def totals(db: Database) -> Totals:
    """Count what is stored; reads the whole table of blobs."""
    ((count, size),) = await db.scan(
        "SELECT count(*), coalesce(sum(size), 0) FROM blobs WHERE size IS NOT NULL"
    )
    ((contents_count,),) = await db.scan("SELECT count(*) FROM contents")
    return Totals(count, int(size), contents_count)


async def page(db: Database, after: str, limit: int) -> list[Blob]:
    """Blobs whose bytes should be there, after digest `after`, in digest order."""
    rows = await db.scan(
        "SELECT digest, size FROM blobs WHERE digest > ? AND size IS NOT NULL"
        " ORDER BY digest LIMIT ?",
        (after, limit),
    )
    return [Blob(Digest(digest), size) for digest, size in rows]


async def sizes(db: Database, digests: Sequence[Digest]) -> dict[Digest, int | None]:
    """Recorded sizes of those blobs that any repository links; None for one that was lost."""
    found: dict[Digest, int | None] = {}
    for marks, values in batches(digests):
        rows = await db.scan(
            f"SELECT b.digest, b.size FROM blobs b WHERE b.digest IN ({marks})"  # noqa: S608
            " AND EXISTS (SELECT 1 FROM links l WHERE l.blob_id = b.id)",
            values,
        )
        found.update((Digest(digest), size) for digest, size in rows)
    return found


def lose(tx: Transaction, digest: Digest) -> bool:
    """Record that the bytes are not there; False when that was known.

    No repository finds the blob then, and a push by one brings it back to all of them.
    """
    gone = tx.execute(
        "UPDATE blobs SET size = NULL WHERE digest = ? AND size IS NOT NULL", (digest,)
    )
    if gone:
        tx.record("blobs", digest, "delete")
    return gone > 0


def restore(tx: Transaction, digest: Digest, size: int) -> None:
    """Record that `size` bytes are there and have this digest."""
    tx.execute("UPDATE blobs SET size = ? WHERE digest = ?", (size, digest))
    tx.record("blobs", digest, "put")


async def contents(db: Database, after: int, limit: int) -> list[Content]:
    """Manifests' bytes after id `after`; each may have 4 MiB."""
    rows = await db.scan(
        "SELECT id, digest, content FROM contents WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )
    return [Content(number, Digest(digest), bytes(content)) for number, digest, content in rows]


def drop_content(tx: Transaction, digest: Digest) -> int:
    """Remove a manifest's bytes, the manifest from every repository, and its tags; from how many.

    For bytes that no longer have their digest: only a new push can bring them back.
    """
    rows = tx.fetch(
        "SELECT m.id, r.name FROM contents c JOIN manifests m ON m.content_id = c.id"
        " JOIN repositories r ON r.id = m.repository_id WHERE c.digest = ?",
        (digest,),
    )
    for manifest_id, repository in rows:
        tags.delete_all(tx, RepositoryName(repository), manifest_id)
        tx.execute("DELETE FROM manifests WHERE id = ?", (manifest_id,))
        tx.record("manifests", f"{repository}@{digest}", "delete")
    tx.execute("DELETE FROM contents WHERE digest = ?", (digest,))
    return len(rows)


async def newest_manifest(db: Database) -> int:
    """The highest id of a manifest, 0 when there is none."""
    ((newest,),) = await db.scan("SELECT coalesce(max(id), 0) FROM manifests")
    return int(newest)


async def gaps(db: Database, first: int, last: int) -> list[Gap]:
    """Blobs that live manifests of ids `first` to `last` name and their repositories lack.

    What was imported is left out: its blobs are where it came from.
    """
    rows = await db.scan(
        "SELECT r.name, m.digest, b.digest FROM manifests m"
        " JOIN blob_uses u ON u.manifest_id = m.id"
        " JOIN blobs b ON b.id = u.blob_id"
        " JOIN repositories r ON r.id = m.repository_id"
        " LEFT JOIN links l ON l.repository_id = m.repository_id AND l.blob_id = u.blob_id"
        " AND l.deleted_at IS NULL"
        " WHERE m.id BETWEEN ? AND ? AND m.deleted_at IS NULL AND m.origin IS NULL"
        " AND (b.size IS NULL OR l.blob_id IS NULL)"
        " ORDER BY m.id, b.digest",
        (first, last),
    )
    return [
        Gap(RepositoryName(name), Digest(manifest), Digest(blob)) for name, manifest, blob in rows
    ]
