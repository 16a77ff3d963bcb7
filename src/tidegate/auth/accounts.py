"""Accounts as authentication sees them: a user, how she proves it, and since when."""

from dataclasses import dataclass, field
from typing import Protocol

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.auth.logins import Login
from tidegate.auth.users.groups import AUTHENTICATED, AUTHENTICATED_BY_OAUTH, GroupIndex
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
    """The local users, as they are now in the database.

    A name and its hash are a row; what else there is of a user is her User object, which users
    made by earlier versions may lack: they have no uid then.
    """

    def __init__(self, database: Database, store: ObjectStore, groups: GroupIndex) -> None:
        self._database = database
        self._store = store
        self._groups = groups

    async def find(self, name: str) -> Account | None:
        row = await users.find(self._database, name)
        if row is None or row.disabled:
            return None
        document = await self._store.get(Key("users.user.openshift.io", "", name))
        groups = (*await self._groups.of(name), AUTHENTICATED, AUTHENTICATED_BY_OAUTH)
        user = User(row.name, groups, document.uid if document is not None else "")
        return Account(user, row.password_hash, row.changed_at)


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
