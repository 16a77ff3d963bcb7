"""Keys that sign registry tokens. A retired key verifies what it signed until it is removed."""

from typing import NamedTuple

from tidegate.metastore.database import Database, Row, Transaction


class Key(NamedTuple):
    """A secret under the id that tokens carry; times in seconds since the epoch."""

    kid: str
    secret: bytes
    created: float
    retired: float | None = None

    def __repr__(self) -> str:
        return f"Key({self.kid!r})"  # a secret in a log is none


_ALL = "SELECT kid, secret, created_at, retired_at FROM keys ORDER BY created_at, kid"


async def signing(db: Database) -> list[Key]:
    """All keys, the oldest first."""
    return [_key(row) for row in await db.fetch(_ALL)]


def stored(tx: Transaction) -> list[Key]:
    """As `signing`, within a unit that will change what it finds."""
    return [_key(row) for row in tx.fetch(_ALL)]


def put(tx: Transaction, key: Key) -> None:
    """Add a key; Conflict when its id is taken."""
    tx.execute(
        "INSERT INTO keys (kid, secret, created_at, retired_at) VALUES (?, ?, ?, ?)",
        key,
    )
    tx.record("keys", key.kid, "put")


def retire(tx: Transaction, kid: str, now: float) -> bool:
    """Sign no more with this key; False when it does not or is not there."""
    sql = "UPDATE keys SET retired_at = ? WHERE kid = ? AND retired_at IS NULL"
    retired = tx.execute(sql, (now, kid)) > 0
    if retired:
        tx.record("keys", kid, "put")
    return retired


def remove(tx: Transaction, kid: str) -> bool:
    """Forget a key, and with it every token that it signed."""
    removed = tx.execute("DELETE FROM keys WHERE kid = ?", (kid,)) > 0
    if removed:
        tx.record("keys", kid, "delete")
    return removed


def _key(row: Row) -> Key:
    kid, secret, created, retired = row
    return Key(kid, bytes(secret), created, retired)
