"""Local users and their password hashes; a hash is text whose form `auth` knows."""

from typing import NamedTuple

from tidegate.metastore.database import Database, Row, Transaction


class User(NamedTuple):
    """A user; `changed_at` is when anything of hers last changed, in seconds since the epoch."""

    name: str
    password_hash: str
    admin: bool
    disabled: bool
    changed_at: float


async def find(db: Database, name: str) -> User | None:
    rows = await db.fetch(
        "SELECT name, password_hash, admin, disabled, changed_at FROM users WHERE name = ?", (name,)
    )
    return _user(rows[0]) if rows else None


async def every(db: Database) -> list[User]:
    """All users, in ASCII order of their names."""
    sql = "SELECT name, password_hash, admin, disabled, changed_at FROM users ORDER BY name"
    return [_user(row) for row in await db.scan(sql)]


async def names(db: Database, after: str, limit: int) -> list[str]:
    """Names after `after`, in ASCII order."""
    sql = "SELECT name FROM users WHERE name > ? ORDER BY name LIMIT ?"
    return [name for (name,) in await db.fetch(sql, (after, limit))]


def get(tx: Transaction, name: str) -> User | None:
    """As `find`, within a unit that will change what it finds."""
    rows = tx.fetch(
        "SELECT name, password_hash, admin, disabled, changed_at FROM users WHERE name = ?", (name,)
    )
    return _user(rows[0]) if rows else None


def put(tx: Transaction, user: User) -> None:
    """Make the user, or replace all of her row."""
    tx.execute(
        "INSERT INTO users (name, password_hash, admin, disabled, changed_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " password_hash = excluded.password_hash, admin = excluded.admin,"
        " disabled = excluded.disabled, changed_at = excluded.changed_at",
        (
            user.name,
            user.password_hash,
            int(user.admin),
            int(user.disabled),
            user.changed_at,
        ),
    )
    tx.record("users", user.name, "put")


def remove(tx: Transaction, name: str) -> bool:
    """Remove a user's row; False without one."""
    removed = tx.execute("DELETE FROM users WHERE name = ?", (name,)) > 0
    if removed:
        tx.record("users", name, "delete")
    return removed


def count(tx: Transaction) -> int:
    """How many users there are."""
    ((number,),) = tx.fetch("SELECT count(*) FROM users")
    return int(number)


def _user(row: Row) -> User:
    name, password_hash, admin, disabled, changed_at = row
    return User(name, password_hash, bool(admin), bool(disabled), changed_at)
