"""Says in a project's events what happens to its objects: one Event for an object and a reason.

An Event is written again only after a while, however often the same happens meanwhile, so that what
fails for a day does not fill the change log.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.durations import epoch_seconds
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.kinds.event import EVENTS, Event, EventSource
from tidegate.observability.timestamp import rfc3339_seconds

NORMAL, WARNING = "Normal", "Warning"

QUIET_SECONDS = 600.0
"""Between two writings of an Event; one is kept for an hour after the last."""

MESSAGE_LIMIT = 1024
"""Characters; Kubernetes allows no more."""

_EVENT = msgspec.json.Decoder(Event)


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened to an object; `times` in a row so far.

    `sort` is what is told by one Event, where a reason is of several sorts.
    """

    about: Key
    kind: str
    api_version: str
    component: str
    reason: str
    message: str
    type: str = WARNING
    times: int = 1
    sort: str = ""

    @property
    def key(self) -> Key:
        """Where the Event of all of these is."""
        about = self.about
        what = f"{about.namespace}/{about.name}\n{self.sort or self.reason}"
        suffix = hashlib.sha256(what.encode()).hexdigest()[:16]
        return Key(EVENTS.key, about.namespace, f"{about.name}.{suffix}")


class ObjectEvents:
    """The events of objects; `clock` gives epoch seconds, `new_uid` a uid."""

    def __init__(
        self, store: ObjectStore, clock: Callable[[], float], new_uid: Callable[[], str]
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_uid = new_uid

    async def report(self, happened: Happened) -> None:
        """Tell of it, unless that was done a short while ago; of an object that is gone nothing."""
        key, now = happened.key, self._clock()
        document = await self._store.get(key)
        if document is not None and _is_recent(_EVENT.decode(document.body), now):
            return
        uid = self._new_uid()

        def unit(tx: DocumentTransaction) -> None:
            stored = tx.get(key)
            event = None if stored is None else _EVENT.decode(stored.body)
            about = tx.get(happened.about)
            if about is None or (event is not None and _is_recent(event, now)):
                return
            event = _event(happened, about.uid, uid, now) if event is None else event
            event.count = max(event.count + 1, happened.times)
            event.last_timestamp = rfc3339_seconds(now)
            event.message = happened.message[:MESSAGE_LIMIT]

            def encode(revision: int) -> bytes:
                event.metadata.resource_version = str(revision)
                return msgspec.json.encode(event)

            tx.put(key, event.metadata.uid, encode)

        await self._store.write(unit)


def _is_recent(event: Event, now: float) -> bool:
    return bool(event.last_timestamp) and now - epoch_seconds(event.last_timestamp) < QUIET_SECONDS


def _event(happened: Happened, about: str, uid: str, now: float) -> Event:
    key = happened.key
    return Event(
        api_version="v1",
        kind="Event",
        metadata=ObjectMeta(
            name=key.name,
            namespace=key.namespace,
            uid=uid,
            creation_timestamp=rfc3339_seconds(now),
        ),
        involved_object=ObjectReference(
            kind=happened.kind,
            namespace=happened.about.namespace,
            name=happened.about.name,
            uid=about,
            api_version=happened.api_version,
        ),
        reason=happened.reason,
        source=EventSource(component=happened.component),
        first_timestamp=rfc3339_seconds(now),
        type=happened.type,
        reporting_controller=f"tidegate.io/{happened.component}",
    )
