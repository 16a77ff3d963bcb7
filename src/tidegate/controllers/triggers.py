"""The loop of image-change triggers: a stream moves, its followers are looked at, side by side.

    streams, policies, rights (the database)  --> which workloads --> queue --> `reconcile`
    workloads (the database, or a cluster)    -->

One process leads; it reads everything when it begins, so that nothing is lost when the one before
died, and compares, so that nothing is done twice. Were two to lead for a moment, each writes only
to workloads that are as it knows them.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tidegate.apimachinery.store import Change, ObjectStore
from tidegate.auth.rbac.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate.controllers.leadership import lead
from tidegate.controllers.setback import log_setback
from tidegate.controllers.work_queue import WorkQueue
from tidegate.delivery.triggers import rules
from tidegate.delivery.triggers.planning import selections
from tidegate.delivery.triggers.reading import SHAPES
from tidegate.delivery.triggers.reconciling import Gate, Reconciler
from tidegate.delivery.triggers.rights import MayPull
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.targets import (
    Overtaken,
    TargetRefused,
    Targets,
    TargetUnavailable,
)
from tidegate.delivery.triggers.telling import ReportFailed, Telling
from tidegate.delivery.triggers.workload import Source, Workload, WorkloadKey
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.metastore.database import Database
from tidegate.oci.name import RepositoryName

_LOG = logging.getLogger(__name__)

KIND = "triggers"

PARALLEL = 16
"""Workloads that are looked at side by side."""
REFRESH_SECONDS = 1.0
"""Before a stream that could not be read is read again."""

_RIGHTS = (
    CLUSTER_ROLE_BINDINGS.key,
    CLUSTER_ROLES.key,
    ROLE_BINDINGS.key,
    ROLES.key,
)


async def follow_tags(database: Database, triggers: "Triggers") -> None:
    """Act on triggers whenever no other process does, until cancelled; each process runs it."""
    await lead(database, KIND, triggers.run)


def _made(
    tags: Callable[[], Tags],
    targets: Targets,
    may_pull: MayPull,
    telling: Telling,
    clock: Callable[[], float],
    gates: Sequence[Gate],
) -> Reconciler:
    return Reconciler(tags(), targets, may_pull, telling, clock, gates)


class Triggers:
    """What one process does while it leads; `run` may be run again after it was cancelled."""

    def __init__(
        self,
        store: ObjectStore,
        tags: Callable[[], Tags],
        targets: Targets,
        may_pull: MayPull,
        telling: Telling,
        *,
        clock: Callable[[], float] = time.time,
        gates: Sequence[Gate] = (),
        parallel: int = PARALLEL,
    ) -> None:
        self._store = store
        self._make = partial(_made, tags, targets, may_pull, telling, clock, gates)
        self._targets = targets
        self._telling = telling
        self._clock = clock
        self._parallel = parallel
        self._reconciler = self._make()
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(clock)
        self._moved: set[RepositoryName] = set()
        self._stir = asyncio.Event()
        self._missed = False
        self._gone: dict[str, set[WorkloadKey]] = {}
        self._unread: set[str] = set()
        self._all_known = asyncio.Event()
        self._leads = False
        self._follows = False

    async def all_known(self) -> None:
        """Wait until all workloads that there are were read, by who leads."""
        await self._all_known.wait()

    def followers(self, source: Source) -> list[Workload]:
        """The workloads of the tag's own project that follow it, unless policies choose others."""
        index, ruling = self._reconciler.index, self._reconciler.rules
        keys = index.followers(source.stream, [source.tag])
        found = (index.workloads.get(key) for key in sorted(keys))
        return [
            each
            for each in found
            if each
            and each.namespace == source.stream.project
            and (source, None) in selections(each, ruling.policies(each))
        ]

    def reasons(self, workload: WorkloadKey) -> Sequence[str]:
        """What holds a workload back, in words for programs."""
        return self._telling.reasons(workload)

    def reports(self, workload: Workload) -> bool:
        """Whether a policy leaves writing the workload to somebody else."""
        return any(each.reports for each in self._reconciler.rules.policies(workload))

    def look_at(self, keys: Iterable[WorkloadKey]) -> None:
        """Have these workloads looked at: what a gate says of them has changed."""
        if self._leads:
            self._queue.add(keys)

    def look_at_all(self, namespace: str) -> None:
        """Have the workloads of a namespace looked at."""
        self.look_at(self._reconciler.index.of_namespace(namespace))

    async def run(self) -> None:
        """Act on triggers until cancelled."""
        self._reconciler, self._queue = self._make(), WorkQueue(self._clock)
        self._moved.clear()
        self._gone.clear()
        self._unread = {*self._targets.resources}
        self._missed, self._leads = False, True
        if not self._follows:  # which nothing ends; while another leads it is told to nobody
            resources = (IMAGE_STREAMS.key, *rules.RESOURCES, *_RIGHTS)
            self._store.follow(resources, self._apply, self._miss)
            self._follows = True
        try:
            await self._reconciler.load(self._store)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._targets.follow(self._see, self._synced))
                tasks.create_task(self._keep_up())
                tasks.create_task(self._telling.note_all())
                for _ in range(self._parallel):
                    tasks.create_task(self._work())
        finally:
            self._leads = False
            self._all_known.clear()

    def _see(self, key: WorkloadKey, workload: Workload | None) -> None:
        if self._reconciler.seen(key, workload):
            self._queue.add([key])

    def _synced(self, resource: str, there: set[WorkloadKey]) -> None:
        """All workloads of a resource were read: those that are not among them are gone."""
        for key in self._reconciler.missing(there):
            if key.resource == resource:
                self._see(key, None)
        self._gone[resource] = there
        self._stir.set()
        self._unread.discard(resource)
        if not self._unread:
            self._all_known.set()

    def _apply(self, change: Change) -> None:
        if not self._leads:
            return
        resource = change.key.resource
        if resource == IMAGE_STREAMS.key:
            stream = RepositoryName(f"{change.key.namespace}/{change.key.name}")
            if self._reconciler.knows(stream):
                self._moved.add(stream)
                self._stir.set()
        elif resource in rules.RESOURCES:
            self._queue.add(self._reconciler.ruled(change.key, change.after))
        else:
            self._queue.add(self._reconciler.regranted())

    def _miss(self) -> None:
        """Changes were missed: all is read anew. `Targets` see to workloads themselves."""
        if self._leads:
            self._missed = True
            self._stir.set()

    async def _keep_up(self) -> None:
        """Read what moved, and see who follows it."""
        while True:
            await self._stir.wait()
            self._stir.clear()
            try:
                await self._catch_up()
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                log_setback(_LOG, "reading what triggers follow", error)
                self._stir.set()
                await asyncio.sleep(REFRESH_SECONDS)

    async def _catch_up(self) -> None:
        if self._missed:
            await self._reconciler.rules.load(self._store)
            self._missed = False
            self._moved.update(self._reconciler.index.streams())
            self._queue.add(list(self._reconciler.index.workloads))
        while self._moved:
            stream = self._moved.pop()
            try:
                self._queue.add(await self._reconciler.moved(stream))
            except BaseException:
                self._moved.add(stream)
                raise
        while self._gone:
            resource, there = self._gone.popitem()
            await self._telling.drop_others(SHAPES[resource].kind, there)

    async def _work(self) -> None:
        """Look at one workload after the other."""
        queue, reconciler = self._queue, self._reconciler
        while True:
            key = await queue.take()
            try:
                # a cluster tells of workloads in its own time: policies from before are known then
                await self._store.catch_up()
                queue.done(key, await reconciler.reconcile(key))
            except Overtaken:
                _LOG.info("%s changed meanwhile, again in %.0f s", key, queue.failed(key))
            except (ReportFailed, TargetRefused, TargetUnavailable) as error:
                _LOG.warning("%s: %s; again in %.0f s", key, error, queue.failed(key))
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
                queue.failed(key)
                log_setback(_LOG, f"the triggers of {key}", error)
