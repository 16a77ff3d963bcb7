"""A watch of stored documents: the state it begins with, then every later change, in order.

Invariant: state and changes join without a gap and without an overlap, because the subscription
begins at the very revision of the list that was shown.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from tidegate.apimachinery.documents.kept_timer import KeptTimer
from tidegate.apimachinery.documents.listing import Listings
from tidegate.apimachinery.documents.matching import Matching
from tidegate.apimachinery.errors import Expired, ResourceExpired
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Event, ListOptions, WatchOptions
from tidegate.apimachinery.store import ObjectStore, Subscription

K = TypeVar("K", bound=Object)

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class DocumentWatch(Generic[K]):
    """`storage.Watch` of one namespace (None: all) and selection."""

    def __init__(
        self,
        resource: Resource[K],
        subscription: Subscription,
        matching: Matching[K],
        namespace: str | None,
        selection: Selection,
        initial: Sequence[Event],
    ) -> None:
        self._resource = resource
        self._subscription = subscription
        self._matching = matching
        self._namespace = namespace
        self._selection = selection
        self._initial = initial
        self._timer = KeptTimer()

    async def next(self, patience: float) -> Sequence[Event]:
        """See `storage.Watch`; a subscription that is given up while it waits loses nothing."""
        if self._initial:
            events, self._initial = self._initial, ()
            return events
        try:
            return await self._timer.within(patience, self._events())
        except TimeoutError:
            return ()
        except Expired as error:
            position = self._subscription.position()
            raise ResourceExpired(f"too old resource version: {position}") from error

    def bookmark(self) -> Event:
        return _bookmark(self._resource, self._subscription.position())

    def close(self) -> None:
        self._timer.close()
        self._subscription.close()

    async def _events(self) -> Sequence[Event]:
        while True:
            events = []
            for change in await self._subscription.next():
                event = self._matching.event(change, self._namespace, self._selection)
                if event is not None:
                    events.append(event)
            if events:
                return events


async def begin(
    resource: Resource[K],
    store: ObjectStore,
    listings: Listings[K],
    matching: Matching[K],
    namespace: str,
    options: WatchOptions,
) -> DocumentWatch[K]:
    """Watch a namespace, with "" all of them."""
    revision = options.revision
    initial: list[Event] = []
    if options.initial or not revision:
        wanted = ListOptions(selection=options.selection, revision=revision)
        found = await listings.list(namespace, wanted)
        revision = found.revision
        initial = [Event("ADDED", each.body) for each in found.documents]
        if options.initial:
            initial.append(_bookmark(resource, revision, {_INITIAL_EVENTS_END: "true"}))
    try:
        subscription = await store.watch(resource.key, revision)
    except Expired as error:
        newest = await store.revision()
        raise ResourceExpired(f"too old resource version: {revision} ({newest})") from error
    scope = listings.scope(namespace)
    return DocumentWatch(resource, subscription, matching, scope, options.selection, initial)


def _bookmark(
    resource: Resource[Any], revision: int, annotations: dict[str, str] | None = None
) -> Event:
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if annotations:
        metadata["annotations"] = annotations
    return Event(
        "BOOKMARK",
        msgspec.json.encode(
            {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        ),
    )
