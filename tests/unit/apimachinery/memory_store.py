"""An `ObjectStore` on dicts, for tests of what is built on that port.

One process, one event loop. Everything the port promises holds: revisions in commit order, units
undone by an exception, reads at an older revision, watches without a gap, and `Expired` for what
`forget` has dropped. Reads and writes give way to other tasks first, so that concurrent requests
in a test interleave as they do on a real database.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from tidegate.apimachinery.errors import Expired
from tidegate.apimachinery.store import Change, Document, DocumentTransaction, Key, Listing

T = TypeVar("T")


class _OwnerReference(msgspec.Struct):
    uid: str = ""


class _Metadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = "0"
    owner_references: list[_OwnerReference] = []


class _Partial(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_PARTIAL = msgspec.json.Decoder(_Partial)


class MemoryStore:
    """`ObjectStore` of one process.

    With `rehearse` each unit runs once before it counts, since the port says that a unit may run
    more than once. `decoys` are revisions that no document ever has: the first write is after them.
    """

    def __init__(self, *, rehearse: bool = False, decoys: int = 0) -> None:
        self.documents: dict[Key, Document] = {}
        self.history: list[Change] = []
        self.newest = decoys
        self.forgotten = 0
        self.units = 0  # committed units
        self.reads = 0  # of single documents, outside units
        self.lists = 0
        self._rehearse = rehearse
        self._followers: list[tuple[frozenset[str], Callable[[Change], None]]] = []
        self._subscriptions: list[MemorySubscription] = []

    async def get(self, key: Key) -> Document | None:
        await asyncio.sleep(0)
        self.reads += 1
        return self.documents.get(key)

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        await asyncio.sleep(0)
        self.lists += 1
        if at is not None and not self.forgotten <= at <= self.newest:
            raise Expired(f"revision {at} is not known")
        documents = self.documents if at is None else self._state(at)
        beyond = None if after is None else Key(resource, *after)
        found = _selected(documents, resource, namespace, beyond)
        more = 0 < limit < len(found)
        return Listing(
            found[:limit] if more else found, self.newest if at is None else at, more=more
        )

    async def count(
        self, resource: str, namespace: str | None, *, after: tuple[str, str], at: int
    ) -> int | None:
        return len(_selected(self._state(at), resource, namespace, Key(resource, *after)))

    async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
        await asyncio.sleep(0)
        if self._rehearse:
            unit(MemoryTransaction(self))
        tx = MemoryTransaction(self)
        result = unit(tx)
        self.documents, self.newest = tx.documents, tx.newest
        self.history.extend(tx.changes)
        self.units += 1
        self._announce(tx.changes)
        return result

    async def revision(self) -> int:
        return self.newest

    async def watch(self, resource: str, after: int) -> "MemorySubscription":
        if not self.forgotten <= after <= self.newest:
            raise Expired(f"revision {after} is not known")
        subscription = MemorySubscription(self, resource, after)
        self._subscriptions.append(subscription)
        return subscription

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        self._followers.append((frozenset(resources), apply))

    async def catch_up(self) -> int:
        return self.newest  # followers hear of a change before `write` returns

    def forget(self, revision: int) -> None:
        """Compact: what was before `revision` can no longer be read or watched."""
        self.forgotten = revision
        for each in self._subscriptions:
            each.woken.set()

    def later(self, revision: int) -> Sequence[Change]:
        """Changes after `revision`."""
        return self.history[bisect_right(self.history, revision, key=lambda each: each.revision) :]

    def abandon(self, subscription: "MemorySubscription") -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    @property
    def watchers(self) -> int:
        """Subscriptions that are open."""
        return len(self._subscriptions)

    def _state(self, at: int) -> dict[Key, Document]:
        """The documents as they were at a revision: later changes are taken back."""
        documents = dict(self.documents)
        for change in reversed(self.later(at)):
            if change.before is None:
                documents.pop(change.key, None)
            else:
                documents[change.key] = _document(change.key, change.before)
        return documents

    def _announce(self, changes: Sequence[Change]) -> None:
        for change in changes:
            for resources, apply in self._followers:
                if change.key.resource in resources:
                    apply(change)
        for each in self._subscriptions:
            each.woken.set()


class MemoryTransaction:
    """A unit's view: its own copy of the documents, which the store adopts when it commits."""

    def __init__(self, store: MemoryStore) -> None:
        self.documents = dict(store.documents)
        self.newest = store.newest
        self.changes: list[Change] = []

    def get(self, key: Key) -> Document | None:
        return self.documents.get(key)

    def list(
        self, resource: str, namespace: str | None = None, after: Key | None = None, limit: int = 0
    ) -> Sequence[Document]:
        found = _selected(self.documents, resource, namespace, after)
        return found[:limit] if limit else found

    def put(self, key: Key, uid: str, encode: Callable[[int], bytes]) -> Document:
        self.newest += 1
        document = Document(key, uid, self.newest, encode(self.newest))
        before = self.documents.get(key)
        self.documents[key] = document
        self.changes.append(
            Change(self.newest, key, before.body if before else None, document.body)
        )
        return document

    def delete(self, key: Key) -> Document | None:
        before = self.documents.pop(key, None)
        if before is None:
            return None
        self.newest += 1
        self.changes.append(Change(self.newest, key, before.body, None))
        return Document(key, before.uid, self.newest, before.body)

    def dependents(self, uid: str) -> Sequence[Document]:
        return [
            each
            for _, each in sorted(self.documents.items())
            if any(
                owner.uid == uid for owner in _PARTIAL.decode(each.body).metadata.owner_references
            )
        ]


class MemorySubscription:
    """A place in the history, and the changes of one resource after it."""

    def __init__(self, store: MemoryStore, resource: str, after: int) -> None:
        self.woken = asyncio.Event()
        self._store = store
        self._resource = resource
        self._position = after

    async def next(self) -> Sequence[Change]:
        while True:
            self.woken.clear()
            if self._position < self._store.forgotten:
                raise Expired("the reader was too slow")
            if changes := self._pending():
                self._position = self._store.newest
                return changes
            self._position = self._store.newest
            await self.woken.wait()

    def position(self) -> int:
        if not self._pending():
            self._position = self._store.newest
        return self._position

    def close(self) -> None:
        self._store.abandon(self)

    def _pending(self) -> list[Change]:
        later = self._store.later(self._position)
        return [each for each in later if each.key.resource == self._resource]


def _document(key: Key, body: bytes) -> Document:
    metadata = _PARTIAL.decode(body).metadata
    return Document(key, metadata.uid, int(metadata.resource_version), body)


def _selected(
    documents: dict[Key, Document], resource: str, namespace: str | None, after: Key | None
) -> list[Document]:
    return [
        document
        for key, document in sorted(documents.items())
        if key.resource == resource
        and (namespace is None or key.namespace == namespace)
        and (after is None or key > after)
    ]
