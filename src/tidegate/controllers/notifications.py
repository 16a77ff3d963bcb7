"""Tells listeners: a job for each subscription, due with its next event, a pause, or a change.

The job is made due by the database itself with each event (migration 0006). What is left to do here
is to make one for each new subscription, again whenever one changes, and to drop what was told.
"""

import asyncio
import logging
import random
import time
from functools import partial
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.store import Change, Document, ObjectStore
from tidegate.controllers.jobs import Ended, Limits, Progress, run_jobs
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.setback import log_setback
from tidegate.controllers.turns import every
from tidegate.delivery.notifications.subscriptions import subscription_of
from tidegate.delivery.notifications.telling import Telling
from tidegate.kinds.event_subscription import (
    CLUSTER_EVENT_SUBSCRIPTIONS,
    EVENT_SUBSCRIPTIONS,
    host_of,
)
from tidegate.metastore import jobs, outbox
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job
from tidegate.metastore.outbox import JOB

_LOG = logging.getLogger(__name__)

LOOK_SECONDS = 600.0

LIMITS = Limits(parallel=16, per_lane=2, lease=30.0, longest=120.0)
"""A lane is a receiver's host: a slow one has two of the places, however many subscribe there."""

KEPT_EVENTS = 1_000_000
KEPT_SECONDS = 7 * 86_400.0
"""Events that wait for their listeners; beyond that they are lost, and counted."""
TRIMMED_AT_ONCE = 1000
TRIM_INTERVAL = 60.0

_KINDS = (EVENT_SUBSCRIPTIONS.key, CLUSTER_EVENT_SUBSCRIPTIONS.key)


async def tell_listeners(database: Database, telling: Telling) -> None:
    """Tell every listener of what happens; until cancelled. Each worker runs it."""

    async def work(job: Job, progress: Progress) -> Ended:
        told = await telling.run(job.name, job.position, progress.tell)
        return Ended(told.again_at, error=told.error)

    await run_jobs(database, JOB, work, limits=LIMITS)


async def plan_telling(database: Database, store: ObjectStore) -> None:
    """Have subscriptions that are new, or that somebody changed, looked at; until cancelled."""
    noticed = Noticed(store, _KINDS, _work_of)
    while True:
        try:
            if noticed.look_everywhere:
                noticed.look_everywhere = False
                for kind in _KINDS:
                    listing = await store.list(kind)
                    noticed.add(_due(each) for each in listing.documents)
            for each in sorted(noticed.take()):
                await database.write(partial(_enqueue, each), durable=False)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "looking for event subscriptions", error)
            noticed.look_everywhere = True
            await asyncio.sleep(random.uniform(0.5, 1.0))  # noqa: S311  no secret
        await noticed.wait(LOOK_SECONDS)


class _Due(NamedTuple):
    """A job, and what it competes for."""

    job: str
    lane: str


def _work_of(change: Change) -> _Due | None:
    """What a change asks for; one of the status, which we make ourselves, nothing."""
    if change.after is None:
        return None
    if change.before is not None and _generation(change.before) == _generation(change.after):
        return None
    return _due(Document(change.key, "", change.revision, change.after))


def _generation(body: bytes) -> int:
    return msgspec.json.decode(body, type=_Subscription).metadata.generation


def _due(document: Document) -> _Due:
    key = document.key
    return _Due(f"{key.namespace}/{key.name}", host_of(subscription_of(document).spec.url))


def _enqueue(due: _Due, tx: Transaction) -> None:
    project = due.job.partition("/")[0]
    jobs.enqueue(tx, JOB, due.job, due=tx.now(), lane=due.lane, project=project)


class _Metadata(msgspec.Struct):
    generation: int = 0


class _Subscription(msgspec.Struct):
    metadata: _Metadata


async def trim_outbox(database: Database, interval: float = TRIM_INTERVAL) -> None:
    """Drop what everybody was told of, and what is too much; until cancelled."""

    async def turn() -> None:
        before = time.time() - KEPT_SECONDS

        def unit(tx: Transaction) -> int:
            return outbox.trim(tx, KEPT_EVENTS, before, TRIMMED_AT_ONCE)

        while await database.write(unit) == TRIMMED_AT_ONCE:
            pass

    await every(interval, "dropping events that were told", turn)
