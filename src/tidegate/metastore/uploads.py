"""Upload sessions: how far each upload has come, so that any process can continue it.

A session has a row from its first bytes on, which says less than the upload's file may hold, never
more: bytes first, then the row. One that has ended keeps a row without bytes, `received` less than
0, until nobody believes its id any more. Changes are bookkeeping of one row
(`write(..., durable=False)`) and are not in the change log.
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

    @property
    def has_ended(self) -> bool:
        """Whether nothing can come in any more."""
        return self.offset < 0


_ENDED = -1


def create(tx: Transaction, upload: Upload) -> None:
    """Begin a session that has a row before its first bytes."""
    tx.execute(
        f"INSERT INTO uploads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        upload,
    )


async def find(db: Database, upload_id: str) -> Upload | None:
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM uploads WHERE id = ?", (upload_id,))  # noqa: S608
    return _upload(rows[0]) if rows else None


def begin(tx: Transaction, upload: Upload, offset: int, digest: Digest | None, now: float) -> bool:
    """Move a session without bytes on, which has no row yet; False when it has moved or ended."""
    begun = tx.execute(
        f"INSERT INTO uploads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (id) DO UPDATE SET received = excluded.received,"
        " digest = excluded.digest, updated_at = excluded.updated_at"
        " WHERE uploads.repository = excluded.repository AND uploads.received = 0",
        upload._replace(offset=offset, digest=digest, updated=now),
    )
    return begun > 0


async def is_open(db: Database, upload_id: str) -> bool:
    """Whether there is a session with bytes that has not ended."""
    found = await find(db, upload_id)
    return found is not None and not found.has_ended


def advance(
    tx: Transaction, upload: Upload, offset: int, digest: Digest | None, now: float
) -> bool:
    """Move the session on from where `upload` saw it; False when it has moved or ended since."""
    moved = tx.execute(
        "UPDATE uploads SET received = ?, digest = ?, updated_at = ?"
        " WHERE id = ? AND repository = ? AND received = ?",
        (offset, digest, now, upload.id, upload.repository, upload.offset),
    )
    return moved > 0


def finish(tx: Transaction, upload_id: str) -> bool:
    """End a session whose id nobody believes without its row; False when it had ended."""
    return tx.execute("DELETE FROM uploads WHERE id = ?", (upload_id,)) > 0


def end(tx: Transaction, upload: Upload, now: float) -> bool:
    """End a session, whatever came of it, and keep that it has; False when it had ended."""
    ended = tx.execute(
        f"INSERT INTO uploads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (id) DO UPDATE SET received = excluded.received, digest = NULL,"
        " updated_at = excluded.updated_at"
        " WHERE uploads.repository = excluded.repository AND uploads.received >= 0",
        upload._replace(offset=_ENDED, digest=None, updated=now),
    )
    return ended > 0


def forget(tx: Transaction, before: float, limit: int) -> int:
    """Forget up to `limit` sessions that ended before this time; how many they were."""
    return tx.execute(
        "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads"
        " WHERE updated_at < ? AND received < 0 ORDER BY updated_at, id LIMIT ?)",
        (before, limit),
    )


async def expired(db: Database, before: float, limit: int) -> list[Upload]:
    """Sessions that have not moved since `before`, the oldest first."""
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM uploads"  # noqa: S608
        " WHERE updated_at < ? AND received >= 0 ORDER BY updated_at, id LIMIT ?",
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
