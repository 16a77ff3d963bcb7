"""Runs Mirrors: a job for each, due when it is made or changed, asked for, or its time has come.

    a Mirror changes ──> job `mirror` PROJECT/NAME ──> a run ──> its status; due again after `every`

How far a run is stands in the job as it goes, and in the Mirror's status every few seconds. Uploads
to other registries go on where a killed process was: their addresses are the job's position.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from tidegate.apimachinery.store import Change, DocumentTransaction, Key, ObjectStore
from tidegate.controllers.job_clock import DATABASE_TIME, Clock
from tidegate.controllers.jobs import Ended, Limits, Progress, run_jobs
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.setback import log_setback
from tidegate.delivery.mirrors.mirroring import Mirroring, Ran
from tidegate.delivery.mirrors.receipt import Outcome
from tidegate.delivery.mirrors.running import FAILURES
from tidegate.delivery.mirrors.sessions import Notes
from tidegate.delivery.mirrors.shown import begun, ended, moved_on, suspended
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.mirror import MIRROR, RUN, Mirror, MirrorStatus
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339
from tidegate.remote.errors import RateLimited

_LOG = logging.getLogger(__name__)

JOB = "mirror"

LIMITS = Limits(parallel=2, per_lane=2, lease=20.0, longest=24 * 3600.0)
"""Runs of a process, each with some transfers at a time."""

TOLD_SECONDS = 1.0
SHOWN_SECONDS = 10.0
"""Between two writings of how far a run is, into the job and into the Mirror's status."""

RETRY_SECONDS, LONGEST_RETRY = 60.0, 3600.0
"""Before a run that failed is tried again; the pauses double."""

WAIT_SECONDS = 600.0

_MIRROR = msgspec.json.Decoder(Mirror)


class _Header(msgspec.Struct, rename="camel"):
    generation: int = 0
    annotations: dict[str, str] = {}
    deletion_timestamp: str = ""


class _Partial(msgspec.Struct):
    metadata: _Header


_PARTIAL = msgspec.json.Decoder(_Partial)


async def notice_mirrors(
    database: Database, store: ObjectStore, mirroring: Mirroring, noticed: Noticed[Key]
) -> None:
    """Have Mirrors that are new, or have changed, looked at; until cancelled.

    Each process does; who comes second finds the job there.
    """
    while True:
        try:
            if noticed.look_everywhere:
                noticed.look_everywhere = False
                noticed.add([each.key for each in (await store.list(MIRROR.key)).documents])
            for key in sorted(noticed.take()):
                await _enqueue(database, store, mirroring, key)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "looking for mirrors", error)
            noticed.look_everywhere = True
            await asyncio.sleep(random.uniform(0.5, 1.0))  # noqa: S311  no secret
        await noticed.wait(WAIT_SECONDS)


def notice(store: ObjectStore) -> Noticed[Key]:
    """What changes of Mirrors ask to look at; from now on."""
    return Noticed(store, [MIRROR.key], work_of)


def work_of(change: Change) -> Key | None:
    """The Mirror that a change asks to run, or to run no more; its status asks for nothing."""
    before, after = (
        None if body is None else _PARTIAL.decode(body).metadata
        for body in (change.before, change.after)
    )
    if before is not None and after is not None:
        same = before.generation == after.generation
        if same and before.annotations.get(RUN) == after.annotations.get(RUN):
            return None
    return change.key


async def _enqueue(database: Database, store: ObjectStore, mirroring: Mirroring, key: Key) -> None:
    """Make the Mirror's job due, unless it is at rest as it was last seen."""
    document = await store.get(key)
    name = f"{key.namespace}/{key.name}"
    if document is None:
        await database.write(lambda tx: jobs.drop(tx, JOB, name))
        return
    mirror = _MIRROR.decode(document.body)
    job = await jobs.find(database, JOB, name)
    wanted = Position.of(mirror, "" if job is None else Position.read(job.position).uploads)
    if job is not None and Position.read(job.position) == wanted:
        return
    lane = mirroring.lane(mirror)

    def unit(tx: Transaction) -> None:
        now = tx.now()
        jobs.enqueue(
            tx,
            JOB,
            name,
            due=now,
            lane=lane,
            project=key.namespace,
            position=wanted.written(),
            now=now,
        )

    await database.write(unit)


class Position(msgspec.Struct, omit_defaults=True):
    """What a job keeps: which Mirror it was made for, or last run, and uploads under way.

    A Mirror with another generation, or another wish for a run, is to be run again.
    """

    generation: int = 0
    run: str = ""
    uploads: str = ""

    @classmethod
    def of(cls, mirror: Mirror, uploads: str) -> "Position":
        """That of a Mirror as it is."""
        metadata = mirror.metadata
        return cls(metadata.generation, metadata.annotations.get(RUN, ""), uploads)

    @classmethod
    def read(cls, text: str) -> "Position":
        """A position that a job has; a new one where there is none."""
        try:
            return msgspec.json.decode(text, type=cls) if text else cls()
        except msgspec.MsgspecError:
            return cls()

    def written(self) -> str:
        return msgspec.json.encode(self).decode()


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
