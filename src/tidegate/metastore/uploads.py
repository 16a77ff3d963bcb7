"""Upload sessions: how far each upload has come, so that any process can continue it.

A row says less than the upload's file may hold, never more: bytes first, then the row. Its changes
are bookkeeping of one row (`write(..., durable=False)`) and are not in the change log.
"""

from typing import NamedTuple

from tidegate.metastore.database import Database, Row, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_COLUMNS = "id, repository, algorithm, received, digest, created_at, updated_at"


class Upload(NamedTuple):
    """A session: `offset` bytes are in, whose digest in `algorithm` is `digest` if known.

    `created` and `updated` are seconds since the epoch.
    """

    id: str
    repository: RepositoryName
    algorithm: str
    offset: int
    digest: Digest | None
    created: float
    updated: float


def create(tx: Transaction, upload: Upload) -> None:
    tx.execute(
        f"INSERT INTO uploads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        upload,
    )


async def find(db: Database, upload_id: str) -> Upload | None:
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM uploads WHERE id = ?", (upload_id,))  # noqa: S608
    return _upload(rows[0]) if rows else None


def advance(
    tx: Transaction, upload: Upload, offset: int, digest: Digest | None, now: float
) -> bool:
    """Move the session on from where `upload` saw it; False when it has moved or gone since."""
    moved = tx.execute(
        "UPDATE uploads SET received = ?, digest = ?, updated_at = ?"
        " WHERE id = ? AND repository = ? AND received = ?",
        (offset, digest, now, upload.id, upload.repository, upload.offset),
    )
    return moved > 0


def finish(tx: Transaction, upload_id: str) -> bool:
    """End the session, whatever came of it; False when it had ended."""
    return tx.execute("DELETE FROM uploads WHERE id = ?", (upload_id,)) > 0


async def expired(db: Database, before: float, limit: int) -> list[Upload]:
    """Sessions that have not moved since `before`, the oldest first."""
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM uploads"  # noqa: S608
        " WHERE updated_at < ? ORDER BY updated_at, id LIMIT ?",
        (before, limit),
    )
    return [_upload(row) for row in rows]


def _upload(row: Row) -> Upload:
    upload_id, repository, algorithm, offset, digest, created, updated = row
    return Upload(
        upload_id,
        RepositoryName(repository),
        algorithm,
        offset,
        None if digest is None else Digest(digest),
        created,
        updated,
    )
