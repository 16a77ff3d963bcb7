"""Looking back in the events of one tag, within a unit that then goes back, and reviving what for.

Only events that name something count here: not those of the tag itself, but also those that are
shown no more.
"""

from collections.abc import Sequence

from tidegate.metastore import manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.tag_events import DELETE, UNDELETE, TagEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

LIMIT = 1000
"""Manifests that are revived with one: an index names up to some hundred."""

_COLUMNS = (
    "e.number, e.created_at, e.recorded_at, e.reference, e.image, e.generation, e.how, e.who,"
    " e.removed_at, e.detail"
)
_NAMING = f"e.how NOT IN ('{DELETE}', '{UNDELETE}')"
_OF_TAG = f"SELECT {_COLUMNS} FROM tag_events e WHERE e.repository_id = ? AND e.tag = ?"  # noqa: S608


def before(
    tx: Transaction, repository_id: int, tag: str, current: TagEvent, hidden: int
) -> TagEvent | None:
    """The newest shown event before the current one that names something else."""
    rows = tx.fetch(
        f"{_OF_TAG} AND e.number < ? AND e.number > ? AND {_NAMING} AND e.removed_at IS NULL"
        " AND (e.image <> ? OR (e.image = '' AND e.reference <> ?))"
        " ORDER BY e.number DESC LIMIT 1",
        (repository_id, tag, current.number, hidden, current.image, current.reference),
    )
    return TagEvent(*rows[0]) if rows else None


def numbered(tx: Transaction, repository_id: int, tag: str, number: int) -> TagEvent | None:
    """The event of that number."""
    rows = tx.fetch(f"{_OF_TAG} AND e.number = ? AND {_NAMING}", (repository_id, tag, number))
    return TagEvent(*rows[0]) if rows else None


def naming(tx: Transaction, repository_id: int, tag: str, start: str) -> list[TagEvent]:
    """The newest event of each of the first two images of the tag that begin with `start`."""
    rows = tx.fetch(
        "SELECT e.image, max(e.number) FROM tag_events e"  # noqa: S608
        " WHERE e.repository_id = ? AND e.tag = ? AND e.image >= ? AND e.image < ?"
        f" AND {_NAMING} GROUP BY e.image ORDER BY e.image LIMIT 2",
        (repository_id, tag, start, start + "\x7f"),
    )
    found = (numbered(tx, repository_id, tag, number) for _, number in rows)
    return [event for event in found if event is not None]


def in_force(tx: Transaction, repository_id: int, tag: str, time: float) -> TagEvent | None:
    """What the tag was at a moment; None where there was no such tag."""
    number = 2**62
    while True:
        rows = tx.fetch(
            f"{_OF_TAG} AND e.number < ? AND e.recorded_at <= ?"
            " AND (e.removed_at IS NULL OR e.removed_at > ?) ORDER BY e.number DESC LIMIT 1",
            (repository_id, tag, number, time, time),
        )
        if not rows:
            return None
        event = TagEvent(*rows[0])
        if event.how != UNDELETE:
            return None if event.how == DELETE else event
        number = event.number - 1  # the delete that it undid comes right before it


def revive(tx: Transaction, name: RepositoryName, digest: str) -> bool:
    """Make a manifest and what it lists live again, with their blobs; whether it is live now."""
    waiting, seen = [Digest(digest)], set[Digest]()
    while waiting and len(seen) < LIMIT:
        each = waiting.pop()
        seen.add(each)
        manifests.revive(tx, name, [each])
        waiting += [child for child in _children(tx, name, each) if child not in seen]
    return bool(manifests.known(tx, name, [Digest(digest)]))


def _children(tx: Transaction, name: RepositoryName, digest: Digest) -> list[Digest]:
    rows = tx.fetch(
        "SELECT u.digest FROM repositories r"
        " JOIN manifests m ON m.repository_id = r.id AND m.digest = ?"
        " JOIN child_uses u ON u.manifest_id = m.id WHERE r.name = ?",
        (digest, name),
    )
    return [Digest(child) for (child,) in rows]


async def images_beginning(
    db: Database, repository_id: int, start: str, limit: int
) -> Sequence[str]:
    """Images of shown histories, and live manifests of the stream, that begin so."""
    rows = await db.fetch(
        "SELECT DISTINCT e.image FROM tag_events e"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " WHERE e.repository_id = ? AND e.image >= ? AND e.image < ? AND e.image <> ''"
        f" AND e.number > t.hidden AND e.removed_at IS NULL AND {_NAMING}"
        " UNION SELECT digest FROM manifests"
        " WHERE repository_id = ? AND digest >= ? AND digest < ? AND deleted_at IS NULL"
        " ORDER BY 1 LIMIT ?",
        (repository_id, start, start + "\x7f", repository_id, start, start + "\x7f", limit),
    )
    return [image for (image,) in rows]
