"""How many bytes each project holds: alone, and together with other projects.

    links, manifests --live or not--> holdings --first or last of a project--> usage

A project holds a blob while one of its repositories has a live link to it, and a manifest while one
has it live; what several of its repositories have counts once. What no other project holds it holds
*alone*, the rest is *shared*; each blob counts with all of its bytes for every project that has it.
Blobs whose bytes are lost count nothing until they come back.

Triggers do the counting (migration 0004), in the transaction that changes what is live: no writer
can forget it, and undoing the write undoes it. Writers take turns anyway, so that none waits for
the row of a project. Invariant: for each repository, exactly the live links of blobs up to
`counted.links`, and the live manifests up to `counted.manifests`, are in `holdings`. A new
repository has both at the end; one that was deleted, came back or is older than the counting is
`pending`, and `settle` moves them, a few rows at a time: so its bytes leave and return some seconds
after the stream.
"""

from typing import NamedTuple

from tidegate.metastore.database import Database, Transaction
from tidegate.oci.name import RepositoryName

AT_ONCE = 100
"""Rows that `settle` takes in one unit."""
_ALL = 2**62


class Usage(NamedTuple):
    """Bytes of a project: `alone` no other project holds."""

    alone: int = 0
    shared: int = 0

    @property
    def total(self) -> int:
        return self.alone + self.shared


_OF = "SELECT alone, shared FROM usage WHERE project = ?"


def of(tx: Transaction, project: str) -> Usage:
    """What a project holds, this unit's own changes included."""
    rows = tx.fetch(_OF, (project,))
    return Usage(*rows[0]) if rows else Usage()


async def read(db: Database, project: str) -> Usage:
    """What a project holds."""
    rows = await db.fetch(_OF, (project,))
    return Usage(*rows[0]) if rows else Usage()


async def every(db: Database, after: str, limit: int) -> list[tuple[str, Usage]]:
    """Projects after `after` that hold something, or have held it lately, in ASCII order."""
    rows = await db.scan(
        "SELECT project, alone, shared FROM usage WHERE project > ? ORDER BY project LIMIT ?",
        (after, limit),
    )
    return [(project, Usage(alone, shared)) for project, alone, shared in rows]


class _Kind(NamedTuple):
    """Where the things of a kind are: rows of place, item and size in the order of places."""

    name: str
    column: str
    rows: str
    place: str


_KINDS = (
    _Kind(
        "blob",
        "links",
        "SELECT l.blob_id, l.blob_id, coalesce(b.size, 0) FROM links l"
        " JOIN blobs b ON b.id = l.blob_id WHERE l.repository_id = ? AND l.deleted_at IS NULL",
        "l.blob_id",
    ),
    _Kind(
        "manifest",
        "manifests",
        "SELECT m.id, m.content_id, m.size FROM manifests m"
        " WHERE m.repository_id = ? AND m.deleted_at IS NULL",
        "m.id",
    ),
)


def settle(tx: Transaction, limit: int = AT_ONCE) -> bool:
    """Count a few more rows of one repository, or a few less; False when all are settled."""
    found = tx.fetch(
        "SELECT c.repository_id, r.name, c.links, c.manifests FROM counted c"
        " JOIN repositories r ON r.id = c.repository_id"
        " WHERE c.pending = 1 ORDER BY c.repository_id LIMIT 1"
    )
    if not found:
        return False
    ((repository_id, name, *places),) = found
    project = str(name).partition("/")[0]
    wanted = 0 if "~" in name else _ALL
    for kind, place in zip(_KINDS, places, strict=True):
        if place != wanted:
            move = _count if wanted else _discount
            reached = move(tx, kind, (project, repository_id), place, limit)
            tx.execute(
                f"UPDATE counted SET {kind.column} = ? WHERE repository_id = ?",  # noqa: S608
                (reached, repository_id),
            )
            return True
    tx.execute("UPDATE counted SET pending = 0 WHERE repository_id = ?", (repository_id,))
    return True


def _count(tx: Transaction, kind: _Kind, of: tuple[str, int], place: int, limit: int) -> int:
    """Count the next rows after `place`; up to where rows are counted then."""
    project, repository_id = of
    rows = tx.fetch(
        f"{kind.rows} AND {kind.place} > ? ORDER BY {kind.place} LIMIT ?",
        (repository_id, place, limit),
    )
    tx.execute_many(
        "INSERT INTO holdings (project, kind, item, size, holders) VALUES (?, ?, ?, ?, 1)"
        " ON CONFLICT (project, kind, item) DO UPDATE SET holders = holdings.holders + 1",
        [(project, kind.name, item, size) for _, item, size in rows],
    )
    return _ALL if len(rows) < limit else int(rows[-1][0])


def _discount(tx: Transaction, kind: _Kind, of: tuple[str, int], place: int, limit: int) -> int:
    """Count the last rows up to `place` no longer; up to where rows are counted then."""
    project, repository_id = of
    rows = tx.fetch(
        f"{kind.rows} AND {kind.place} <= ? ORDER BY {kind.place} DESC LIMIT ?",
        (repository_id, place, limit),
    )
    tx.execute_many(
        "UPDATE holdings SET holders = holders - 1 WHERE project = ? AND kind = ? AND item = ?",
        [(project, kind.name, item) for _, item, _ in rows],
    )
    return 0 if len(rows) < limit else int(rows[-1][0]) - 1


async def pending(db: Database) -> int:
    """How many repositories are not settled."""
    ((count,),) = await db.fetch("SELECT count(*) FROM counted WHERE pending = 1")
    return int(count)


async def would_add(db: Database, repository: RepositoryName) -> int:
    """Bytes that a repository has and the rest of its project has not, for bringing it back."""
    project = repository.partition("/")[0]
    ((size,),) = await db.scan(
        "SELECT coalesce(sum(part.size), 0) FROM ("
        "SELECT 'blob' AS kind, l.blob_id AS item, b.size AS size FROM repositories r"
        " JOIN links l ON l.repository_id = r.id AND l.deleted_at IS NULL"
        " JOIN blobs b ON b.id = l.blob_id WHERE r.name = ?"
        " UNION ALL SELECT 'manifest', m.content_id, m.size FROM repositories r"
        " JOIN manifests m ON m.repository_id = r.id AND m.deleted_at IS NULL WHERE r.name = ?"
        ") part WHERE NOT EXISTS (SELECT 1 FROM holdings h"
        " WHERE h.project = ? AND h.kind = part.kind AND h.item = part.item)",
        (repository, repository, project),
    )
    return int(size)


def forget(tx: Transaction, project: str) -> None:
    """Drop the sums of a project that holds nothing."""
    tx.execute("DELETE FROM usage WHERE project = ?", (project,))
