"""Counting again what projects hold: whether `usage` is right, and making it so.

`recount` knows the links and manifests alone, none of the tables that `usage` keeps. They differ
only where a hand has been in the tables, or a database was restored without its triggers.
"""

from functools import partial
from typing import NamedTuple

from tidegate.metastore import usage
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.projects import with_content
from tidegate.metastore.usage import AT_ONCE, Usage

TRIES = 5
"""How often `miscounted` looks, for two looks without a write in between."""


class Place(NamedTuple):
    """Where among all holdings one is."""

    kind: str
    item: int
    project: str


BEGINNING = Place("", 0, "")

_PAGE = 1000
_END = "0"
"""The character after `/`: `PROJECT/` to `PROJECT0` is the range of a project's repositories."""

_WITHIN = "r.name > ? AND r.name < ? AND r.name NOT LIKE '%~%'"
_ELSEWHERE = "q.name NOT LIKE '%~%' AND NOT (q.name > ? AND q.name < ?)"
_BLOBS_AGAIN = (
    "SELECT b.size, EXISTS (SELECT 1 FROM links o JOIN repositories q ON q.id = o.repository_id"  # noqa: S608
    f" WHERE o.blob_id = h.item AND o.deleted_at IS NULL AND {_ELSEWHERE}) AS others"
    " FROM (SELECT DISTINCT l.blob_id AS item FROM repositories r"
    f" JOIN links l ON l.repository_id = r.id AND l.deleted_at IS NULL WHERE {_WITHIN}) h"
    " JOIN blobs b ON b.id = h.item WHERE b.size IS NOT NULL"
)
_MANIFESTS_AGAIN = (
    "SELECT h.size, EXISTS (SELECT 1 FROM manifests o JOIN repositories q"  # noqa: S608
    " ON q.id = o.repository_id"
    f" WHERE o.content_id = h.item AND o.deleted_at IS NULL AND {_ELSEWHERE}) AS others"
    " FROM (SELECT DISTINCT m.content_id AS item, m.size AS size FROM repositories r"
    f" JOIN manifests m ON m.repository_id = r.id AND m.deleted_at IS NULL WHERE {_WITHIN}) h"
)
_RECOUNT = (
    "SELECT coalesce(sum(CASE WHEN others THEN 0 ELSE size END), 0),"  # noqa: S608
    " coalesce(sum(CASE WHEN others THEN size ELSE 0 END), 0)"
    f" FROM ({_BLOBS_AGAIN} UNION ALL {_MANIFESTS_AGAIN}) part"
)


async def recount(db: Database, project: str) -> Usage:
    """What a project holds, from its links and manifests alone; reads all of them."""
    within = (f"{project}/", f"{project}{_END}")
    ((alone, shared),) = await db.scan(_RECOUNT, within * 4)
    return Usage(int(alone), int(shared))


async def miscounted(db: Database, project: str) -> tuple[Usage, Usage] | None:
    """What is counted for a project and what it holds, where these differ; beside writers.

    None where nothing can be said, because they write all the time or rows are yet to be counted.
    """
    seen = None
    for _ in range(TRIES):
        before = await usage.read(db, project)
        held = await recount(db, project)
        if await usage.pending(db) or held == before:
            return None
        quiet = await usage.read(db, project) == before
        if quiet and seen == (before, held):
            return seen
        seen = (before, held) if quiet else None
    return None


def begin_again(
    tx: Transaction, project: str, after: Place = BEGINNING, limit: int = AT_ONCE
) -> Place | None:
    """Forget what was counted for a project among the next holdings; after which, None in the end.

    For counts that are wrong, which only a hand in the tables can make them. `settle` goes on from
    there. What is interrupted leaves them wrong: begin once more.
    """
    within = (f"{project}/", f"{project}{_END}")
    mine = "repository_id IN (SELECT id FROM repositories WHERE name > ? AND name < ?)"
    tx.execute(f"UPDATE counted SET links = 0, manifests = 0, pending = 0 WHERE {mine}", within)  # noqa: S608
    rows = tx.fetch(
        "SELECT kind, item, project FROM holdings WHERE (kind, item, project) > (?, ?, ?)"
        " ORDER BY kind, item, project LIMIT ?",
        (*after, limit),
    )
    tx.execute_many(
        "DELETE FROM holdings WHERE kind = ? AND item = ? AND project = ?",
        [row for row in rows if row[2] == project],
    )
    if len(rows) == limit:
        return Place(*rows[-1])
    # what a new repository has got meanwhile is counted with all the others
    tx.execute("DELETE FROM holdings WHERE project = ?", (project,))
    usage.forget(tx, project)
    tx.execute(f"UPDATE counted SET pending = 1 WHERE {mine}", within)  # noqa: S608
    return None


async def repair(db: Database, project: str) -> None:
    """Count a project from its beginning; meanwhile less is counted than it holds."""
    place: Place | None = BEGINNING
    while place is not None:
        place = await db.write(partial(begin_again, project=project, after=place))
    while await db.write(usage.settle):
        pass


async def projects(db: Database) -> list[str]:
    """Projects that hold something, or for which something is counted."""
    rows = await db.scan("SELECT project FROM holdings UNION SELECT project FROM usage")
    names = {str(name) for (name,) in rows}
    after = ""
    while page := await with_content(db, after, _PAGE):
        names.update(page)
        after = page[-1]
    return sorted(names)
