"""What serves users: `users/~`, and the end of everything of a user who is deleted."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from tidegate.apimachinery import storage
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.documents.units import Accompanied
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
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
        super().__init__(USERS, _with_local_users(store, database))

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


def _with_local_users(store: ObjectStore, database: Database) -> Accompanied:
    """The store, with units that, when they delete a User, delete the local user behind it."""

    async def write(unit: Callable[[DocumentTransaction], T]) -> T:
        return await database.write(lambda tx: unit(_Unit(tx)))

    return Accompanied(store, write)


class _Unit(DocumentUnit):
    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._transaction = tx

    def delete(self, key: Key) -> Document | None:
        gone = super().delete(key)
        if gone is not None and key.resource == USERS.key:
            forget(self._transaction, key.name)
        return gone
