"""Tags: names of live manifests in a repository.

Set by `manifests.put` together with the manifest. A deleted tag leaves no tombstone: the change
log says that it went, and its manifest stays readable by digest.
"""

from collections.abc import Sequence

from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag


async def page(db: Database, repository: RepositoryName, after: str, limit: int) -> list[Tag]:
    """Tags after `after` in ASCII order; one range of an index, wherever it starts."""
    rows = await db.scan(
        "SELECT t.name FROM tags t"
        " WHERE t.repository_id = (SELECT id FROM repositories WHERE name = ?) AND t.name > ?"
        " ORDER BY t.name LIMIT ?",
        (repository, after, limit),
    )
    return [Tag(name) for (name,) in rows]


_NAMING = (
    "SELECT t.name FROM repositories r"
    " JOIN manifests m ON m.repository_id = r.id AND m.digest = ?"
    " JOIN tags t ON t.manifest_id = m.id"
    " WHERE r.name = ? AND m.deleted_at IS NULL ORDER BY t.name"
)


async def naming(db: Database, repository: RepositoryName, digest: Digest) -> list[Tag]:
    """The tags that name a manifest of the repository."""
    return [Tag(name) for (name,) in await db.scan(_NAMING, (digest, repository))]


def naming_now(tx: Transaction, repository: RepositoryName, digest: Digest) -> list[Tag]:
    """As `naming`, within a unit that will delete what they name."""
    return [Tag(name) for (name,) in tx.fetch(_NAMING, (digest, repository))]


def point(
    tx: Transaction,
    repository: RepositoryName,
    tags: Sequence[Tag],
    manifest_id: int,
    now: float,
) -> None:
    """Let `tags` name a live manifest of the repository, whatever they named before."""
    tx.execute_many(
        "INSERT INTO tags (repository_id, name, manifest_id, updated_at)"
        " SELECT repository_id, ?, id, ? FROM manifests WHERE id = ?"
        " ON CONFLICT (repository_id, name)"
        " DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at",
        [(tag, now, manifest_id) for tag in tags],
    )
    for tag in tags:
        tx.record("tags", f"{repository}:{tag}", "put")


def lead(tx: Transaction, repository_id: int, tag: str, digest: str, now: float) -> bool:
    """Let the tag name a live manifest of the repository; without one there is no such tag.

    Whether there is. This is how the events of a stream's tag show in the registry.
    """
    led = tx.execute(
        "INSERT INTO tags (repository_id, name, manifest_id, updated_at)"
        " SELECT repository_id, ?, id, ? FROM manifests"
        " WHERE repository_id = ? AND digest = ? AND deleted_at IS NULL"
        " ON CONFLICT (repository_id, name)"
        " DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at",
        (tag, now, repository_id, digest),
    )
    if not led:
        tx.execute("DELETE FROM tags WHERE repository_id = ? AND name = ?", (repository_id, tag))
    return led > 0


def delete(tx: Transaction, repository: RepositoryName, tag: Tag, now: float) -> bool:  # noqa: ARG001
    """Remove the tag alone; False when there was none. The history of tags will want `now`."""
    gone = tx.execute(
        "DELETE FROM tags WHERE name = ?"
        " AND repository_id = (SELECT id FROM repositories WHERE name = ?)",
        (tag, repository),
    )
    if gone:
        tx.record("tags", f"{repository}:{tag}", "delete")
    return gone > 0


def delete_all(tx: Transaction, repository: RepositoryName, manifest_id: int) -> None:
    """Remove every tag that names the manifest."""
    for (tag,) in tx.fetch("SELECT name FROM tags WHERE manifest_id = ?", (manifest_id,)):
        tx.record("tags", f"{repository}:{tag}", "delete")
    tx.execute("DELETE FROM tags WHERE manifest_id = ?", (manifest_id,))
