"""What serves users: `users/~`, and the end of everything of a user who is deleted."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from tidegate.apimachinery import storage
from tidegate.apimachinery.documents import DocumentStorage
from tidegate.apimachinery.store import (
    Change,
    Document,
    DocumentTransaction,
    Key,
    Listing,
    ObjectStore,
    Subscription,
)
from tidegate.auth.stored import read
from tidegate.auth.users.kinds import SELF, USERS, User
from tidegate.auth.users.local import forget
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit

T = TypeVar("T")


class UserStorage(DocumentStorage[User]):
    """Users as documents; the name `~` is whoever asks, with the groups that she is in now."""

    def __init__(self, store: ObjectStore, database: Database) -> None:
        self._users = store
        super().__init__(USERS, _LocalUsers(store, database))

    async def get(self, call: storage.Call, name: str) -> bytes:
        if name != SELF:
            return await super().get(call, name)
        document = await self._users.get(Key(USERS.key, "", call.user.name))
        if document is not None:
            user = read(USERS, document)
        else:
            user = User(api_version=USERS.api_version, kind=USERS.kind)
            user.metadata.name, user.metadata.uid = call.user.name, call.user.uid
        user.groups = sorted(call.user.groups)
        return msgspec.json.encode(user)


class _LocalUsers:
    """An `ObjectStore` whose units, when they delete a User, delete the local user behind it."""

    def __init__(self, store: ObjectStore, database: Database) -> None:
        self._store = store
        self._database = database

    async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
        return await self._database.write(lambda tx: unit(_Unit(tx)))

    async def get(self, key: Key) -> Document | None:
        return await self._store.get(key)

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        return await self._store.list(resource, namespace, after=after, limit=limit, at=at)

    async def revision(self) -> int:
        return await self._store.revision()

    async def watch(self, resource: str, after: int) -> Subscription:
        return await self._store.watch(resource, after)

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        self._store.follow(resources, apply, reset)

    async def catch_up(self) -> int:
        return await self._store.catch_up()


class _Unit(DocumentUnit):
    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._transaction = tx

    def delete(self, key: Key) -> Document | None:
        gone = super().delete(key)
        if gone is not None and key.resource == USERS.key:
            forget(self._transaction, key.name)
        return gone
