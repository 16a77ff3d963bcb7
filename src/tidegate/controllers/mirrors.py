"""Runs Mirrors: a job for each, due when it is made or changed, asked for, or its time has come.

    a Mirror changes ──> `mirror_looks` ──> job `mirror` PROJECT/NAME ──> a run ──> its status
                                                  ^── due again after `every` ──┘

How far a run is stands in the job as it goes, and in the Mirror's status every few seconds. Uploads
to other registries go on where a killed process was: their addresses are the job's position.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.controllers.job_clock import DATABASE_TIME, Clock
from tidegate.controllers.jobs import Ended, Limits, Progress, run_jobs
from tidegate.controllers.mirror_events import happenings
from tidegate.controllers.mirror_looks import JOB, Position
from tidegate.controllers.object_events import ObjectEvents
from tidegate.delivery.mirrors.mirroring import Mirroring, Ran
from tidegate.delivery.mirrors.receipt import Outcome
from tidegate.delivery.mirrors.running import FAILURES
from tidegate.delivery.mirrors.sessions import Notes
from tidegate.delivery.mirrors.shown import begun, ended, moved_on, suspended
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.mirror import MIRROR, Mirror, MirrorStatus
from tidegate.metastore.database import Database
from tidegate.metastore.jobs import Job
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339
from tidegate.remote.errors import RateLimited

LIMITS = Limits(parallel=2, per_lane=2, lease=20.0, longest=24 * 3600.0)
"""Runs of a process, each with some transfers at a time."""

TOLD_SECONDS = 1.0
SHOWN_SECONDS = 10.0
"""Between two writings of how far a run is, into the job and into the Mirror's status."""

RETRY_SECONDS, LONGEST_RETRY = 60.0, 3600.0
"""Before a run that failed is tried again; the pauses double."""

_MIRROR = msgspec.json.Decoder(Mirror)


@dataclass(slots=True)
class Bytes:
    """A meter that is looked at now and then."""

    done: int = 0
    total: int = 0

    def expect(self, size: int) -> None:
        self.total += size

    def advance(self, size: int) -> None:
        self.done += size


@dataclass(slots=True)
class Mirrors:
    """The runs of one process."""

    database: Database
    store: ObjectStore
    mirroring: Mirroring
    audit: Audit
    events: ObjectEvents
    chance: Callable[[], float] = random.random
    told_seconds: float = TOLD_SECONDS
    _now: Callable[[], float] = field(init=False)

    def __post_init__(self) -> None:
        self._now = self.mirroring.clock

    async def run(self, *, limits: Limits = LIMITS, clock: Clock = DATABASE_TIME) -> None:
        """Do the jobs, until cancelled."""
        await run_jobs(self.database, JOB, self.mirror, limits=limits, clock=clock)

    async def mirror(self, job: Job, progress: Progress) -> Ended:
        """One run."""
        project, _, name = job.name.partition("/")
        key = Key(MIRROR.key, project, name)
        document = await self.store.get(key)
        if document is None:
            return Ended(None)
        mirror = _MIRROR.decode(document.body)
        started = self._now()
        if mirror.spec.suspend:
            await self._show(key, mirror, partial(suspended, now=started))
            return Ended(None)
        await self._show(key, mirror, begun)
        notes = Notes(Position.read(job.position).uploads)
        ran, error, wait = await self._ran(key, mirror, notes, progress)
        failed = bool(error) or ran is None or bool(ran.failed)
        again = self._again(mirror, started, job.attempts if failed else -1, wait)
        await progress.tell(position=Position.of(mirror, notes.written()).written())
        await self._show(
            key,
            mirror,
            lambda each: ended(each, started, ran, error, again, self._now()),
        )
        for each in happenings(mirror, ran, error, job.attempts + 1):
            await self.events.report(each)
        if ran is not None and ran.failed and not error:
            error = f"{len(ran.failed)} images were not copied: {ran.failed[0].error}"
        return Ended(again, error=error)

    async def _ran(
        self, key: Key, mirror: Mirror, notes: Notes, progress: Progress
    ) -> tuple[Ran | None, str, float]:
        """What the run came to, or why it could not begin, and for how long to leave it then."""
        meter = Bytes()
        done = partial(self._tell, mirror)
        running = asyncio.ensure_future(self.mirroring.run(mirror, notes, meter, done))
        shown = self._now()
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=self.told_seconds)
                kept = None
                if notes.changed:
                    kept = Position.of(mirror, notes.written()).written()
                await progress.tell(position=kept, done=meter.done, total=meter.total)
                if not running.done() and self._now() - shown >= SHOWN_SECONDS:
                    shown = self._now()
                    so_far = partial(moved_on, done=meter.done, total=meter.total)
                    await self._show(key, mirror, so_far)
            return running.result(), "", 0.0
        except FAILURES as failure:
            wait = failure.retry_after if isinstance(failure, RateLimited) else 0.0
            return None, str(failure), wait
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _again(self, mirror: Mirror, started: float, attempts: int, wait: float) -> float | None:
        """When to run again; `attempts` is -1 after a run without failure."""
        period = seconds_of(mirror.spec.every) if mirror.spec.every else None
        if attempts < 0:
            if period is None:
                return None
            # at odds, so that those which were made together do not run together for ever
            return started + period * (1 + 0.05 * self.chance())
        pause = min(RETRY_SECONDS * 2.0 ** min(attempts, 20), LONGEST_RETRY)
        if period is not None:
            pause = min(pause, max(period, RETRY_SECONDS))
        return self._now() + max(pause * (0.75 + 0.5 * self.chance()), wait)

    async def _show(
        self, key: Key, mirror: Mirror, status: Callable[[Mirror], MirrorStatus]
    ) -> None:
        """Write the status into the Mirror as it is now, if it is still the same object."""

        def unit(tx: DocumentTransaction) -> None:
            stored = tx.get(key)
            if stored is None or stored.uid != mirror.metadata.uid:
                return
            now = _MIRROR.decode(stored.body)
            # what a run did is about the spec that it read
            read = msgspec.structs.replace(now.metadata, generation=mirror.metadata.generation)
            after = status(msgspec.structs.replace(now, metadata=read))
            if after == now.status:
                return
            now.status = after

            def encode(revision: int) -> bytes:
                now.metadata.resource_version = str(revision)
                return msgspec.json.encode(now)

            tx.put(key, stored.uid, encode)

        await self.store.write(unit)

    def _tell(self, mirror: Mirror, outcome: Outcome) -> None:
        """An audit event for an image that came, went or failed."""
        copied = outcome.copied
        if copied is not None and outcome.result == "unchanged":
            return
        sent = 0 if copied is None else sum(e.size for e in copied.blobs if e.how == "copied")
        self.audit.record(
            AuditEvent(
                time=rfc3339(self._now()),
                action="mirror",
                user=f"system:mirror:{mirror.metadata.namespace}:{mirror.metadata.name}",
                repository=outcome.target.rpartition(":")[0],
                reference=outcome.target.rpartition(":")[2],
                digest="" if copied is None else str(copied.digest),
                status=200 if copied is not None else 502,
                bytes=sent,
                detail=outcome.error or f"from {outcome.origin}",
            )
        )
