"""Copies of other registries' blobs: how much there is, what was used last, who may read which.

    stored -> used* -> forget          rows about files; the files alone say what can be read

A copy is for a repository only if a registry has given the blob to that very repository, with its
own credentials: downloaded for it, or, where another one had it from the same registry, asked for
there in its name (`readers`). Who knows no more of a blob than its digest gets nothing by importing
a manifest that names it. Bookkeeping: no revision, and a row that is lost costs a question.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_HOSTS = 20
"""Registries that one blob came from."""


class Copy(NamedTuple):
    """A copy; `used_at` is in epoch seconds, and lags by some minutes."""

    digest: Digest
    size: int
    used_at: float


class Totals(NamedTuple):
    """How much is kept."""

    copies: int
    bytes: int


_MAY_READ = (
    "SELECT EXISTS (SELECT 1 FROM cache_readers c WHERE c.repository_id = r.id AND c.digest = ?)"
    " FROM repositories r JOIN blobs b ON b.digest = ? WHERE r.name = ?"
    " AND EXISTS (SELECT 1 FROM blob_uses u"
    " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
    " WHERE u.blob_id = b.id AND u.repository_id = r.id)"
)


async def may_read(db: Database, repository: RepositoryName, digest: Digest) -> bool | None:
    """Whether the repository may read a copy; None when no live manifest of it names the blob."""
    rows = await db.fetch(_MAY_READ, (digest, digest, repository))
    return bool(rows[0][0]) if rows else None


async def hosts(db: Database, digest: Digest) -> list[str]:
    """Registries that have given this blob to somebody here."""
    rows = await db.fetch(
        "SELECT DISTINCT host FROM cache_readers WHERE digest = ? LIMIT ?", (digest, _HOSTS)
    )
    return [host for (host,) in rows]


def admit(tx: Transaction, repository: RepositoryName, digest: Digest, host: str) -> None:
    """The registry at `host` gives this blob to the repository; nothing where that is gone."""
    tx.execute(
        "INSERT INTO cache_readers (repository_id, digest, host)"
        " SELECT id, ?, ? FROM repositories WHERE name = ?"
        " ON CONFLICT (repository_id, digest) DO UPDATE SET host = excluded.host",
        (digest, host, repository),
    )


def store(tx: Transaction, digest: Digest, size: int, used_at: float, now: float) -> None:
    """There is a copy."""
    tx.execute(
        "INSERT INTO cached (digest, size, stored_at, used_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size, used_at = excluded.used_at",
        (digest, size, now, used_at),
    )


def use(tx: Transaction, digests: Sequence[Digest], now: float) -> None:
    """These copies have been read lately."""
    for marks, values in batches(digests):
        tx.execute(
            f"UPDATE cached SET used_at = ? WHERE digest IN ({marks})",  # noqa: S608 - placeholders
            (now, *values),
        )


def forget(tx: Transaction, digest: Digest) -> None:
    """The copy goes: there is nothing left to read."""
    tx.execute("DELETE FROM cached WHERE digest = ?", (digest,))
    tx.execute("DELETE FROM cache_readers WHERE digest = ?", (digest,))


async def totals(db: Database) -> Totals:
    """How much is kept; reads the whole table."""
    ((count, size),) = await db.scan("SELECT count(*), coalesce(sum(size), 0) FROM cached")
    return Totals(count, int(size))


async def longest_unused(db: Database, limit: int) -> list[Copy]:
    """The copies that were used the longest ago, those first."""
    rows = await db.scan(
        "SELECT digest, size, used_at FROM cached ORDER BY used_at, digest LIMIT ?", (limit,)
    )
    return [Copy(Digest(digest), size, used_at) for digest, size, used_at in rows]


async def page(db: Database, after: str, limit: int) -> list[Copy]:
    """Copies after digest `after`, in digest order."""
    rows = await db.scan(
        "SELECT digest, size, used_at FROM cached WHERE digest > ? ORDER BY digest LIMIT ?",
        (after, limit),
    )
    return [Copy(Digest(digest), size, used_at) for digest, size, used_at in rows]
