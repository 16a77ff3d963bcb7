"""Users, groups and identities, each joined to what serves it."""

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.users.kinds import GROUPS, IDENTITIES, USERS
from tidegate.auth.users.storage import UserStorage
from tidegate.metastore.database import Database


def serve(store: ObjectStore, database: Database) -> list[Served]:
    """What the API application serves of this part."""
    return [
        Served(USERS, UserStorage(store, database)),
        Served(GROUPS, DocumentStorage(GROUPS, store)),
        Served(IDENTITIES, DocumentStorage(IDENTITIES, store)),
    ]
