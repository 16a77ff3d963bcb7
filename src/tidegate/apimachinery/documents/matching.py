"""Which stored objects a selection takes, and which watch event a change is to it.

Invariant: of one change every body is decoded once and every event made once, however many watch:
what is made is kept with the `Change` that they share.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from tidegate.apimachinery.documents.bodies import header, restamped
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Event
from tidegate.apimachinery.store import Change, Key

K = TypeVar("K", bound=Object)


class Facts(Generic[K]):
    """What selectors may ask of one object, read when it is first asked for."""

    __slots__ = ("_body", "_decode", "_fields", "_key", "_labels", "_object")

    def __init__(
        self,
        key: Key,
        body: bytes,
        decode: Callable[[bytes], K],
        fields: "Resource[K]",
    ) -> None:
        self._key = key
        self._body = body
        self._decode = decode
        self._fields = fields.fields
        self._labels: dict[str, str] | None = None
        self._object: K | None = None

    def matches(self, selection: Selection) -> bool:
        if selection.is_everything:
            return True
        if selection.labels and self._labels is None:
            self._labels = header(self._body).labels
        return selection.matches(self._labels or {}, self._field)

    def _field(self, path: str) -> str:
        if path == "metadata.name":
            return self._key.name
        if path == "metadata.namespace":
            return self._key.namespace
        if self._object is None:
            self._object = self._decode(self._body)
        return self._fields[path](self._object)


class _Made:
    """One change as watchers of one resource see it."""

    __slots__ = ("added", "after", "before", "change", "deleted", "modified")

    def __init__(self, change: Change, facts: Callable[[Key, bytes], Facts[Any]]) -> None:
        self.change = change
        self.before = None if change.before is None else facts(change.key, change.before)
        self.after = None if change.after is None else facts(change.key, change.after)
        self.added: Event | None = None
        self.modified: Event | None = None
        self.deleted: Event | None = None

    def event(self, selection: Selection) -> Event | None:
        now = self.after is not None and self.after.matches(selection)
        then = self.before is not None and self.before.matches(selection)
        if now and then:
            self.modified = self.modified or Event("MODIFIED", self.change.after or b"")
            return self.modified
        if now:
            self.added = self.added or Event("ADDED", self.change.after or b"")
            return self.added
        if then:
            self.deleted = self.deleted or self._deleted()
            return self.deleted
        return None

    def _deleted(self) -> Event:
        """What was last seen of the object, at the version at which it went out of sight."""
        return Event("DELETED", restamped(self.change.before or b"{}", str(self.change.revision)))


class Matching(Generic[K]):
    """Selections applied to the documents of one resource."""

    def __init__(self, resource: Resource[K]) -> None:
        self._resource = resource
        self._decode = msgspec.json.Decoder(resource.type).decode

    def takes(self, selection: Selection, key: Key, body: bytes) -> bool:
        """Whether an object is selected."""
        return self._facts(key, body).matches(selection)

    def event(self, change: Change, namespace: str | None, selection: Selection) -> Event | None:
        """What a change is to a watcher of a namespace (None: all) and selection.

        An object that comes to match is ADDED and one that no longer does is DELETED, as in
        Kubernetes, where that event shows the object as it was before.
        """
        if namespace is not None and change.key.namespace != namespace:
            return None
        made = change.made.get(self)
        if made is None:
            made = change.made[self] = _Made(change, self._facts)
        event: Event | None = made.event(selection)
        return event

    def _facts(self, key: Key, body: bytes) -> Facts[K]:
        return Facts(key, body, self._decode, self._resource)
