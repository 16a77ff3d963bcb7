"""Says in a project's events which imports fail: one Event for a stream and a reason, not for each.

An Event is written again only after a while, however often the import fails meanwhile, so that a
registry that is away for a day does not fill the change log.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.durations import epoch_seconds
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.stream import key_of
from tidegate.kinds.event import EVENTS, Event, EventSource
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.name import RepositoryName

COMPONENT = "tidegate-importer"
FAILED = "ImportFailed"

QUIET_SECONDS = 600.0
"""Between two writings of an Event; one is kept for an hour after the last."""

MESSAGE_LIMIT = 1024
"""Characters; Kubernetes allows no more."""

_EVENT = msgspec.json.Decoder(Event)


class Failure(NamedTuple):
    """An import that failed; `attempts` in a row so far."""

    stream: RepositoryName
    tag: str
    reason: str
    message: str
    attempts: int = 1


class ImportEvents:
    """The events of imports; `clock` gives epoch seconds, `new_uid` a uid."""

    def __init__(
        self, store: ObjectStore, clock: Callable[[], float], new_uid: Callable[[], str]
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_uid = new_uid

    async def report(self, failure: Failure) -> None:
        """Tell of a failure, unless that was done a short while ago."""
        key, now = event_key(failure), self._clock()
        document = await self._store.get(key)
        if document is not None and _is_recent(_EVENT.decode(document.body), now):
            return
        uid = self._new_uid()

        def unit(tx: DocumentTransaction) -> None:
            stored = tx.get(key)
            event = None if stored is None else _EVENT.decode(stored.body)
            about = tx.get(key_of(failure.stream))
            if about is None or (event is not None and _is_recent(event, now)):
                return
            event = _event(failure, about.uid, uid, now) if event is None else event
            event.count = max(event.count + 1, failure.attempts)
            event.last_timestamp = rfc3339_seconds(now)
            event.message = _message(failure)

            def encode(revision: int) -> bytes:
                event.metadata.resource_version = str(revision)
                return msgspec.json.encode(event)

            tx.put(key, event.metadata.uid, encode)

        await self._store.write(unit)


def event_key(failure: Failure) -> Key:
    """Where the Event of such failures is."""
    what = f"{failure.stream}\n{failure.reason}"
    suffix = hashlib.sha256(what.encode()).hexdigest()[:16]
    return Key(EVENTS.key, failure.stream.project, f"{failure.stream.stream}.{suffix}")


def _is_recent(event: Event, now: float) -> bool:
    return bool(event.last_timestamp) and now - epoch_seconds(event.last_timestamp) < QUIET_SECONDS


def _message(failure: Failure) -> str:
    message = f"{failure.tag}: {failure.message}" if failure.tag else failure.message
    return message[:MESSAGE_LIMIT]


def _event(failure: Failure, about: str, uid: str, now: float) -> Event:
    key = event_key(failure)
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
            kind=IMAGE_STREAMS.kind,
            namespace=failure.stream.project,
            name=failure.stream.stream,
            uid=about,
            api_version=API_VERSION,
        ),
        reason=FAILED,
        source=EventSource(component=COMPONENT),
        first_timestamp=rfc3339_seconds(now),
        type="Warning",
        reporting_controller=f"tidegate.io/{COMPONENT}",
    )
