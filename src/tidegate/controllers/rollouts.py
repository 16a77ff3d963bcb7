"""Says when rollouts are to be looked at: when they or their streams change, and while one goes on.

Runs beside triggers, in the process that leads (`leadership`), and begins before them: workloads
are not given what a rollout holds back. Nothing is decided before all workloads were read: a step
whose workloads are not known yet would have none that waits, and be over.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from tidegate.apimachinery.store import Change, Key, ObjectStore
from tidegate.controllers.leadership import lead
from tidegate.controllers.setback import log_setback
from tidegate.controllers.triggers import KIND, Triggers
from tidegate.controllers.work_queue import WorkQueue
from tidegate.delivery.rollouts.driving import Driving
from tidegate.delivery.rollouts.lookout import Lookout, Looks
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.kinds.rollout import ROLLOUTS
from tidegate.metastore.database import Database

_LOG = logging.getLogger(__name__)

PARALLEL = 16
REFRESH_SECONDS = 1.0


async def follow_in_steps(database: Database, rollouts: "Rollouts") -> None:
    """Act on triggers, and brake them, whenever no other process does; each process runs it."""
    await lead(database, KIND, rollouts.run)


class Rollouts:
    """What one process does while it leads; `run` may be run again after it was cancelled."""

    def __init__(
        self,
        store: ObjectStore,
        driving: Driving,
        triggers: Triggers,
        looking: Looks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._driving = driving
        self._triggers = triggers
        self._looking = looking
        self._lookout = self._looked_out()
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue(clock)
        self._missed = asyncio.Event()
        self._leads = False
        self._follows = False

    async def run(self) -> None:
        """Drive rollouts, and act on triggers, until cancelled."""
        self._queue = WorkQueue(self._clock)
        self._lookout = self._looked_out()
        self._missed.clear()
        self._leads = True
        if not self._follows:  # which nothing ends; while another leads it is told to nobody
            self._store.follow((ROLLOUTS.key, IMAGE_STREAMS.key), self._apply, self._miss)
            self._follows = True
        try:
            self._queue.add(await self._driving.load())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._triggers.run())
                tasks.create_task(self._refresh())
                for _ in range(PARALLEL):
                    tasks.create_task(self._work())
        finally:
            self._leads = False
            self._lookout.close()

    def _looked_out(self) -> Lookout:
        return Lookout(self._looking, lambda key: self._queue.add([key]))

    def _apply(self, change: Change) -> None:
        if not self._leads:
            return
        if change.key.resource == ROLLOUTS.key:
            self._queue.add(self._driving.apply(change, self._triggers))
        else:
            self._queue.add(self._driving.of_stream(change.key.namespace, change.key.name))

    def _miss(self) -> None:
        """Changes were missed: all is read anew."""
        if self._leads:
            self._missed.set()

    async def _refresh(self) -> None:
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                self._queue.add(await self._driving.load())
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                log_setback(_LOG, "reading rollouts", error)
                self._missed.set()
                await asyncio.sleep(REFRESH_SECONDS)

    async def _work(self) -> None:
        """Look at one rollout after the other, once it is known which workloads there are."""
        await self._triggers.all_known()
        self._driving.begin()
        queue = self._queue
        while True:
            key = await queue.take()
            try:
                queue.done(key, await self._driving.drive(key, self._triggers, self._lookout))
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                queue.failed(key)
                log_setback(_LOG, f"rollout {key.namespace}/{key.name}", error)
