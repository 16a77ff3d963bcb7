"""Does the jobs of one kind: claims what is due, keeps the lease, notes what came of it.

    look: is anything due? -> pick a lane -> claim, in one unit -> work, side by side
      ^                                                                    |
      +--- woken by a commit, by an end, or when the next one is due <-----+

Every process runs one of these for each kind, beside the others'; the database keeps them apart.
What is enqueued in this process is begun at once. An idle one asks nothing as long as SQLite proves
that nothing was committed; PostgreSQL it asks once a second. Knows no kind of work.

Invariant: a job whose work was killed, cut off or cancelled is done again; work goes on only while
the lease holds (`job_leases.py`).
"""

import asyncio
import itertools
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tidegate.apimachinery.errors import ApiError
from tidegate.controllers.job_clock import DATABASE_TIME, Clock
from tidegate.controllers.job_lanes import Lanes, Rest
from tidegate.controllers.job_leases import Held, LeaseLost, Leases
from tidegate.controllers.setback import log_setback
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import OUTAGES
from tidegate.metastore.jobs import Job
from tidegate.remote.errors import RemoteError

_LOG = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often one looks for what other processes want done, where it is not told."""
PAUSE_SECONDS = 0.1
"""Between two looks while others commit without pause."""
SETBACK_SECONDS = 1.0
LONGEST_PAUSE = 300.0
"""Only a clock that was set back makes this matter: commits stir."""
TELL_SECONDS = 1.0
"""Between two writings of how far a job is, while its position stays."""

BACKOFF_SECONDS, LONGEST_BACKOFF = 1.0, 600.0


class JobFailed(Exception):
    """Work that did not succeed; the message is shown to whoever may see the job."""


class Postponed(Exception):
    """Nothing is wrong with the job, but its lane has to rest for some `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the lane rests for {seconds:.0f} seconds")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a job: when to do it again, and what is to be written in one unit with that.

    `also` runs only if the lease still holds, and records no change: the unit is not durable. An
    `error` counts as a failure, of work that knows by itself when it is to be tried again.
    """

    again_at: float | None
    also: Callable[[Transaction], None] | None = None
    error: str = ""


Work = Callable[[Job, "Progress"], Awaitable["float | Ended | None"]]
"""Does a job; gives when it is to be done again, None for never.

A failure is an exception: the text of `RemoteError`, `ApiError`, `JobFailed` and of outages is
shown, any other is logged with its traceback.
"""


class Limits(NamedTuple):
    """How much one process does at once, in all and of a lane; seconds of a lease and of work.

    After a killed process its jobs are begun again within `lease`.
    """

    parallel: int = 4
    per_lane: int = 4
    lease: float = 30.0
    longest: float = 3600.0


def backoff(attempts: int) -> float:
    """Seconds before the next try after `attempts` failures in a row; at odds with others."""
    delay = min(BACKOFF_SECONDS * 2.0 ** min(attempts - 1, 30), LONGEST_BACKOFF)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311  no secret


class Progress:
    """How far a job is, told by its work."""

    def __init__(self, leases: Leases, held: Held) -> None:
        self._leases = leases
        self._held = held
        self._told = float("-inf")

    async def tell(
        self, *, position: str | None = None, done: int | None = None, total: int | None = None
    ) -> None:
        """Note it, and keep the lease; raises LeaseLost.

        A position is kept at once. Numbers alone are kept once a second at most: they are shown,
        nothing goes on from them.
        """
        now = time.monotonic()
        if position is None and now - self._told < TELL_SECONDS:
            return
        self._told = now
        await self._leases.extend(self._held, position=position, done=done, total=total)


async def run_jobs(
    database: Database,
    kind: str,
    work: Work,
    *,
    limits: Limits = Limits(),  # noqa: B008  immutable
    rest: Rest | None = None,
    keep: bool = True,
    clock: Clock = DATABASE_TIME,
) -> None:
    """Do the jobs of `kind`, until cancelled; what is under way then is given back.

    `rest` says for how long a lane has to rest. With `keep` False a job that is not to be done
    again is forgotten.
    """
    await _Runner(database, kind, work, limits, rest, keep, clock).run()


class _Runner:
    """One process's part in the jobs of a kind."""

    def __init__(
        self,
        database: Database,
        kind: str,
        work: Work,
        limits: Limits,
        rest: Rest | None,
        keep: bool,
        clock: Clock,
    ) -> None:
        self._database = database
        self._kind = kind
        self._work = work
        self._limits = limits
        self._keep = keep
        self._clock = clock
        self._ahead = 0.0  # the database's clock less ours
        self._lanes = Lanes(database, kind, limits.per_lane, rest, self._now)
        self._leases = Leases(database, limits.lease, self._time)
        self._stir = asyncio.Event()
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._leases.keep())
            while True:
                self._stir.clear()
                try:
                    pause = await self._fill(tasks)
                except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                    log_setback(_LOG, f"looking for {self._kind} jobs", error)
                    pause = SETBACK_SECONDS
                await self._clock.wait(self._stir, min(pause, LONGEST_PAUSE))

    async def _listen(self) -> None:
        """Stir when something was committed, which may be a job."""
        while True:
            try:
                token = self._database.fresh()
                self._stir.set()
                await asyncio.sleep(PAUSE_SECONDS)
                await self._database.changed(token, LOOK_SECONDS)
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                log_setback(_LOG, f"waiting for {self._kind} jobs", error)
                await asyncio.sleep(SETBACK_SECONDS)

    def _time(self, tx: Transaction) -> float:
        now = self._clock.of_unit(tx)
        self._ahead = now - self._clock.here()
        return now

    def _now(self) -> float:
        return self._clock.here() + self._ahead

    async def _fill(self, tasks: asyncio.TaskGroup) -> float:
        """Begin what is due, as far as there is room; seconds until there may be more."""
        while len(self._leases.held) < self._limits.parallel:
            due = await jobs.next_due(self._database, self._kind)
            if due is None:
                return LONGEST_PAUSE
            if due > self._now():
                return due - self._now()
            lane, pause = await self._lanes.pick()
            if lane is None:
                return pause
            await self._claim(tasks, lane)
        return LONGEST_PAUSE  # an end stirs

    async def _claim(self, tasks: asyncio.TaskGroup, lane: str) -> None:
        """Take the next jobs of the lane, as many as there is room for, and begin them."""
        room = min(self._limits.parallel - len(self._leases.held), self._lanes.room(lane))
        holder = f"{self._name}.{next(self._numbers)}"
        until = time.monotonic() + self._limits.lease

        def unit(tx: Transaction) -> list[Job]:
            now = self._time(tx)
            return jobs.claim_some(tx, self._kind, holder, now, self._limits.lease, lane, room)

        for job in await self._database.write(unit, durable=False):
            held = Held(job, until)
            self._leases.held.add(held)
            self._lanes.begin(lane)
            held.task = tasks.create_task(self._perform(held))

    async def _perform(self, held: Held) -> None:
        """Do a job and note what came of it."""
        job = held.job
        try:
            async with asyncio.timeout(self._limits.longest):
                ended = await self._work(job, Progress(self._leases, held))
            unit = partial(self._finish, job, ended)
            if not await self._database.write(unit, durable=False):
                raise LeaseLost
            self._lanes.succeed(job.lane)
        except asyncio.CancelledError:
            if not held.lost:  # this process stops
                await self._give_back(job)
                raise
            await self._say_lost(job)
        except LeaseLost:
            await self._say_lost(job)
        except Postponed as postponed:
            self._lanes.let_rest(job.lane, postponed.seconds)
            await self._give_back(job)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            await self._fail(job, error)
        finally:
            self._leases.held.discard(held)
            self._lanes.end(job.lane)
            self._stir.set()

    def _finish(self, job: Job, ended: float | Ended | None, tx: Transaction) -> bool:
        end = ended if isinstance(ended, Ended) else Ended(ended)
        now = self._time(tx)
        if end.error and end.again_at is not None:
            held = jobs.fail(tx, job, now, end.error, end.again_at)
        else:
            held = jobs.finish(tx, job, now, again_at=end.again_at)
        if held and end.also is not None:
            end.also(tx)
        if held and not self._keep:
            jobs.drop_finished(tx, job.kind, job.name)
        return held

    async def _fail(self, job: Job, error: Exception) -> None:
        """Note a failure; when that fails too the lease runs out, and the job is done again."""
        said = told(error)
        if said is None:
            _LOG.error("%s %s failed, will try again", job.kind, job.name, exc_info=error)
            said = "the server failed; its log says how"
        else:
            _LOG.info("%s %s failed, will try again: %s", job.kind, job.name, said)
        pause = backoff(job.attempts + 1)

        def unit(tx: Transaction) -> bool:
            now = self._time(tx)
            return jobs.fail(tx, job, now, said, now + pause)

        try:
            await self._database.write(unit, durable=False)
        except Exception as setback:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, f"noting that {job.kind} {job.name} failed", setback)

    async def _give_back(self, job: Job) -> None:
        with suppress(*OUTAGES):  # then the lease runs out
            await self._database.write(lambda tx: jobs.release(tx, job), durable=False)

    async def _say_lost(self, job: Job) -> None:
        with suppress(*OUTAGES):
            if await jobs.find(self._database, job.kind, job.name) is None:
                return  # what it was for is gone
        _LOG.warning("%s %s: another process may be doing this by now", job.kind, job.name)


def told(error: Exception) -> str | None:
    """What is shown of a failure; None for one that is a fault of ours."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, (RemoteError, ApiError, JobFailed, *OUTAGES)):
        return str(error)
    return None
