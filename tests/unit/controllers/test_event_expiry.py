"""Old events go, whatever else there is stays."""

import asyncio

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction
from tidegate.auth.stored import put_new
from tidegate.controllers.event_expiry import BATCH, remove_events
from tidegate.kinds.event import EVENTS, Event, EventSeries
from tidegate.observability.timestamp import rfc3339, rfc3339_seconds

NOON = 1_700_000_000.0


def put(store: MemoryStore, name: str, made: float, **fields: object) -> None:
    def unit(tx: DocumentTransaction) -> None:
        event = Event(metadata=ObjectMeta(namespace="shop", name=name), **fields)  # type: ignore[arg-type]  # a test's shorthand
        put_new(tx, EVENTS, event, made)

    asyncio.run(store.write(unit))


def names(store: MemoryStore) -> set[str]:
    return {each.key.name for each in asyncio.run(store.list(EVENTS.key)).documents}


def test_events_go_after_the_time_they_were_last_recorded() -> None:
    store = MemoryStore()
    put(store, "old", NOON - 10)
    put(store, "recorded-again", NOON - 10, last_timestamp=rfc3339_seconds(NOON + 1))
    put(store, "observed-late", NOON - 10, event_time=rfc3339(NOON + 1))
    series = EventSeries(count=2, last_observed_time=rfc3339(NOON + 1))
    put(store, "in-a-series", NOON - 10, series=series)
    put(store, "new", NOON + 1)
    assert asyncio.run(remove_events(store, NOON)) == 1
    assert names(store) == {"recorded-again", "observed-late", "in-a-series", "new"}


def test_more_than_a_batch_goes_at_once() -> None:
    store = MemoryStore()
    for number in range(BATCH + 5):
        put(store, f"old-{number}", NOON - 1)
    put(store, "young", NOON + 1)
    assert asyncio.run(remove_events(store, NOON)) == BATCH + 5
    assert names(store) == {"young"}
