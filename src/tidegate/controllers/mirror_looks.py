"""Looks for Mirrors that are to run: those that are new, have changed, or are asked for a run.

A Mirror that is at rest as it was last seen gets no job, which is what the job itself remembers.
"""

import asyncio
import logging
import random

import msgspec

from tidegate.apimachinery.store import Change, Key, ObjectStore
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.setback import log_setback
from tidegate.delivery.mirrors.mirroring import Mirroring
from tidegate.kinds.mirror import MIRROR, RUN, Mirror
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction

_LOG = logging.getLogger(__name__)

JOB = "mirror"

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
