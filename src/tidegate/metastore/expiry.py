"""What was deleted so long ago that it is forgotten: tags' hidden events, deleted streams' rows.

Everything goes in small units, so that nobody waits for it. Bytes are left to garbage collection.
"""

from typing import NamedTuple

from tidegate.metastore import stream_tags
from tidegate.metastore.database import Database, Transaction

_TABLES = (
    ("tags", "name"),
    ("tag_checks", "tag"),
    ("cache_readers", "digest"),
    ("tag_events", "tag, number"),
    ("stream_tags", "name"),
    ("manifests", "id"),
    ("links", "blob_id"),
)
"""Tables with the rows of a repository, and by what a part of them is picked."""


class HiddenPast(NamedTuple):
    """A tag with events up to `hidden`, which is when it was deleted."""

    repository_id: int
    tag: str
    hidden: int


async def hidden_pasts(
    db: Database, before: float, after: tuple[int, str], limit: int
) -> list[HiddenPast]:
    """Tags that were deleted before a moment and still have what came before, after a place."""
    rows = await db.scan(
        "SELECT t.repository_id, t.name, t.hidden FROM stream_tags t"
        " JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
        " AND e.number = t.hidden AND e.how = 'delete' AND e.recorded_at < ?"
        " WHERE (t.repository_id, t.name) > (?, ?) AND t.hidden > 0"
        " ORDER BY t.repository_id, t.name LIMIT ?",
        (before, *after, limit),
    )
    return [HiddenPast(*row) for row in rows]


def forget_past(tx: Transaction, past: HiddenPast, limit: int) -> bool:
    """Forget up to `limit` events of a deleted past, the oldest first; whether there may be more.

    The event that tells of the delete is the last to go, and then the tag cannot be brought back.
    """
    row = stream_tags.find(tx, past.repository_id, past.tag)
    if row is None or row.hidden != past.hidden:
        return False  # brought back meanwhile
    gone = tx.execute(
        "DELETE FROM tag_events WHERE repository_id = ? AND tag = ? AND number IN"
        " (SELECT number FROM tag_events WHERE repository_id = ? AND tag = ? AND number <= ?"
        " ORDER BY number LIMIT ?)",
        (past.repository_id, past.tag, past.repository_id, past.tag, past.hidden, limit),
    )
    if gone >= limit:
        return True
    if not row.is_live and row.newest == row.hidden:
        tx.execute(
            "DELETE FROM stream_tags WHERE repository_id = ? AND name = ?",
            (past.repository_id, past.tag),
        )
    return False


def purge_repository(tx: Transaction, name: str, limit: int) -> bool:
    """Remove up to `limit` rows of what a repository holds; False when it is gone."""
    rows = tx.fetch("SELECT id FROM repositories WHERE name = ?", (name,))
    if not rows:
        return False
    ((repository_id,),) = rows
    return remove_part(tx, repository_id, name, limit)


def remove_part(tx: Transaction, repository_id: int, name: str, limit: int) -> bool:
    """Remove some rows of a repository, and itself when it has none left; True, as there may be.

    Tags go first, so that nothing of an image is readable by name while the rest goes.
    """
    for table, key in _TABLES:
        gone = tx.execute(
            f"DELETE FROM {table} WHERE repository_id = ? AND ({key}) IN"  # noqa: S608  our own names
            f" (SELECT {key} FROM {table} WHERE repository_id = ? LIMIT ?)",
            (repository_id, repository_id, limit),
        )
        if gone:
            return True
    tx.execute("DELETE FROM repositories WHERE id = ?", (repository_id,))
    tx.record("repositories", name, "delete")
    return True
