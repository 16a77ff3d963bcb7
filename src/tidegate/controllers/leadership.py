"""Work that one process at a time does, for as long as it lives: a job that is held, never done.

    look: is the job free? -> claim -> work, beside keeping the lease -> lost, or given back

The others look now and then; after a killed process one of them takes over within the lease and a
look. Invariant: this process stops its work before the lease can end in the database.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from tidegate.controllers.setback import log_setback
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import OUTAGES
from tidegate.metastore.jobs import Job

_LOG = logging.getLogger(__name__)

LEASE = 6.0
LOOK_SECONDS = 1.0
SETBACK_SECONDS = 1.0
TURNS = 4
"""In each lease: one extension that fails, or is late, loses nothing."""
STEADY_SECONDS = 5.0
"""After so long at work, that others were killed at it is forgotten: it was not the work that
killed them (see `jobs.ABANDONED_AT_ONCE`)."""


class WorkEnded(Exception):
    """Work that is to go on as long as the process has returned."""


async def lead(
    database: Database,
    kind: str,
    work: Callable[[], Awaitable[None]],
    *,
    lease: float = LEASE,
    look: float = LOOK_SECONDS,
) -> None:
    """Do `work` whenever nobody else does, until cancelled; each process runs it.

    `work` goes on until it is cancelled; when it raises it is begun again, here or elsewhere.
    """
    leader = _Leader(database, kind, lease)
    while True:
        try:
            job = await leader.claim()
            if job is None:
                await asyncio.sleep(look)
            else:
                await leader.hold(job, work)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, f"{kind}: taking the lead", error)
            await asyncio.sleep(SETBACK_SECONDS)


@dataclass(slots=True)
class _Leader:
    """One process's part in the leadership of a kind."""

    database: Database
    kind: str
    lease: float
    asked_at: float = 0.0
    seen: tuple[float | None, float] = (None, 0.0)
    """What the job was due at when it was last looked at, and since when by the monotonic clock."""

    async def claim(self) -> Job | None:
        """The job, if nobody holds it."""
        found = await jobs.find(self.database, self.kind, self.kind)
        if found is not None and self._is_held(found):
            return None

        def unit(tx: Transaction) -> Job | None:
            now = tx.now()
            if found is None or found.due_at is None:
                jobs.enqueue(tx, self.kind, self.kind, due=now)
            return jobs.claim(tx, self.kind, secrets.token_hex(16), now, self.lease)

        self.asked_at = time.monotonic()
        return await self.database.write(unit, durable=False)

    def _is_held(self, job: Job) -> bool:
        """Whether somebody seems to keep the lease, should our clock be right or not."""
        now = time.monotonic()
        if self.seen[0] != job.due_at:
            self.seen = (job.due_at, now)
        alive = now - self.seen[1] <= self.lease
        return alive and job.due_at is not None and job.due_at > time.time()

    async def hold(self, job: Job, work: Callable[[], Awaitable[None]]) -> None:
        """Work as long as the lease holds, then give it back."""
        _LOG.info("%s: this process takes the lead", self.kind)
        task = asyncio.ensure_future(_endless(work))
        until, steady_at = self.asked_at + self.lease, self.asked_at + STEADY_SECONDS
        turn = self.lease / TURNS
        held: Job | None = job
        try:
            while held is not None and time.monotonic() + turn < until:
                await asyncio.wait({task}, timeout=turn)
                if task.done():
                    break
                asked = time.monotonic()
                try:
                    async with asyncio.timeout(turn):
                        held = await self._renew(held, afresh=asked >= steady_at)
                    until = asked + self.lease
                    steady_at = asked + STEADY_SECONDS if asked >= steady_at else steady_at
                except (*OUTAGES, TimeoutError) as error:
                    log_setback(_LOG, f"{self.kind}: keeping the lead", error)
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self._let_go(held, task)

    async def _renew(self, job: Job, *, afresh: bool) -> Job | None:
        """Keep the lease; the job as it is held then, None when it was lost."""

        def unit(tx: Transaction) -> Job | None:
            now = tx.now()
            if not afresh:
                return job if jobs.extend(tx, job, now, self.lease) else None
            if not jobs.finish(tx, job, now, again_at=now):
                return None
            return jobs.claim(tx, self.kind, secrets.token_hex(16), now, self.lease)

        return await self.database.write(unit, durable=False)

    async def _let_go(self, held: Job | None, task: "asyncio.Future[None]") -> None:
        """Give the job back, and say what ended the work."""
        failure = None if task.cancelled() else task.exception()
        if held is None:
            _LOG.warning("%s: another process has the lead", self.kind)
        else:
            with suppress(*OUTAGES):  # then the lease runs out
                await self.database.write(lambda tx: jobs.release(tx, held), durable=False)
        if isinstance(failure, Exception):
            raise failure


async def _endless(work: Callable[[], Awaitable[None]]) -> None:
    await work()
    raise WorkEnded
