"""Who sees which projects, and a watch of them that follows her rights.

She sees the projects that she may get. Invariant: a watch tells of a project exactly while she may
see it: it is ADDED when a binding shows it to her, and DELETED when the last one has gone.
"""

from collections.abc import Sequence
from typing import Protocol

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.documents.bodies import decoded, header
from tidegate.apimachinery.documents.matching import Matching
from tidegate.apimachinery.errors import NotFound, ResourceExpired
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, Event, Getter, Watch
from tidegate.apimachinery.store import Change, Key, ObjectStore
from tidegate.auth.projects.conversion import project_body
from tidegate.auth.projects.kinds import GROUP, NAMESPACES, Namespace
from tidegate.auth.rbac.index import Reach
from tidegate.auth.rbac.resources import RESOURCES

_SEE = Attributes("get", "projects", group=GROUP)

_LOOK_EVERY = 1.0
"""Seconds within which a watch notices that rights have changed."""


class Rights(Protocol):
    """What is asked of the authorizer."""

    async def namespaces_where(
        self, user: User, attributes: Attributes, *, named: bool = False
    ) -> Reach: ...


class Sight:
    """What users see now; `rights_changed` counts changes of roles and bindings."""

    def __init__(self, store: ObjectStore, rights: Rights) -> None:
        self._store = store
        self._rights = rights
        self.rights_changed = 0
        store.follow([each.key for each in RESOURCES], self._changed, self._missed)

    async def of(self, user: User) -> Reach:
        """The projects that a user sees."""
        return await self._rights.namespaces_where(user, _SEE, named=True)

    async def may_differ(self, revision: int, now: Reach) -> bool:
        """Whether who sees `now` may have seen something else at a revision.

        Nobody comes to see everything, or ceases to, by what is in one namespace.
        """
        newest = await self._store.catch_up()
        for each in RESOURCES:
            if now.everywhere and each.namespaced:
                continue
            later = await self._store.watch(each.key, revision)
            position = later.position()
            later.close()
            if position < newest:
                return True
        return False

    def _changed(self, _change: Change) -> None:
        self.rights_changed += 1

    def _missed(self) -> None:
        self.rights_changed += 1


class ProjectWatch:
    """`storage.Watch` of the projects that a user sees, over a watch of all namespaces."""

    def __init__(
        self,
        namespaces: Watch,
        getter: Getter,
        sight: Sight,
        call: Call,
        selection: Selection,
    ) -> None:
        self._namespaces = namespaces
        self._getter = getter
        self._sight = sight
        self._call = call
        self._selection = selection
        self._matching: Matching[Namespace] = Matching(NAMESPACES)
        self._reach = Reach(everywhere=False)
        self._known_at = -1  # what `rights_changed` was when `_reach` was read
        self._shown: dict[str, bytes] = {}  # what she saw last, unless she sees everything
        self._looked_up: dict[str, int] = {}  # revisions of what was shown ahead of its events
        self._marked = _as_project(namespaces.bookmark())

    async def start(self, revision: int | None) -> None:
        """Read what she sees: what a watch that begins after a revision begins with as known.

        With None it is told of that first. Where she may have seen something else at the revision,
        it is not known what to tell her: she is to list again.
        """
        await self._look()
        if revision is None:
            return
        if await self._sight.may_differ(revision, self._reach):
            raise ResourceExpired(f"too old resource version: {revision}: rights changed since")
        if self._reach.everywhere:
            return
        for name in sorted(self._reach.namespaces):
            # What is gone by now she may have seen; its deletion is among the events to come.
            self._shown[name] = await self._selected(name) or b""

    async def next(self, patience: float) -> Sequence[Event]:
        """See `storage.Watch`."""
        left = patience
        while True:
            wait = min(left, _LOOK_EVERY)
            events = [
                each
                for event in await self._namespaces.next(wait)
                if (each := self._translated(event)) is not None
            ]
            if self._known_at != self._sight.rights_changed:
                events += await self._changes_of_sight()
            left -= wait
            if events or left <= 0:
                return events

    def bookmark(self) -> Event:
        """See `storage.Watch`; it stays where it was while a change of rights is to be told."""
        if self._known_at == self._sight.rights_changed:
            self._marked = _as_project(self._namespaces.bookmark())
        return self._marked

    def close(self) -> None:
        self._namespaces.close()

    def _translated(self, event: Event) -> Event | None:
        """An event of a namespace as she sees it."""
        if event.kind not in ("ADDED", "MODIFIED", "DELETED") or self._reach.everywhere:
            return _as_project(event)
        metadata = decoded(event.body)["metadata"]
        name: str = metadata["name"]
        known = name in self._shown
        if int(metadata["resourceVersion"]) <= self._looked_up.get(name, 0):
            return None
        if event.kind == "DELETED":
            self._forget(name)
            return _as_project(event) if known else None
        if name not in self._reach:
            return None
        self._shown[name] = event.body
        return _as_project(event, kind="" if known else "ADDED")

    def _forget(self, name: str) -> bytes:
        self._looked_up.pop(name, None)
        return self._shown.pop(name, b"")

    async def _changes_of_sight(self) -> list[Event]:
        before = self._reach
        await self._look()
        if self._reach.everywhere and before.everywhere:
            return []
        if self._reach.everywhere or before.everywhere:
            raise ResourceExpired("what this user may see has changed: list again")
        lost = [name for name in sorted(self._shown) if name not in self._reach]
        last = [self._forget(name) for name in lost]
        events = [Event("DELETED", project_body(each)) for each in last if each]
        for name in sorted(self._reach.namespaces - before.namespaces - set(self._shown)):
            body = await self._selected(name)
            if body is not None:
                self._shown[name] = body
                self._looked_up[name] = int(header(body).resource_version)
                events.append(Event("ADDED", project_body(body)))
        return events

    async def _look(self) -> None:
        self._known_at = self._sight.rights_changed
        self._reach = await self._sight.of(self._call.user)

    async def _selected(self, name: str) -> bytes | None:
        """A namespace as it is, if there is one and it is among those that are watched."""
        try:
            body = await self._getter.get(self._call, name)
        except NotFound:
            return None
        taken = self._matching.takes(self._selection, Key(NAMESPACES.key, "", name), body)
        return body if taken else None


def _as_project(event: Event, kind: str = "") -> Event:
    return Event(kind or event.kind, project_body(event.body))
