"""Looks at scheduled tags again and again, as often as they ask for and registries allow.

    job PROJECT/STREAM:TAG, in the lane of its registry ──> a look ──> due again in its period

A look that finds what it knows costs one HEAD, and no write but of when it was (image-api 9.2). Who
was looked at longest ago comes first, whatever process is free: where a registry allows less than
its tags ask for they all get as much of it. Where it allows none for a while the lane rests, and
the others go on.
"""

import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tidegate.controllers.import_events import Failure, ImportEvents
from tidegate.controllers.import_looks import SCHEDULED, Looks
from tidegate.controllers.imports import WHO, Imports
from tidegate.controllers.job_clock import DATABASE_TIME, Clock
from tidegate.controllers.jobs import (
    Ended,
    Limits,
    Postponed,
    Progress,
    run_jobs,
)
from tidegate.images.imports.tag_imports import TagResult
from tidegate.metastore import import_counts, jobs, paces
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job
from tidegate.oci.name import RepositoryName
from tidegate.remote.budgets import Urgency

LIMITS = Limits(parallel=32, per_lane=8, longest=900.0)
"""Looks of a process, of which so many are at one registry."""

JITTER = 0.05
"""The part of a period by which looks are at odds, so that they do not come together for ever."""

LONGEST_REST = 600.0
"""Seconds after which a lane is tried again, though its registry wanted longer: somebody may have
given more room meanwhile, as by other credentials. A try costs a registry nothing."""

PACE = "scheduled-imports"
BURST = 2.0
"""Minutes of looks that may be made up for at once."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """How many looks all processes together make in a minute, `per_minute` unless that is 0."""

    database: Database
    per_minute: int
    clock: Callable[[], float]
    until: float = field(default=-math.inf)

    async def rest(self, _lane: str) -> float:
        """Take the next turn; seconds to wait where there is none."""
        left = self.until - self.clock()
        if left > 0:
            return left
        spacing, burst = 60.0 / self.per_minute, max(1, int(self.per_minute * BURST))

        def unit(tx: Transaction) -> float:
            return paces.step(tx, PACE, self.clock(), spacing, burst)

        wait = await self.database.write(unit, durable=False)
        self.until = self.clock() + wait
        return wait


@dataclass(slots=True)
class ScheduledImports:
    """The looks of one process; `chance` gives numbers from 0 to 1."""

    looks: Looks
    imports: Imports
    events: ImportEvents
    pace: Pace
    chance: Callable[[], float] = random.random

    async def run(self, *, limits: Limits = LIMITS, clock: Clock = DATABASE_TIME) -> None:
        """Do the jobs, until cancelled."""
        await run_jobs(
            self.looks.database,
            SCHEDULED,
            self.check,
            limits=limits,
            rest=self.pace.rest if self.pace.per_minute else None,
            keep=False,
            clock=clock,
        )

    async def check(self, job: Job, _progress: Progress) -> Ended | None:
        """Look at a tag, and import what is new; None when it is not scheduled any more."""
        stream, _, tag = job.name.partition(":")
        name = RepositoryName(stream)
        schedule = await self.looks.schedule_of(name, tag)
        if schedule is None:
            return None
        results = await self.imports.import_tags(name, [tag], WHO, Urgency.BACKGROUND)
        if not results:
            return None
        (result,) = results
        if result.later is not None:
            raise Postponed(min(max(result.later, 1.0), LONGEST_REST))
        if result.moved:
            _LOG.info("%s is %s now", job.name, result.digest)
        if result.error:
            await self.events.report(
                Failure(name, tag, result.reason, result.error, job.attempts + 1)
            )
        period = schedule.interval * (1 + JITTER * (2 * self.chance() - 1))
        lane = await self.looks.lane(name, schedule)
        again = self.looks.clock() + max(period, self.looks.periods.shortest)
        return Ended(again, partial(_end, job, result, lane, again), result.error)


def _end(job: Job, result: TagResult, lane: str, again: float, tx: Transaction) -> None:
    """Count the look, and move the job to its lane if that is another now."""
    import_counts.add(tx, result.registry, result.reason, scheduled=True)
    if lane != job.lane:
        jobs.enqueue(
            tx, job.kind, job.name, due=again, lane=lane, project=job.project, now=job.created_at
        )
