"""Repositories: a row per name, made with the first link or manifest and kept.

A repository *exists* for readers while it holds something live, a manifest or a blob link.
"""

from tidegate.metastore import deleted
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.name import RepositoryName

_HOLDS_SOMETHING = """(
  EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id AND m.deleted_at IS NULL)
  OR EXISTS (SELECT 1 FROM links l WHERE l.repository_id = r.id AND l.deleted_at IS NULL)
)"""

_HOLDS_MANIFESTS = (
    "SELECT 1 FROM repositories r JOIN manifests m ON m.repository_id = r.id"
    " WHERE r.name = ? AND m.deleted_at IS NULL LIMIT 1"
)
_HAS_STREAM = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM documents"  # noqa: S608  our own parts
    f" WHERE resource = '{deleted.IMAGE_STREAMS}' AND namespace = ? AND name = ?)"
    f" OR EXISTS ({_HOLDS_MANIFESTS})"
)


def ensure(tx: Transaction, name: RepositoryName) -> int:
    """The repository's row, made if need be."""
    found = find(tx, name)
    if found is not None:
        return found
    tx.execute("INSERT INTO repositories (name) VALUES (?)", (name,))
    tx.record("repositories", name, "put")
    ((made,),) = tx.fetch("SELECT id FROM repositories WHERE name = ?", (name,))
    return int(made)


def find(tx: Transaction, name: RepositoryName) -> int | None:
    """The repository's row, None when there never was one."""
    rows = tx.fetch("SELECT id FROM repositories WHERE name = ?", (name,))
    return rows[0][0] if rows else None


async def exists(db: Database, name: RepositoryName) -> bool:
    """Whether the repository holds anything."""
    sql = f"SELECT 1 FROM repositories r WHERE r.name = ? AND {_HOLDS_SOMETHING}"  # noqa: S608
    return bool(await db.fetch(sql, (name,)))


async def has_stream(db: Database, name: RepositoryName) -> bool:
    """Whether there is a stream of the name, or images of an older version that will be one."""
    return bool(await db.fetch(_HAS_STREAM, (name.project, name.stream, name)))


def holds_manifests(tx: Transaction, name: RepositoryName) -> bool:
    """Whether the repository has a live manifest."""
    return bool(tx.fetch(_HOLDS_MANIFESTS, (name,)))


async def page(db: Database, after: str, limit: int) -> list[RepositoryName]:
    """Names of existing repositories after `after`, in ASCII order."""
    sql = (
        "SELECT r.name FROM repositories r"  # noqa: S608
        f" WHERE r.name > ? AND r.name NOT LIKE '%~%' AND {_HOLDS_SOMETHING} "
        "ORDER BY r.name LIMIT ?"
    )
    return [RepositoryName(name) for (name,) in await db.scan(sql, (after, limit))]
