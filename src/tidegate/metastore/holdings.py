"""What a repository's images are made of: manifests with their bytes, in the order of digests."""

from typing import NamedTuple

from tidegate.metastore.database import Database
from tidegate.oci.name import RepositoryName

AT_ONCE = 200
"""Manifests that are read at once, if they are small."""

BYTES = 4 * 1024 * 1024
"""Of manifests that are read at once; a single one may have as much."""


class Held(NamedTuple):
    """An image that a stream shows or holds. What is not known of it is None."""

    digest: str
    media_type: str | None
    content: bytes | None


_OF_STREAM = (
    "SELECT m.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id"
    " WHERE r.name = ? AND m.deleted_at IS NULL AND m.digest > ?"
    " UNION"
    " SELECT e.image FROM repositories r JOIN tag_events e ON e.repository_id = r.id"
    " JOIN stream_tags t ON t.repository_id = r.id AND t.name = e.tag"
    " WHERE r.name = ? AND e.image > ? AND e.image <> '' AND e.number > t.hidden"
    " AND e.removed_at IS NULL AND e.how NOT IN ('delete', 'undelete')"
)


async def read(db: Database, repository: RepositoryName, after: str) -> list[Held]:
    """The next images of shown histories and live manifests, tagged or not; none at the end."""
    rows = await db.scan(
        "SELECT part.digest, m.media_type, c.content FROM ("  # noqa: S608
        "SELECT digest, sum(size) OVER (ORDER BY digest) - size AS before FROM ("
        "SELECT i.digest, coalesce(length(c.content), 0) AS size FROM ("
        f"{_OF_STREAM} ORDER BY 1 LIMIT {AT_ONCE}) i"
        " LEFT JOIN contents c ON c.digest = i.digest) sized) part"
        " LEFT JOIN contents c ON c.digest = part.digest"
        " LEFT JOIN manifests m ON m.digest = part.digest"
        " AND m.repository_id = (SELECT id FROM repositories WHERE name = ?)"
        " WHERE part.before <= ? ORDER BY part.digest",
        (repository, after, repository, after, repository, BYTES),
    )
    return [Held(*row) for row in rows]


async def count(db: Database, repository: RepositoryName) -> int:
    """How many images there are of `read`."""
    rows = await db.scan(
        f"SELECT count(*) FROM ({_OF_STREAM}) images",  # noqa: S608
        (repository, "", repository, ""),
    )
    return int(rows[0][0])
