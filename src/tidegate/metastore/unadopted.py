"""What a version without image streams stored: repositories, tags and manifests to take over.

Read a part at a time, each along a unique key; what was taken over already is in the parts too,
and marked, so that a part costs the same however much of it is done. Every statement begins with
the rows of the part, to which an engine that knows nothing of the tables' sizes can but look up the
rest. A repository of a deleted stream (`NS/NAME~UID`) is of a version that had streams.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore import deleted
from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

ASIDE = "~"
"""What the names of deleted streams' repositories contain, and no others."""


class OlderRepository(NamedTuple):
    """A repository; whether it has live manifests, hence should be a stream."""

    id: int
    name: str
    holds_manifests: bool


class OlderTag(NamedTuple):
    """A tag of the registry; whether its stream knows it."""

    repository_id: int
    name: str
    repository: str
    known: bool


class OlderManifest(NamedTuple):
    """A live manifest; whether there is an Image of it."""

    id: int
    repository: str
    digest: Digest
    media_type: str
    size: int
    known: bool


class Content(NamedTuple):
    """The bytes of a manifest, and when it was pushed, wherever that was first."""

    content: bytes
    pushed_at: float


async def repositories(db: Database, after: int, limit: int) -> list[OlderRepository]:
    """Repositories with ids after `after`."""
    rows = await db.scan(
        "SELECT r.id, r.name, EXISTS (SELECT 1 FROM manifests m"
        " WHERE m.repository_id = r.id AND m.deleted_at IS NULL)"
        " FROM (SELECT id, name FROM repositories WHERE id > ? ORDER BY id LIMIT ?) r"
        " ORDER BY r.id",
        (after, limit),
    )
    return [OlderRepository(key, name, bool(holds)) for key, name, holds in rows]


async def tags(db: Database, after: tuple[int, str], limit: int) -> list[OlderTag]:
    """Tags after a place in the order of (repository_id, name)."""
    rows = await db.scan(
        "SELECT t.repository_id, t.name, r.name, s.name IS NOT NULL FROM"
        " (SELECT repository_id, name FROM tags WHERE (repository_id, name) > (?, ?)"
        " ORDER BY repository_id, name LIMIT ?) t"
        " JOIN repositories r ON r.id = t.repository_id"
        " LEFT JOIN stream_tags s ON s.repository_id = t.repository_id AND s.name = t.name"
        " ORDER BY t.repository_id, t.name",
        (*after, limit),
    )
    return [OlderTag(key, tag, name, bool(known)) for key, tag, name, known in rows]


async def manifests(db: Database, after: int, limit: int) -> list[OlderManifest]:
    """Live manifests with ids after `after`."""
    rows = await db.scan(
        "SELECT m.id, r.name, m.digest, m.media_type, m.size, d.name IS NOT NULL FROM"
        " (SELECT id, repository_id, digest, media_type, size FROM manifests"
        " WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?) m"
        " JOIN repositories r ON r.id = m.repository_id"
        " LEFT JOIN documents d ON d.resource = ? AND d.namespace = '' AND d.name = m.digest"
        " ORDER BY m.id",
        (after, limit, deleted.IMAGES),
    )
    return [
        OlderManifest(key, name, Digest(digest), media_type, size, bool(known))
        for key, name, digest, media_type, size, known in rows
    ]


async def content(db: Database, digest: Digest) -> Content | None:
    """What there is of a manifest; None when it went meanwhile."""
    rows = await db.fetch(
        "SELECT c.content, (SELECT min(m.pushed_at) FROM manifests m WHERE m.content_id = c.id)"
        " FROM contents c WHERE c.digest = ?",
        (digest,),
    )
    if not rows or rows[0][1] is None:
        return None
    return Content(bytes(rows[0][0]), rows[0][1])


_FIRST_PUSH = "SELECT min(pushed_at) FROM manifests WHERE repository_id = ?"


async def first_push(db: Database, repository_id: int) -> float | None:
    """When the repository was first pushed to, as far as its manifests tell; reads all of them."""
    ((first,),) = await db.scan(_FIRST_PUSH, (repository_id,))
    return None if first is None else float(first)


def first_push_now(tx: Transaction, repository_id: int) -> float | None:
    """As `first_push`, within the unit that makes the stream."""
    ((first,),) = tx.fetch(_FIRST_PUSH, (repository_id,))
    return None if first is None else float(first)


def tag(tx: Transaction, repository_id: int, name: str) -> tuple[Digest, float] | None:
    """What the registry's tag names, and since when; None when there is no such tag."""
    rows = tx.fetch(
        "SELECT m.digest, t.updated_at FROM tags t JOIN manifests m ON m.id = t.manifest_id"
        " WHERE t.repository_id = ? AND t.name = ?",
        (repository_id, name),
    )
    return (Digest(rows[0][0]), rows[0][1]) if rows else None


_GIVEN_EVENTS = (
    "INSERT INTO tag_events (repository_id, tag, number, created_at, recorded_at, reference,"
    " image, generation, how, who)"
    " SELECT t.repository_id, t.name, 1, t.updated_at, t.updated_at, ? || m.digest, m.digest,"
    " 1, 'push', '' FROM tags t JOIN manifests m ON m.id = t.manifest_id"
    " LEFT JOIN stream_tags s ON s.repository_id = t.repository_id AND s.name = t.name"
    " WHERE t.repository_id = ? AND t.name IN ({}) AND s.name IS NULL"
)
_GIVEN_TAGS = (
    "INSERT INTO stream_tags (repository_id, name, hidden, newest, current, changed)"
    " SELECT repository_id, name, 0, 1, 1, ? FROM tags"
    " WHERE repository_id = ? AND name IN ({}) ON CONFLICT (repository_id, name) DO NOTHING"
)


def give_events(
    tx: Transaction,
    repository_id: int,
    repository: RepositoryName,
    names: Sequence[str],
    revision: int,
) -> None:
    """Give each of these tags that its stream does not know the event of its push, all at once.

    As `images.streams.inherited` does for one; `revision` is the stream's that shows them.
    """
    for marks, values in batches(names):
        tx.execute(
            _GIVEN_EVENTS.format(marks),
            (f"/{repository}@", repository_id, *values),
        )
        tx.execute(_GIVEN_TAGS.format(marks), (revision, repository_id, *values))


async def count_tags(db: Database, after: tuple[int, str]) -> int:
    """How many tags there are after a place; reads them all."""
    rows = await db.scan(
        "SELECT count(*) FROM tags WHERE (repository_id, name) > (?, ?)",
        after,
    )
    return int(rows[0][0])


async def count_manifests(db: Database, after: int) -> int:
    """How many live manifests have ids after `after`; reads them all."""
    rows = await db.scan(
        "SELECT count(*) FROM manifests WHERE id > ? AND deleted_at IS NULL", (after,)
    )
    return int(rows[0][0])
