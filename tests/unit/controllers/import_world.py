"""Streams with scheduled tags, registries that allow so much, and a time of the test's own."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.controllers.import_events import ImportEvents
from tidegate.controllers.import_looks import SCHEDULED, Look, Looks, Periods
from tidegate.controllers.job_clock import Clock
from tidegate.controllers.jobs import Ended, Progress
from tidegate.controllers.scheduled_imports import Pace, ScheduledImports
from tidegate.images.imports.tag_imports import TagResult
from tidegate.images.kinds.image_stream import ImageStream, TagReference
from tidegate.images.kinds.tag_reference import TagImportPolicy
from tidegate.images.streams.stream import Stream
from tidegate.metastore import job_queue
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.jobs import Job
from tidegate.metastore.open import open_database
from tidegate.metastore.upstreams import Upstreams
from tidegate.oci.name import RepositoryName
from tidegate.remote.budgets import Urgency

T = TypeVar("T")

HOUR = 3600.0


class Time:
    """Moves on to what somebody waits for, when all do, and nothing is under way or being written.

    `runs` are those who wait by it.
    """

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.busy = 0
        self.runs = 0
        self._ends: dict[object, float] = {}

    def read(self) -> float:
        return self.now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        await asyncio.sleep(0)  # what was just begun is under way then
        me = object()
        self._ends[me] = self.now + seconds
        try:
            while not event.is_set() and self.now < self._ends[me]:
                if self.busy or len(self._ends) < self.runs:
                    await asyncio.sleep(0.0002)
                else:
                    self.now = max(self.now, min(self._ends.values()))
                    await asyncio.sleep(0)
        finally:
            del self._ends[me]

    def clock(self) -> Clock:
        return Clock(lambda tx: self.now, self.read, self.wait)


class Registry:
    """A registry that allows `allowance` requests in `period` seconds, by whatever account."""

    def __init__(self, time: Time, allowance: int, period: float) -> None:
        self.time = time
        self.allowance = allowance
        self.period = period
        self.asked: list[float] = []
        self.refused = 0

    def ask(self) -> int | None:
        """Count a request; how many are left, None when there was none."""
        begin = self.time.now - self.period
        recent = sum(1 for at in self.asked[-self.allowance :] if at > begin)
        if recent >= self.allowance:
            self.refused += 1
            return None
        self.asked.append(self.time.now)
        return self.allowance - recent - 1


class Far:
    """Imports that ask registries by the budget which all processes share."""

    def __init__(self, time: Time, budgets: Upstreams) -> None:
        self.time = time
        self.budgets = budgets
        self.registries: dict[str, Registry] = {}
        self.failing: dict[str, str] = {}
        self.looks: Counter[str] = Counter()
        self.times: list[float] = []
        self.seen: dict[str, float] = {}
        self.hosts: dict[str, str] = {}

    async def import_tags(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        return [await self._look(f"{name}:{tag}", tag, urgency) for tag in tags]

    async def import_repository(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        return await self.import_tags(name, tags, who, urgency)

    async def _look(self, place: str, tag: str, urgency: Urgency) -> TagResult:
        host = self.hosts[place]
        wait, _ = await self.budgets.wait(host, "", urgency, counted=True)
        if wait > 0:
            return TagResult(tag, host, later=wait)
        if registry := self.registries.get(host):
            left = registry.ask()
            if left is None:
                await self.budgets.refused(host, "", 60.0)
                return TagResult(tag, host, later=60.0)
            await self.budgets.learn(host, "", registry.allowance, registry.period, float(left))
        self.looks[place] += 1
        self.times.append(self.time.now)
        if place in self.failing:
            return TagResult(tag, host, error=self.failing[place], reason="NotFound")
        self.seen[place] = self.time.now
        return TagResult(tag, host, digest="sha256:0")


class Counted(ScheduledImports):
    """Lets time stand still while it looks."""

    time: Time

    async def check(self, job: Job, progress: Progress) -> Ended | None:
        self.time.busy += 1
        try:
            return await super().check(job, progress)
        finally:
            self.time.busy -= 1


class World:
    """One process with its part in the imports."""

    def __init__(self, database: Database, store: Documents) -> None:
        self.time = Time()
        self.database = database
        self.store = store
        self.far = Far(self.time, Upstreams(database, self.time.read))
        self.runs: list[asyncio.Task[None]] = []
        self._count_writes()

    def _count_writes(self) -> None:
        write = self.database.write

        async def counted(unit: Callable[[Transaction], T], *, durable: bool = True) -> T:
            self.time.busy += 1
            try:
                return await write(unit, durable=durable)
            finally:
                self.time.busy -= 1

        self.database.write = counted  # type: ignore[method-assign]  # time stands still meanwhile

    def looks(self, usual: float = 900.0) -> Looks:
        return Looks(self.database, self.store, Periods(usual, 10.0), self.time.read)

    def imports(self, looks: Looks, per_minute: int = 0) -> ScheduledImports:
        uids = iter(range(10**9))
        events = ImportEvents(self.store, self.time.read, lambda: f"event-{next(uids)}")
        pace = Pace(self.database, per_minute, self.time.read)
        made = Counted(looks, self.far, events, pace)
        made.time = self.time
        return made

    async def streams(
        self,
        host: str,
        streams: int,
        tags: int,
        *,
        look: bool = True,
        repository: str = "",
        **spec: Any,
    ) -> None:
        """Make streams with scheduled tags of a registry, `shop/HOST-N:tN`, and their jobs."""
        looks = self.looks()
        for number in range(streams):
            name = RepositoryName(f"shop/{host.partition('.')[0]}-{number}")
            made = partial(_make, name=name, repository=repository, host=host, tags=tags, spec=spec)
            await self.database.write(made)
            for tag in range(tags):
                self.far.hosts[f"{name}:t{tag}"] = host
            if look:
                await looks.look(Look(name.project, name.stream, 0))

    async def scheduled(self) -> list[Job]:
        """The jobs of scheduled tags."""
        found = await job_queue.listing(self.database, "shop", ("", "", ""), 10_000)
        return [each for each in found if each.kind == SCHEDULED]

    def run(self, imports: ScheduledImports, **options: Any) -> None:
        self.time.runs += 1
        run = asyncio.create_task(imports.run(clock=self.time.clock(), **options))
        run.add_done_callback(self._ended)
        self.runs.append(run)

    async def stop(self) -> None:
        """End all processes: time stands still."""
        for run in self.runs:
            run.cancel()
        await asyncio.gather(*self.runs, return_exceptions=True)
        self.runs.clear()

    def _ended(self, _run: "asyncio.Task[None]") -> None:
        self.time.runs -= 1

    async def until(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  as many things as there are tests
                await asyncio.sleep(0.01)


def _make(
    tx: Transaction,
    name: RepositoryName,
    repository: str,
    host: str,
    tags: int,
    spec: dict[str, Any],
) -> None:
    metadata = ObjectMeta(name=name.stream, namespace=name.project, uid=f"uid-{name}", generation=1)
    header = ImageStream(metadata=metadata)
    header.spec.docker_image_repository = repository
    stream = Stream.make(tx, name, header)
    for number in range(tags):
        source = ObjectReference(kind="DockerImage", name=f"{host}/app/web:t{number}")
        fields = {"import_policy": TagImportPolicy(scheduled=True), "generation": 1, **spec}
        stream.want(f"t{number}", TagReference(name=f"t{number}", from_=source, **fields))
    stream.save()


def in_world(migrated: Path, directory: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    """Run a scenario on a database of its own."""
    url = f"sqlite:///{shutil.copy(migrated, directory)}"

    async def run() -> None:
        database = await open_database(url)
        store = Documents(database)
        await store.start()
        world = World(database, store)
        try:
            await scenario(world)
        finally:
            await world.stop()
            await store.close()
            await database.close()

    asyncio.run(run())
