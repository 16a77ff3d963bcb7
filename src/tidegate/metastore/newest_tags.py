"""Tags of streams, each with no event but its newest: what lists of single tags are made of."""

from collections.abc import Sequence

from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database
from tidegate.metastore.stream_tags import ShownTag, TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.name import RepositoryName

_TAGS = (
    "SELECT t.repository_id, t.name, t.spec, t.tracks, t.conditions, t.hidden, t.newest, t.current,"
    " t.changed, e.number, e.created_at, e.recorded_at, e.reference, e.image, e.generation, e.how,"
    " e.who, e.removed_at, e.detail FROM stream_tags t LEFT JOIN tag_events e"
    " ON e.repository_id = t.repository_id AND e.tag = t.name AND e.number = t.current"
    " WHERE (t.spec IS NOT NULL OR t.current IS NOT NULL OR t.conditions IS NOT NULL) AND"
)
_WIDTH = len(TagRow._fields)


async def repository_ids(db: Database, names: Sequence[RepositoryName]) -> dict[str, int]:
    """Under which numbers the tags of these streams are; without those that never had a row."""
    found: dict[str, int] = {}
    for marks, values in batches(names):
        rows = await db.fetch(
            f"SELECT name, id FROM repositories WHERE name IN ({marks})",  # noqa: S608
            values,
        )
        found.update(dict(rows))
    return found


async def by_name(db: Database, repository_id: int, after: str, limit: int) -> list[ShownTag]:
    """Tags of one stream after `after`, in the order of their names."""
    rows = await db.scan(
        f"{_TAGS} t.repository_id = ? AND t.name > ? ORDER BY t.name LIMIT ?",
        (repository_id, after, limit),
    )
    return [_shown(row) for _, *row in rows]


async def of_streams(
    db: Database, repository_ids: Sequence[int], limit: int
) -> dict[int, list[ShownTag]] | None:
    """All tags of these streams in order, by stream; None when there are more than `limit`."""
    found: dict[int, list[ShownTag]] = {}
    for marks, values in batches(repository_ids):
        rows = await db.scan(
            f"{_TAGS} t.repository_id IN ({marks}) ORDER BY t.repository_id, t.name LIMIT ?",
            (*values, limit + 1),
        )
        limit -= len(rows)
        if limit < 0:
            return None
        for repository_id, *row in rows:
            found.setdefault(repository_id, []).append(_shown(row))
    return found


def _shown(row: Sequence[object]) -> ShownTag:
    tag, event = TagRow(*row[:_WIDTH]), row[_WIDTH:]  # type: ignore[arg-type]
    return ShownTag(tag, () if event[0] is None else (TagEvent(*event),))  # type: ignore[arg-type]
