"""Tags as those see them who follow them: what each names now, and which changed last.

Reads outside of units. A tag that is deleted is not there; one whose spec names an image that was
never seen is there without an event.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database
from tidegate.metastore.tag_events import DELETE, UNDELETE
from tidegate.oci.name import RepositoryName

_LIVE = "(t.spec IS NOT NULL OR t.current IS NOT NULL OR t.conditions IS NOT NULL)"
_EVENT = "e.reference, e.image, e.recorded_at"
_JOINED = (
    " FROM repositories r JOIN stream_tags t ON t.repository_id = r.id LEFT JOIN tag_events e"
    " ON e.repository_id = t.repository_id AND e.tag = t.name AND e.number = t.current"
)


class FollowedTag(NamedTuple):
    """A tag and the event that it is at; `spec` is its TagReference as JSON.

    `reference`, `image` and `since` (when it came about) are None for a tag that names nothing yet.
    """

    name: str
    spec: str | None
    reference: str | None
    image: str | None
    since: float | None


async def named(
    db: Database, stream: RepositoryName, names: Sequence[str]
) -> dict[str, FollowedTag]:
    """These tags of a stream, without those that are not there."""
    found: dict[str, FollowedTag] = {}
    for marks, values in batches(names):
        rows = await db.fetch(
            f"SELECT t.name, t.spec, {_EVENT}{_JOINED}"
            f" WHERE r.name = ? AND t.name IN ({marks}) AND {_LIVE}",
            (stream, *values),
        )
        found.update((row[0], FollowedTag(*row)) for row in rows)
    return found


class ChangedTag(NamedTuple):
    """A tag by its place in the order of changes; `live` is False for one that is deleted."""

    changed: int
    name: str
    live: bool


FARTHEST = (2**62, "")
"""A place after all others."""


async def changed_last(
    db: Database,
    stream: RepositoryName,
    before: tuple[int, str],
    since: int,
    limit: int,
) -> list[ChangedTag]:
    """Tags that changed at revision `since` or later, the last first, after the place `before`."""
    rows = await db.scan(
        f"SELECT t.changed, t.name, {_LIVE} AND t.current IS NOT NULL"  # noqa: S608  our own names
        " FROM stream_tags t JOIN repositories r ON r.id = t.repository_id"
        " WHERE r.name = ? AND t.changed >= ? AND (t.changed, t.name) < (?, ?)"
        " ORDER BY t.changed DESC, t.name DESC LIMIT ?",
        (stream, since, *before, limit),
    )
    return [ChangedTag(changed, name, bool(live)) for changed, name, live in rows]


class Stay(NamedTuple):
    """That a tag named an image, from when to when; `end` is None while it does."""

    image: str
    begin: float
    end: float | None


STAYS = 1000
"""Events of a tag that are looked through, the newest."""


async def stays(db: Database, stream: RepositoryName, tag: str) -> list[Stay]:
    """What a tag named one after the other, the oldest first; a deletion ends a stay."""
    rows = await db.scan(
        "SELECT e.image, e.how, e.recorded_at FROM tag_events e"
        " JOIN repositories r ON r.id = e.repository_id"
        " WHERE r.name = ? AND e.tag = ? AND e.removed_at IS NULL"
        " ORDER BY e.number DESC LIMIT ?",
        (stream, tag, STAYS),
    )
    found: list[Stay] = []
    named = ""
    for image, how, begin in reversed(rows):
        if found:
            found[-1] = found[-1]._replace(end=begin)
        if how not in (DELETE, UNDELETE):
            named = image
        found.append(Stay("" if how == DELETE else named, begin, None))
    return found
