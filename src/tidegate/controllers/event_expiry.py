"""Events are news: an hour after they were last recorded they go, as in Kubernetes."""

import logging
import time
from collections.abc import Sequence
from functools import partial

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.auth.stored import read
from tidegate.controllers.turns import every
from tidegate.kinds.event import EVENTS, Event

LIFETIME = 3600.0
"""kube-apiserver's `--event-ttl`."""

BATCH = 100

_LOG = logging.getLogger(__name__)


async def expire_events(store: ObjectStore, interval: float) -> None:
    """Every `interval` seconds remove what is older than `LIFETIME`; until cancelled."""

    async def turn() -> None:
        expired = await remove_events(store, time.time() - LIFETIME)
        if expired:
            _LOG.info("removed %d old events", expired)

    await every(interval, "removing old events", turn)


async def remove_events(store: ObjectStore, before: float) -> int:
    """Remove the events that were last recorded before this time; how many there were."""
    removed = 0
    after: tuple[str, str] | None = None
    while True:
        page = await store.list(EVENTS.key, after=after, limit=BATCH)
        old = [each.key for each in page.documents if recorded_at(read(EVENTS, each)) < before]
        if old:
            removed += await store.write(partial(_remove, old))
        if not page.more:
            return removed
        last = page.documents[-1].key
        after = (last.namespace, last.name)


def recorded_at(event: Event) -> float:
    """When an event was last recorded, in seconds since the epoch."""
    times = [event.metadata.creation_timestamp, event.last_timestamp, event.event_time]
    if event.series is not None:
        times.append(event.series.last_observed_time)
    return max(epoch_seconds(each) for each in times if each)


def _remove(keys: Sequence[Key], tx: DocumentTransaction) -> int:
    return sum(tx.delete(key) is not None for key in keys)
