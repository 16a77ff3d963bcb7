"""Local users and groups as a list for the administrator at the machine."""

from dataclasses import dataclass

from tidegate.apimachinery.store import Document
from tidegate.auth.stored import read
from tidegate.auth.users.kinds import GROUPS, USERS
from tidegate.metastore import users
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents


@dataclass(frozen=True, slots=True)
class Entry:
    """A local user; `uid` is empty where she has no User object yet."""

    name: str
    uid: str
    disabled: bool
    changed_at: float
    groups: tuple[str, ...]


async def roster(database: Database) -> list[Entry]:
    """The local users, by name."""
    uids = {each.key.name: each.uid for each in await _all(database, USERS.key)}
    members = await groups(database)
    return [
        Entry(
            row.name,
            uids.get(row.name, ""),
            row.disabled,
            row.changed_at,
            tuple(group for group, names in members.items() if row.name in names),
        )
        for row in await users.every(database)
    ]


async def groups(database: Database) -> dict[str, list[str]]:
    """The groups and the users that they name, by name."""
    return {each.key.name: read(GROUPS, each).users for each in await _all(database, GROUPS.key)}


async def _all(database: Database, resource: str) -> list[Document]:
    store, found = Documents(database), list[Document]()
    while True:
        after = ("", found[-1].key.name) if found else None
        page = await store.list(resource, after=after, limit=500)
        found += page.documents
        if not page.more:
            return found
