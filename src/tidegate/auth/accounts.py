"""Accounts as authentication sees them: a user, how she proves it, and since when."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.apimachinery.authorizer import User
from tidegate.auth.authorizer import ADMINISTRATORS, AUTHENTICATED
from tidegate.metastore import users
from tidegate.metastore.database import Database

RELIED_ON = 0.5
"""Seconds that an account is relied on for bearer tokens: with it, a disabled user or a changed
password takes effect everywhere within a second. A proof of freshness from the database on every
request (`PRAGMA data_version`) cost as much as the rest of the check."""

CAPACITY = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """A user who may log in. `generation` changes with her password and rights."""

    user: User
    password_hash: str = field(repr=False)
    generation: float


class AccountDirectory(Protocol):
    """Where accounts are found."""

    async def find(self, name: str) -> Account | None:
        """The account `name`, None where there is none or it is disabled."""
        ...


class StoredAccounts:
    """The local users, as they are now in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Account | None:
        row = await users.find(self._database, name)
        if row is None or row.disabled:
            return None
        groups = (AUTHENTICATED, ADMINISTRATORS) if row.admin else (AUTHENTICATED,)
        return Account(User(row.name, groups), row.password_hash, row.changed_at)


class RecentAccounts:
    """Accounts of `directory` as they were less than `RELIED_ON` seconds ago.

    `clock` counts seconds and never goes back. That there is no such account is not kept.
    """

    def __init__(self, directory: AccountDirectory, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._found: dict[str, tuple[float, Account]] = {}

    async def find(self, name: str) -> Account | None:
        now = self._clock()
        found = self._found.get(name)
        if found is not None and now - found[0] < RELIED_ON:
            return found[1]
        self._found.pop(name, None)
        account = await self._directory.find(name)
        if account is not None:
            self._found[name] = (now, account)
            if len(self._found) > CAPACITY:
                del self._found[next(iter(self._found))]
        return account
