"""Tags of which something is wanted, with how far that was seen to: what importing begins with.

Reads outside of units: what is found is read again by who acts on it.
"""

from typing import NamedTuple

from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Row
from tidegate.oci.name import RepositoryName


class WantedTag(NamedTuple):
    """A tag. `spec` and `conditions` are JSON; None for one of which nothing is wanted any more.

    `generation` is that of the event which the tag is at; None when there is none.
    """

    name: str
    spec: str | None
    conditions: str | None
    generation: int | None
    changed: int = 0


_COLUMNS = "t.name, t.spec, t.conditions, e.generation, t.changed"
_JOINED = (
    " LEFT JOIN tag_events e ON e.repository_id = t.repository_id AND e.tag = t.name"
    " AND e.number = t.current"
)


async def of_stream(
    db: Database, stream: RepositoryName, after: str, limit: int
) -> list[WantedTag]:
    """Tags of a stream of which something is wanted, in the order of their names."""
    rows = await db.scan(
        f"SELECT {_COLUMNS} FROM repositories r JOIN stream_tags t ON t.repository_id = r.id"  # noqa: S608
        f"{_JOINED} WHERE r.name = ? AND t.spec IS NOT NULL AND t.name > ?"
        " ORDER BY t.name LIMIT ?",
        (stream, after, limit),
    )
    return [WantedTag(*row) for row in rows]


async def changed_since(
    db: Database, stream: RepositoryName, since: tuple[int, str], limit: int
) -> list[WantedTag]:
    """All tags of a stream that changed after a place in the order of (revision, name)."""
    rows = await db.scan(
        f"SELECT {_COLUMNS} FROM repositories r JOIN stream_tags t ON t.repository_id = r.id"  # noqa: S608
        f"{_JOINED} WHERE r.name = ? AND (t.changed, t.name) > (?, ?)"
        " ORDER BY t.changed, t.name LIMIT ?",
        (stream, *since, limit),
    )
    return [WantedTag(*row) for row in rows]


async def named(db: Database, stream: RepositoryName, names: list[str]) -> list[WantedTag]:
    """These tags, as far as there are any."""
    found: list[Row] = []
    for marks, values in batches(names):
        found += await db.fetch(
            f"SELECT {_COLUMNS} FROM repositories r JOIN stream_tags t ON t.repository_id = r.id"  # noqa: S608
            f"{_JOINED} WHERE r.name = ? AND t.name IN ({marks})",
            (stream, *values),
        )
    return [WantedTag(*row) for row in found]
