"""Which groups a user is in: those that name her, and the virtual ones of every login.

The index follows the Group objects of the database. Invariant: an answer holds every membership
that was committed before it was asked for, in whichever process.
"""

import asyncio
from collections.abc import Callable

import msgspec

from tidegate.apimachinery.store import Change, Document, ObjectStore

RESOURCE = "groups.user.openshift.io"

AUTHENTICATED = "system:authenticated"
"""The group of everybody who logged in, in Kubernetes."""

AUTHENTICATED_BY_OAUTH = "system:authenticated:oauth"
"""The group of everybody who logged in at OpenShift's own OAuth server."""

_PAGE = 500


class _Group(msgspec.Struct):
    users: list[str] | None = None


_DECODE: Callable[[bytes], _Group] = msgspec.json.Decoder(_Group).decode


class GroupIndex:
    """Users' groups in memory, read when first asked for and followed from then on."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._members: dict[str, frozenset[str]] = {}
        self._groups: dict[str, set[str]] = {}
        self._changed: dict[str, int] = {}  # group name to the revision of its last change
        self._missed = 1  # how often what is held was to be read anew
        self._read = 0
        self._reading = asyncio.Lock()
        store.follow([RESOURCE], self._apply, self._miss)

    async def of(self, user: str) -> tuple[str, ...]:
        """The groups that name the user, in the order of their names."""
        await self._store.catch_up()
        if self._read != self._missed:
            await self._read_anew()
        return tuple(sorted(self._groups.get(user, ())))

    def _apply(self, change: Change) -> None:
        self._changed[change.key.name] = change.revision
        self._set(change.key.name, change.after)

    def _miss(self) -> None:
        self._missed += 1

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

    async def _read_anew(self) -> None:
        async with self._reading:
            while self._read != self._missed:
                wanted = self._missed
                await self._read_all()
                self._read = wanted

    async def _read_all(self) -> None:
        """Take in every group, except where a later change was heard of meanwhile."""
        found: dict[str, Document] = {}
        after: tuple[str, str] | None = None
        since: int | None = None
        while True:
            page = await self._store.list(RESOURCE, after=after, limit=_PAGE)
            since = page.revision if since is None else since
            found |= {each.key.name: each for each in page.documents}
            if not page.more:
                break
            after = ("", page.documents[-1].key.name)
        for name in self._members.keys() - found.keys():
            if self._changed.get(name, 0) <= since:
                self._set(name, None)
        for name, document in found.items():
            if self._changed.get(name, 0) <= document.revision:
                self._set(name, document.body)
