"""When tags that come from other registries were last looked at there, and what they were.

Bookkeeping beside the streams: no revision, no change that a watch tells of. A look that finds what
is here already writes nothing else. `digest` is what the other registry's tag names, of an index
the index's, also where one of its images was imported.
"""

from typing import NamedTuple

from tidegate.metastore import repositories
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.name import RepositoryName


class TagCheck(NamedTuple):
    """A tag's last look: `upstream` is the pull spec that was looked at, times are in seconds.

    `checked_at` and `digest` are of the last look that brought something (0.0 and "" when none
    did); `failed_at` and `error` of a later one that did not.
    """

    upstream: str
    checked_at: float = 0.0
    digest: str = ""
    failed_at: float | None = None
    error: str = ""


_FIND = (
    "SELECT upstream, checked_at, digest, failed_at, error FROM tag_checks"
    " WHERE repository_id = {} AND tag = ?"
)


async def find(db: Database, repository: RepositoryName, tag: str) -> TagCheck | None:
    """The last look at a tag; None before the first."""
    sql = _FIND.format("(SELECT id FROM repositories WHERE name = ?)")
    rows = await db.fetch(sql, (repository, tag))
    return TagCheck(*rows[0]) if rows else None


def seen(
    tx: Transaction, repository_id: int, tag: str, upstream: str, digest: str, now: float
) -> None:
    """A look found this."""
    tx.execute(
        "INSERT INTO tag_checks (repository_id, tag, upstream, checked_at, digest, error)"
        " VALUES (?, ?, ?, ?, ?, '') ON CONFLICT (repository_id, tag) DO UPDATE SET"
        " upstream = excluded.upstream, checked_at = excluded.checked_at,"
        " digest = excluded.digest, failed_at = NULL, error = ''",
        (repository_id, tag, upstream, now, digest),
    )


def failed(
    tx: Transaction, repository_id: int, tag: str, upstream: str, error: str, now: float
) -> None:
    """A look brought nothing; what earlier ones of the same upstream found stays."""
    tx.execute(
        "INSERT INTO tag_checks"
        " (repository_id, tag, upstream, checked_at, digest, failed_at, error)"
        " VALUES (?, ?, ?, 0.0, '', ?, ?) ON CONFLICT (repository_id, tag) DO UPDATE SET"
        " checked_at = CASE WHEN tag_checks.upstream = excluded.upstream"
        " THEN tag_checks.checked_at ELSE 0.0 END,"
        " digest = CASE WHEN tag_checks.upstream = excluded.upstream"
        " THEN tag_checks.digest ELSE '' END,"
        " upstream = excluded.upstream, failed_at = excluded.failed_at, error = excluded.error",
        (repository_id, tag, upstream, now, error),
    )


async def note_seen(
    db: Database, repository: RepositoryName, tag: str, upstream: str, digest: str, now: float
) -> None:
    """As `seen`, for a look that changes nothing else; nothing where there is no repository."""

    def unit(tx: Transaction) -> None:
        repository_id = repositories.find(tx, repository)
        if repository_id is not None:
            seen(tx, repository_id, tag, upstream, digest, now)

    await db.write(unit, durable=False)


def forget(tx: Transaction, repository_id: int, tag: str) -> None:
    """The tag comes from elsewhere no more."""
    tx.execute("DELETE FROM tag_checks WHERE repository_id = ? AND tag = ?", (repository_id, tag))
