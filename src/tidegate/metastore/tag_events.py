"""Events of tags: which image a tag named since when, who made it so and how.

    number 1 ........ hidden | hidden+1 ... current (the newest that is not removed)
      a deleted past         | what the stream shows, newest first

Events are appended and never leave by themselves. One that was pruned from the shown history is
marked `removed_at`; an event `delete` or `undelete` tells of the tag and names no image.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

DELETE, UNDELETE = "delete", "undelete"
"""Events of the tag itself."""

SHOWN = 100
"""Events of one tag that a rendered stream shows at most; the others are in its history."""

FARTHEST = 2**62
"""A number after all others."""


class TagEvent(NamedTuple):
    """One event. `reference` is a pull spec, or "/NS/NAME@DIGEST" for one of this registry.

    `created_at` is what clients are shown, `recorded_at` when it came about here: copying a tag
    keeps the first. `detail` is what it was copied from, or JSON of what a delete undid.
    """

    number: int
    created_at: float
    recorded_at: float
    reference: str
    image: str
    generation: int
    how: str
    who: str
    removed_at: float | None = None
    detail: str | None = None


_COLUMNS = (
    "e.number, e.created_at, e.recorded_at, e.reference, e.image, e.generation, e.how, e.who,"
    " e.removed_at, e.detail"
)
_VISIBLE = f"e.removed_at IS NULL AND e.how NOT IN ('{DELETE}', '{UNDELETE}')"


def find(tx: Transaction, repository_id: int, tag: str, number: int) -> TagEvent | None:
    """One event of a tag."""
    rows = tx.fetch(
        f"SELECT {_COLUMNS} FROM tag_events e"  # noqa: S608
        " WHERE e.repository_id = ? AND e.tag = ? AND e.number = ?",
        (repository_id, tag, number),
    )
    return TagEvent(*rows[0]) if rows else None


def newest_visible(tx: Transaction, repository_id: int, tag: str, hidden: int) -> TagEvent | None:
    """What a tag is whose events up to `hidden` are past."""
    rows = tx.fetch(
        f"SELECT {_COLUMNS} FROM tag_events e WHERE e.repository_id = ? AND e.tag = ?"  # noqa: S608
        f" AND e.number > ? AND {_VISIBLE} ORDER BY e.number DESC LIMIT 1",
        (repository_id, tag, hidden),
    )
    return TagEvent(*rows[0]) if rows else None


def visible(
    tx: Transaction, repository_id: int, tag: str, hidden: int, limit: int
) -> list[TagEvent]:
    """The newest events that are shown of a tag, newest first."""
    rows = tx.fetch(
        f"SELECT {_COLUMNS} FROM tag_events e WHERE e.repository_id = ? AND e.tag = ?"  # noqa: S608
        f" AND e.number > ? AND {_VISIBLE} ORDER BY e.number DESC LIMIT ?",
        (repository_id, tag, hidden, limit),
    )
    return [TagEvent(*row) for row in rows]


def append(tx: Transaction, repository_id: int, tag: str, event: TagEvent) -> None:
    """Add an event; its number is the next one of the tag."""
    tx.execute(
        "INSERT INTO tag_events (repository_id, tag, number, created_at, recorded_at, reference,"
        " image, generation, how, who, removed_at, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (repository_id, tag, *event),
    )


def amend(tx: Transaction, repository_id: int, tag: str, event: TagEvent) -> None:
    """Change reference, image and generation of an event in its place."""
    tx.execute(
        "UPDATE tag_events SET reference = ?, image = ?, generation = ?"
        " WHERE repository_id = ? AND tag = ? AND number = ?",
        (event.reference, event.image, event.generation, repository_id, tag, event.number),
    )


def remove(
    tx: Transaction, repository_id: int, tag: str, numbers: Sequence[int], now: float
) -> None:
    """Take events out of the shown history."""
    tx.execute_many(
        "UPDATE tag_events SET removed_at = ?"
        " WHERE repository_id = ? AND tag = ? AND number = ? AND removed_at IS NULL",
        [(now, repository_id, tag, number) for number in numbers],
    )


def images_up_to(tx: Transaction, repository_id: int, limit: int) -> int:
    """How many different images the shown histories of a stream name, counted to `limit`."""
    rows = tx.fetch(
        "SELECT count(*) FROM (SELECT DISTINCT e.image FROM tag_events e"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        f" WHERE e.repository_id = ? AND e.image <> '' AND e.number > t.hidden AND {_VISIBLE}"
        " LIMIT ?) part",
        (repository_id, limit),
    )
    return int(rows[0][0])


def names_image(tx: Transaction, repository_id: int, image: str) -> bool:
    """Whether a shown history of the stream names the image."""
    rows = tx.fetch(
        "SELECT 1 FROM tag_events e"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " WHERE e.repository_id = ? AND e.image = ? AND e.image <> '' AND e.number > t.hidden"
        f" AND {_VISIBLE} LIMIT 1",
        (repository_id, image),
    )
    return bool(rows)


def brings_images(tx: Transaction, repository_id: int, tag: str, hidden: int) -> bool:
    """Whether the events of a deleted tag after `hidden` name an image that no tag shows."""
    shown = (
        "SELECT 1 FROM tag_events o JOIN stream_tags t"  # noqa: S608
        " ON t.repository_id = o.repository_id AND t.name = o.tag"
        " WHERE o.repository_id = e.repository_id AND o.image = e.image AND o.image <> ''"
        f" AND o.number > t.hidden AND {_VISIBLE.replace('e.', 'o.')}"
    )
    rows = tx.fetch(
        "SELECT 1 FROM tag_events e WHERE e.repository_id = ? AND e.tag = ? AND e.number > ?"  # noqa: S608
        f" AND e.image <> '' AND {_VISIBLE} AND NOT EXISTS ({shown}) LIMIT 1",
        (repository_id, tag, hidden),
    )
    return bool(rows)


def naming(tx: Transaction, repository_id: int, image: str) -> list[tuple[str, TagEvent]]:
    """Every shown event of the stream that names the image, with its tag."""
    rows = tx.fetch(
        f"SELECT e.tag, {_COLUMNS} FROM tag_events e"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " WHERE e.repository_id = ? AND e.image = ? AND e.image <> '' AND e.number > t.hidden"
        f" AND {_VISIBLE} ORDER BY e.tag, e.number DESC",
        (repository_id, image),
    )
    return [(tag, TagEvent(*event)) for tag, *event in rows]


def of_image(tx: Transaction, repository_id: int, start: str, limit: int) -> list[str]:
    """Images in shown histories of the stream whose name begins with `start`, in order."""
    rows = tx.fetch(
        "SELECT DISTINCT e.image FROM tag_events e"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " WHERE e.repository_id = ? AND e.image >= ? AND e.image < ? AND e.image <> ''"
        f" AND e.number > t.hidden AND {_VISIBLE} ORDER BY e.image LIMIT ?",
        (repository_id, start, start + "\x7f", limit),
    )
    return [image for (image,) in rows]


def holders(tx: Transaction, image: str, limit: int) -> list[str]:
    """Tags `NS/NAME:TAG` of streams that there are whose shown history names the image."""
    rows = tx.fetch(
        "SELECT DISTINCT r.name, e.tag FROM tag_events e"  # noqa: S608
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " JOIN repositories r ON r.id = e.repository_id"
        " WHERE e.image = ? AND e.image <> '' AND e.number > t.hidden"
        f" AND r.name NOT LIKE '%~%' AND {_VISIBLE} LIMIT ?",
        (image, limit),
    )
    return [f"{name}:{tag}" for name, tag in rows]


async def history(
    db: Database, repository: RepositoryName, tag: str, before: int, limit: int
) -> list[TagEvent]:
    """All events of a tag with numbers under `before`, newest first, whatever became of them."""
    rows = await db.scan(
        f"SELECT {_COLUMNS} FROM tag_events e"  # noqa: S608
        " WHERE e.repository_id = (SELECT id FROM repositories WHERE name = ?)"
        " AND e.tag = ? AND e.number < ? ORDER BY e.number DESC LIMIT ?",
        (repository, tag, before, limit),
    )
    return [TagEvent(*row) for row in rows]


async def as_of(db: Database, repository: RepositoryName, tag: Tag, time: float) -> Digest | None:
    """The image that the tag named at a moment, None where it named none that is known.

    What was pruned since counts, what was pruned by then does not.
    """
    before, undone = FARTHEST, False
    while True:
        rows = await db.fetch(
            "SELECT e.number, e.how, e.image FROM tag_events e"
            " WHERE e.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            " AND e.tag = ? AND e.number < ? AND e.recorded_at <= ?"
            " AND (e.removed_at IS NULL OR e.removed_at > ?) ORDER BY e.number DESC LIMIT 1",
            (repository, tag, before, time, time),
        )
        if not rows:
            return None
        ((before, how, image),) = rows
        if how == UNDELETE:
            undone = True
        elif how == DELETE and undone:
            undone = False
        else:
            return Digest(image) if image else None
