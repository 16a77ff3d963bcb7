"""Accounts as authentication sees them: a user, how she proves it, and since when."""

from dataclasses import dataclass, field
from typing import Protocol

from tidegate.apimachinery.authorizer import User
from tidegate.auth.authorizer import ADMINISTRATORS, AUTHENTICATED
from tidegate.auth.logins import Login
from tidegate.metastore import users
from tidegate.metastore.database import Database

KIND = "local"
"""What references of password logins begin with."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user who may log in. `generation` changes with her password."""

    user: User
    password_hash: str = field(repr=False)
    generation: float

    @property
    def login(self) -> Login:
        """Her login, once her password was right."""
        return Login(self.user, f"{KIND}:{self.generation!r}:{self.user.name}")


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


class LocalLogins:
    """The `LoginKind` of passwords: no token proves one, but registry tokens come of them."""

    kind = KIND

    def __init__(self, accounts: AccountDirectory) -> None:
        self._accounts = accounts

    async def authenticate(
        self, _token: str, _now: float, _audiences: tuple[str, ...] = ()
    ) -> Login | None:
        return None

    async def resume(self, reference: str, _now: float) -> User | None:
        """The user, unless she was removed, disabled or given another password since."""
        name = reference.split(":", 2)[2]
        account = await self._accounts.find(name)
        if account is None or account.login.reference != reference:
            return None
        return account.user
