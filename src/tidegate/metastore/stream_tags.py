"""Tags of image streams: what is wanted of each, and which of its events count.

A row stays when its tag is deleted, with neither spec nor a current event, so that the numbers of
events go on and the tag can be brought back. `changed` is the stream's revision of the last change.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.tag_events import SHOWN, TagEvent
from tidegate.oci.name import RepositoryName

_LIVE = "(t.spec IS NOT NULL OR t.current IS NOT NULL OR t.conditions IS NOT NULL)"
_COLUMNS = "t.name, t.spec, t.tracks, t.conditions, t.hidden, t.newest, t.current, t.changed"
_EVENT = (
    "e.number, e.created_at, e.recorded_at, e.reference, e.image, e.generation, e.how, e.who,"
    " e.removed_at, e.detail"
)

FARTHEST = 2**62
"""A revision after all others."""


class TagRow(NamedTuple):
    """A tag. `spec` and `conditions` are JSON; `tracks` is the tag of this stream it follows.

    `hidden`, `newest` and `current` are numbers of events (see `tag_events`).
    """

    name: str
    spec: str | None = None
    tracks: str | None = None
    conditions: str | None = None
    hidden: int = 0
    newest: int = 0
    current: int | None = None
    changed: int = 0

    @property
    def is_live(self) -> bool:
        """Whether there is such a tag, for anybody who asks."""
        return not (self.spec is None and self.current is None and self.conditions is None)


_WIDTH = len(TagRow._fields)


class ShownTag(NamedTuple):
    """A tag with the newest of its events, newest first."""

    row: TagRow
    events: Sequence[TagEvent]


class Stored(NamedTuple):
    """What is asked of a tag before it changes: its row and the event that it is at.

    `followed` tells that a tag of the stream tracks it, `older` that the registry has such a tag.
    """

    row: TagRow | None
    current: TagEvent | None
    followed: bool
    older: bool


_LOOK_UP = (
    f"SELECT {_COLUMNS}, {_EVENT},"  # noqa: S608
    " EXISTS (SELECT 1 FROM stream_tags f WHERE f.repository_id = ? AND f.tracks = ?),"
    " EXISTS (SELECT 1 FROM tags g WHERE g.repository_id = ? AND g.name = ?)"
    " FROM (SELECT 1 AS one) part"
    " LEFT JOIN stream_tags t ON t.repository_id = ? AND t.name = ?"
    " LEFT JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
    " AND e.number = t.current"
)


def look_up(tx: Transaction, repository_id: int, name: str) -> Stored:
    """All there is to know of a tag, in one statement."""
    ((*found, followed, older),) = tx.fetch(_LOOK_UP, (repository_id, name) * 3)
    row, event = found[:_WIDTH], found[_WIDTH:]
    return Stored(
        None if row[0] is None else TagRow(*row),
        None if event[0] is None else TagEvent(*event),
        bool(followed),
        bool(older),
    )


def find(tx: Transaction, repository_id: int, name: str) -> TagRow | None:
    """The row of a tag, deleted or not."""
    rows = tx.fetch(
        f"SELECT {_COLUMNS} FROM stream_tags t WHERE t.repository_id = ? AND t.name = ?",  # noqa: S608
        (repository_id, name),
    )
    return TagRow(*rows[0]) if rows else None


def put(tx: Transaction, repository_id: int, row: TagRow) -> None:
    """Create or replace the row of a tag."""
    tx.execute(
        "INSERT INTO stream_tags"
        " (repository_id, name, spec, tracks, conditions, hidden, newest, current, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repository_id, name) DO UPDATE SET"
        " spec = excluded.spec, tracks = excluded.tracks, conditions = excluded.conditions,"
        " hidden = excluded.hidden, newest = excluded.newest, current = excluded.current,"
        " changed = excluded.changed",
        (repository_id, *row),
    )


def tracking(tx: Transaction, repository_id: int, name: str) -> list[str]:
    """Tags of the stream that follow this one."""
    rows = tx.fetch(
        "SELECT name FROM stream_tags WHERE repository_id = ? AND tracks = ? ORDER BY name",
        (repository_id, name),
    )
    return [follower for (follower,) in rows]


def specs(tx: Transaction, repository_id: int, limit: int) -> list[str]:
    """The TagReferences of the stream, at most `limit`."""
    rows = tx.fetch(
        "SELECT spec FROM stream_tags WHERE repository_id = ? AND spec IS NOT NULL"
        " ORDER BY name LIMIT ?",
        (repository_id, limit),
    )
    return [spec for (spec,) in rows]


def count(tx: Transaction, repository_id: int) -> int:
    """How many tags the stream has."""
    rows = tx.fetch(
        f"SELECT count(*) FROM stream_tags t WHERE t.repository_id = ? AND {_LIVE}",  # noqa: S608
        (repository_id,),
    )
    return int(rows[0][0])


_CHANGED_LAST = (
    f"SELECT {_COLUMNS} FROM stream_tags t WHERE t.repository_id = ?"  # noqa: S608
    f" AND (t.changed, t.name) < (?, ?) AND {_LIVE} ORDER BY t.changed DESC, t.name DESC LIMIT ?"
)
_EVENTS_OF = (
    f"SELECT e.tag, {_EVENT} FROM stream_tags t"  # noqa: S608
    " JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
    f" AND e.number > t.hidden AND e.number > t.newest - {SHOWN} AND e.removed_at IS NULL"
    " AND e.how NOT IN ('delete', 'undelete')"
    " WHERE t.repository_id = ? AND (t.changed, t.name) < (?, ?) AND (t.changed, t.name) >= (?, ?)"
    " ORDER BY e.tag, e.number DESC"
)
_BY_NAME = (
    f"SELECT {_COLUMNS} FROM stream_tags t WHERE t.repository_id = ?"  # noqa: S608
    f" AND t.name > ? AND {_LIVE} ORDER BY t.name LIMIT ?"
)
_EVENTS_BY_NAME = (
    f"SELECT e.tag, {_EVENT} FROM stream_tags t"  # noqa: S608
    " JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
    f" AND e.number > t.hidden AND e.number > t.newest - {SHOWN} AND e.removed_at IS NULL"
    " AND e.how NOT IN ('delete', 'undelete')"
    " WHERE t.repository_id = ? AND t.name > ? AND t.name <= ?"
    " ORDER BY e.tag, e.number DESC"
)


def changed_last(
    tx: Transaction, repository_id: int, before: tuple[int, str], limit: int
) -> list[ShownTag]:
    """Tags in the order of their last change, newest first, after the place `before`."""
    rows = tx.fetch(_CHANGED_LAST, (repository_id, *before, limit))
    if not rows:
        return []
    last = TagRow(*rows[-1])
    events = tx.fetch(_EVENTS_OF, (repository_id, *before, last.changed, last.name))
    return _joined(rows, events)


async def read_changed_last(
    db: Database, repository_id: int, before: tuple[int, str], limit: int
) -> list[ShownTag]:
    """As `changed_last`, outside of a unit; what changes between its two reads may be missing."""
    rows = await db.scan(_CHANGED_LAST, (repository_id, *before, limit))
    if not rows:
        return []
    last = TagRow(*rows[-1])
    events = await db.scan(_EVENTS_OF, (repository_id, *before, last.changed, last.name))
    return _joined(rows, events)


async def read_by_name(db: Database, repository_id: int, after: str, limit: int) -> list[ShownTag]:
    """Tags after `after` in the order of their names."""
    rows = await db.scan(_BY_NAME, (repository_id, after, limit))
    if not rows:
        return []
    events = await db.scan(_EVENTS_BY_NAME, (repository_id, after, rows[-1][0]))
    return _joined(rows, events)


async def read_one(db: Database, repository_id: int, name: str) -> ShownTag | None:
    """One tag; None when there is none of that name."""
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM stream_tags t"  # noqa: S608
        f" WHERE t.repository_id = ? AND t.name = ? AND {_LIVE}",
        (repository_id, name),
    )
    if not rows:
        return None
    events = await db.fetch(
        f"SELECT e.tag, {_EVENT} FROM stream_tags t"  # noqa: S608
        " JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
        f" AND e.number > t.hidden AND e.number > t.newest - {SHOWN} AND e.removed_at IS NULL"
        " AND e.how NOT IN ('delete', 'undelete')"
        " WHERE t.repository_id = ? AND t.name = ? ORDER BY e.number DESC",
        (repository_id, name),
    )
    return _joined(rows, events)[0]


async def read_specs(
    db: Database, repository: RepositoryName, names: Sequence[str]
) -> dict[str, str]:
    """The TagReferences of those tags of a stream of which something is wanted."""
    found: dict[str, str] = {}
    for marks, values in batches(names):
        rows = await db.fetch(
            "SELECT t.name, t.spec FROM stream_tags t"  # noqa: S608
            " WHERE t.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            f" AND t.name IN ({marks}) AND t.spec IS NOT NULL",
            (repository, *values),
        )
        found.update(rows)
    return found


class Extent(NamedTuple):
    """About how much a stream is to read: its repository, and its tags and events up to a bound."""

    repository_id: int
    tags: int
    events: int


async def read_extents(
    db: Database, names: Sequence[RepositoryName], bound: int
) -> dict[RepositoryName, Extent]:
    """How much the streams of these repositories are, counted to `bound`."""
    found: dict[RepositoryName, Extent] = {}
    for marks, values in batches(names):
        rows = await db.fetch(
            "SELECT r.name, r.id,"  # noqa: S608
            " (SELECT count(*) FROM (SELECT 1 FROM stream_tags t"
            f" WHERE t.repository_id = r.id AND {_LIVE} LIMIT ?) tagged),"
            " (SELECT count(*) FROM (SELECT 1 FROM tag_events e"
            " WHERE e.repository_id = r.id LIMIT ?) happened)"
            f" FROM repositories r WHERE r.name IN ({marks})",
            (bound, bound, *values),
        )
        found.update((RepositoryName(name), Extent(*rest)) for name, *rest in rows)
    return found


async def read_whole(
    db: Database, repository_ids: Sequence[int], *, few: bool
) -> dict[int, list[ShownTag]]:
    """All tags of some streams, in no order; `few` says that they are read at once."""
    read = db.fetch if few else db.scan
    found: dict[int, list[ShownTag]] = {}
    for marks, values in batches(repository_ids):
        rows = await read(
            f"SELECT t.repository_id, {_COLUMNS} FROM stream_tags t"  # noqa: S608
            f" WHERE t.repository_id IN ({marks}) AND {_LIVE}",
            values,
        )
        events = await read(
            f"SELECT t.repository_id, e.tag, {_EVENT} FROM stream_tags t"  # noqa: S608
            " JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
            f" AND e.number > t.hidden AND e.number > t.newest - {SHOWN} AND e.removed_at IS NULL"
            " AND e.how NOT IN ('delete', 'undelete')"
            f" WHERE t.repository_id IN ({marks}) ORDER BY t.repository_id, e.tag, e.number DESC",
            values,
        )
        of_tag: dict[tuple[int, str], list[TagEvent]] = {}
        for repository_id, tag, *event in events:
            of_tag.setdefault((repository_id, tag), []).append(TagEvent(*event))
        for repository_id, *row in rows:
            shown = ShownTag(TagRow(*row), of_tag.get((repository_id, row[0]), ()))
            found.setdefault(repository_id, []).append(shown)
    return found


_EVENT_BYTES, _TAG_BYTES = 512, 128
"""More than one event, or a tag without any, adds to a rendered stream."""


def weight_from(tx: Transaction, repository_id: int, place: tuple[int, str], bound: int) -> int:
    """Bytes at most of the tags that changed at or after a place (`changed`, name), as they are
    rendered; counted until they are more than `bound`."""
    rows = tx.fetch(
        "SELECT sum(weight) FROM ("  # noqa: S608
        "SELECT coalesce(length(t.spec), 0) + coalesce(length(t.conditions), 0) +"
        f" {_TAG_BYTES} + {_EVENT_BYTES} * CASE WHEN t.newest - t.hidden > {SHOWN} THEN {SHOWN}"
        " ELSE t.newest - t.hidden END AS weight FROM stream_tags t"
        f" WHERE t.repository_id = ? AND (t.changed, t.name) >= (?, ?) AND {_LIVE}"
        " ORDER BY t.changed, t.name LIMIT ?) part",
        (repository_id, *place, bound // _TAG_BYTES + 1),
    )
    return int(rows[0][0] or 0)


async def read_count(db: Database, repository_id: int) -> int:
    """How many tags a stream has."""
    rows = await db.scan(
        f"SELECT count(*) FROM stream_tags t WHERE t.repository_id = ? AND {_LIVE}",  # noqa: S608
        (repository_id,),
    )
    return int(rows[0][0])


async def read_older(db: Database, repository_id: int) -> int:
    """How many events of a stream's tags are not among those that are shown."""
    rows = await db.scan(
        "SELECT count(*) FROM stream_tags t"  # noqa: S608
        " JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
        f" AND e.number > t.hidden AND e.number <= t.newest - {SHOWN} AND e.removed_at IS NULL"
        " AND e.how NOT IN ('delete', 'undelete')"
        f" WHERE t.repository_id = ? AND t.newest - t.hidden > {SHOWN}",
        (repository_id,),
    )
    return int(rows[0][0])


def _joined(rows: Sequence[Sequence[object]], events: Sequence[Sequence[object]]) -> list[ShownTag]:
    of_tag: dict[object, list[TagEvent]] = {}
    for tag, *event in events:
        of_tag.setdefault(tag, []).append(TagEvent(*event))  # type: ignore[arg-type]
    return [
        ShownTag(TagRow(*row), of_tag.get(row[0], ()))  # type: ignore[arg-type]
        for row in rows
    ]


async def read_changed_at(
    db: Database, name: RepositoryName, revision: int
) -> list[tuple[TagRow, TagEvent | None]]:
    """Tags of a stream whose last change was at this revision, deleted ones too, at most `SHOWN`.

    With each what it names now.
    """
    rows = await db.fetch(
        f"SELECT {_COLUMNS}, {_EVENT} FROM repositories r"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = r.id"
        " LEFT JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
        " AND e.number = t.current"
        " WHERE r.name = ? AND t.changed = ? ORDER BY t.name LIMIT ?",
        (name, revision, SHOWN),
    )
    return [
        (TagRow(*row[:_WIDTH]), None if row[_WIDTH] is None else TagEvent(*row[_WIDTH:]))
        for row in rows
    ]
