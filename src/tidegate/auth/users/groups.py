"""Which groups a user is in: those that name her, and the virtual ones of every login.

The index follows the Group objects of the database. Invariant: an answer holds every membership
that was committed before it was asked for, in whichever process.
"""

from collections.abc import Callable, Sequence

import msgspec

from tidegate.apimachinery.store import Change, Document, Key, ObjectStore

RESOURCE = "groups.user.openshift.io"

AUTHENTICATED = "system:authenticated"
"""The group of everybody who logged in, in Kubernetes."""

AUTHENTICATED_BY_OAUTH = "system:authenticated:oauth"
"""The group of everybody who logged in at OpenShift's own OAuth server."""


class _Group(msgspec.Struct):
    users: list[str] | None = None


_DECODE: Callable[[bytes], _Group] = msgspec.json.Decoder(_Group).decode


class GroupIndex:
    """Users' groups in memory; `load` it once before it is asked."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._members: dict[str, frozenset[str]] = {}
        self._groups: dict[str, set[str]] = {}
        self._changed: dict[str, int] = {}  # group name to the revision of its last change

    async def load(self) -> None:
        """Follow the groups, then read those that there are."""
        self._store.follow([RESOURCE], self._apply)
        for document in await _all(self._store):
            if self._changed.get(document.key.name, 0) < document.revision:
                self._set(document.key.name, document.body)

    async def of(self, user: str) -> tuple[str, ...]:
        """The groups that name the user, in the order of their names."""
        await self._store.catch_up()
        return tuple(sorted(self._groups.get(user, ())))

    def _apply(self, change: Change) -> None:
        self._changed[change.key.name] = change.revision
        self._set(change.key.name, change.after)

    def _set(self, group: str, body: bytes | None) -> None:
        members = frozenset(_DECODE(body).users or ()) if body is not None else frozenset()
        before = self._members.pop(group, frozenset())
        for user in before - members:
            self._groups[user].discard(group)
            if not self._groups[user]:
                del self._groups[user]
        for user in members - before:
            self._groups.setdefault(user, set()).add(group)
        if members:
            self._members[group] = members


async def _all(store: ObjectStore) -> Sequence[Document]:
    """Every group, in as many pages as it takes."""
    found: list[Document] = []
    after: tuple[str, str] | None = None
    while True:
        listing = await store.list(RESOURCE, after=after, limit=500)
        found += listing.documents
        if not listing.more:
            return found
        last: Key = listing.documents[-1].key
        after = (last.namespace, last.name)
