"""What holds an image, so that it may not be deleted, and which images lists leave out.

    held by     a tag event of a stream, shown or past what a rendered stream shows of it
                a live manifest in a repository: pushed by digest, child, signature, SBOM
                an index in a repository that names it
    not held    what a deleted stream or tag had (it may come back, and brings its images along)

A signature is held where it is a live manifest, and holds nothing itself: it goes with what it
signs. Repositories of deleted streams have a "~" in their names.
"""

from collections.abc import Sequence

from tidegate.metastore import tag_events
from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.deleted import IMAGES
from tidegate.metastore.tag_events import SHOWN

_LIVE = "m.deleted_at IS NULL AND r.name NOT LIKE '%~%'"
_STREAM = (
    "JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
    " JOIN repositories r ON r.id = e.repository_id AND r.name NOT LIKE '%~%'"
)
_HELD_EVENT = "e.number > t.hidden AND e.removed_at IS NULL AND e.how NOT IN ('delete', 'undelete')"
_SHOWN_EVENT = f"{_HELD_EVENT} AND e.number > t.newest - {SHOWN}"

_UNLISTED = (
    "SELECT d.name FROM documents d"  # noqa: S608 - placeholders
    " WHERE d.resource = ? AND d.namespace = '' AND d.name IN ({marks})"
    # shown in the history of a tag, or a child of such an index
    f" AND NOT EXISTS (SELECT 1 FROM tag_events e {_STREAM}"
    f" WHERE e.image = d.name AND e.image <> '' AND {_SHOWN_EVENT})"
    " AND NOT EXISTS (SELECT 1 FROM child_uses u JOIN manifests m ON m.id = u.manifest_id"
    f" JOIN tag_events e ON e.image = m.digest AND e.image <> '' {_STREAM}"
    f" WHERE u.digest = d.name AND {_SHOWN_EVENT})"
    # and held all the same
    " AND (EXISTS (SELECT 1 FROM contents c JOIN manifests m ON m.content_id = c.id"
    f" JOIN repositories r ON r.id = m.repository_id WHERE c.digest = d.name AND {_LIVE})"
    f" OR EXISTS (SELECT 1 FROM tag_events e {_STREAM}"
    f" WHERE e.image = d.name AND e.image <> '' AND {_HELD_EVENT})"
    " OR EXISTS (SELECT 1 FROM child_uses u JOIN manifests m ON m.id = u.manifest_id"
    f" JOIN repositories r ON r.id = m.repository_id WHERE u.digest = d.name AND {_LIVE}))"
)


def holder_of(tx: Transaction, image: str) -> str | None:
    """One of those that hold an image, as people call it; None when nothing does."""
    tags = tag_events.holders(tx, image, 1)
    if tags:
        return tags[0]
    rows = tx.fetch(
        "SELECT r.name FROM contents c JOIN manifests m ON m.content_id = c.id"  # noqa: S608
        f" JOIN repositories r ON r.id = m.repository_id WHERE c.digest = ? AND {_LIVE} LIMIT 1",
        (image,),
    )
    if rows:
        return f"{rows[0][0]}@{image}"
    rows = tx.fetch(
        "SELECT r.name, m.digest FROM child_uses u JOIN manifests m ON m.id = u.manifest_id"  # noqa: S608
        f" JOIN repositories r ON r.id = m.repository_id WHERE u.digest = ? AND {_LIVE} LIMIT 1",
        (image,),
    )
    return f"{rows[0][0]}@{rows[0][1]}, an index that names it" if rows else None


async def unlisted(db: Database, images: Sequence[str]) -> set[str]:
    """Those of the stored `images` that are held, but by nothing that streams show."""
    found: set[str] = set()
    for marks, values in batches(images):
        rows = await db.scan(_UNLISTED.format(marks=marks), (IMAGES, *values))
        found.update(name for (name,) in rows)
    return found


def referring(tx: Transaction, image: str, limit: int) -> list[str]:
    """Manifests of any repository whose subject the image is, deleted or not, at most `limit`."""
    rows = tx.fetch(
        "SELECT DISTINCT f.digest FROM contents c JOIN manifests m ON m.content_id = c.id"
        " JOIN manifests f ON f.repository_id = m.repository_id AND f.subject = m.digest"
        " WHERE c.digest = ? ORDER BY f.digest LIMIT ?",
        (image, limit),
    )
    return [digest for (digest,) in rows]


def deleted_of(tx: Transaction, repository_id: int, limit: int) -> list[str]:
    """Deleted images that a repository has, or that an event of it names, at most `limit`.

    What it costs depends on the repository, not on what everybody else has deleted.
    """
    rows = tx.fetch(
        "SELECT DISTINCT d.name FROM deleted_documents d"
        " WHERE d.resource = ? AND d.namespace = '' AND d.name IN ("
        "SELECT digest FROM manifests WHERE repository_id = ? AND deleted_at IS NULL"
        " UNION SELECT image FROM tag_events WHERE repository_id = ? AND image <> '')"
        " AND NOT EXISTS (SELECT 1 FROM documents o"
        " WHERE o.resource = d.resource AND o.namespace = '' AND o.name = d.name)"
        " ORDER BY d.name LIMIT ?",
        (IMAGES, repository_id, repository_id, limit),
    )
    return [name for (name,) in rows]
