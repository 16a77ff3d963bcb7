"""Keeps the leases of what a process does, and stops what it can no longer be sure to hold.

The end of a lease is reckoned from before it was asked for, by this process's own clock: it is
never later here than in the database, where others look. Knows no job's work.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidegate.controllers.setback import log_setback
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job

_LOG = logging.getLogger(__name__)

TURNS = 4
"""In each lease: one extension that fails, or is late, loses nothing."""


class LeaseLost(Exception):
    """Another process may be doing this job by now: stop, and write nothing of it."""


@dataclass(slots=True, eq=False)
class Held:
    """A job that this process does; `until` is when the lease ends, by the monotonic clock."""

    job: Job
    until: float
    task: "asyncio.Task[None] | None" = None
    lost: bool = False

    def lose(self) -> None:
        """Stop the work."""
        if not self.lost and self.task is not None:
            self.lost = True
            self.task.cancel()


@dataclass(slots=True)
class Leases:
    """What this process holds of one kind; `now` is the time in a unit of work."""

    database: Database
    seconds: float
    now: Callable[[Transaction], float]
    held: set[Held] = field(default_factory=set)

    async def keep(self) -> None:
        """Extend the leases again and again, until cancelled."""
        turn = self.seconds / TURNS
        while True:
            await asyncio.sleep(turn)
            try:
                async with asyncio.timeout(turn):
                    await self._extend_all(list(self.held))
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                log_setback(_LOG, "keeping what is under way", error)
            for each in self.held:
                if time.monotonic() + turn > each.until:
                    each.lose()

    async def _extend_all(self, held: Sequence[Held]) -> None:
        if not held:
            return
        until = time.monotonic() + self.seconds

        def unit(tx: Transaction) -> list[bool]:
            now = self.now(tx)
            return [jobs.extend(tx, each.job, now, self.seconds) for each in held]

        for each, kept in zip(held, await self.database.write(unit, durable=False), strict=True):
            if kept:
                each.until = max(each.until, until)
            else:
                each.lose()

    async def extend(
        self,
        held: Held,
        *,
        position: str | None = None,
        done: int | None = None,
        total: int | None = None,
    ) -> None:
        """Note how far a job is, and keep its lease; raises LeaseLost."""
        until = time.monotonic() + self.seconds

        def unit(tx: Transaction) -> bool:
            now = self.now(tx)
            return jobs.extend(
                tx, held.job, now, self.seconds, position=position, done=done, total=total
            )

        if not await self.database.write(unit, durable=position is not None):
            raise LeaseLost
        held.until = max(held.until, until)
