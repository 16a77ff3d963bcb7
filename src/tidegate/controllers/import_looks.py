"""Looks at streams: which tags are to be imported now, and which again and again; makes the jobs.

    a stream changes ──> its tags that changed ──┐
    a project's period changes ──> its streams ──┼──> jobs `import` and `scheduled-import`
    a look at everything, which is a job too ────┘

Each process looks at what it hears of; who comes second finds the jobs there. Nothing is imported
here. Invariant: a job per stream and per scheduled tag, whoever made it; what is gone has none.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.meta import Wire
from tidegate.apimachinery.store import Change, Key, ObjectStore
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.images.imports.keyring import keyring_of
from tidegate.images.imports.needs import IMPORT_INTERVAL, Schedule, is_unseen, need, schedule
from tidegate.images.kinds.group import REPOSITORY_CHECK
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams.stream import key_of
from tidegate.metastore import jobs, wanted_tags
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job
from tidegate.metastore.wanted_tags import WantedTag
from tidegate.oci.name import RepositoryName
from tidegate.remote.credentials import NO_KEYS, Keyring

IMPORT, SCHEDULED = "import", "scheduled-import"
"""Kinds of jobs: named PROJECT/STREAM, and PROJECT/STREAM:TAG."""

PAGE = 100
"""Tags, or streams, that are read and written at a time."""

SLACK = 1.2
"""A job that is due later than so many periods from now was made when the period was longer."""

_HEADER = msgspec.json.Decoder(ImageStream)


class _Metadata(Wire):
    generation: int = 0
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Partial(Wire):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_PARTIAL = msgspec.json.Decoder(_Partial)


class Look(NamedTuple):
    """Where to look: at a stream, of whose tags those count that changed from a revision on.

    Without a stream it is all streams of the project.
    """

    project: str
    stream: str
    since: int


def look_of(change: Change) -> Look | None:
    """Where a change of a stream or a namespace asks to look, if it does.

    A push changes neither what is wanted nor how often it is to be looked for.
    """
    resource, namespace, name = change.key
    before, after = (
        None if body is None else _PARTIAL.decode(body).metadata
        for body in (change.before, change.after)
    )
    if resource == NAMESPACES.key:
        periods = [each.annotations.get(IMPORT_INTERVAL) for each in (before, after) if each]
        return Look(name, "", 0) if len(periods) == 2 and periods[0] != periods[1] else None
    if before is None or after is None:
        return Look(namespace, name, 0)
    lost_mark = REPOSITORY_CHECK in before.annotations and REPOSITORY_CHECK not in after.annotations
    if lost_mark:
        return Look(namespace, name, 0)
    if before.generation != after.generation:
        return Look(namespace, name, change.revision)
    return None


def together(looks: Iterable[Look]) -> list[Look]:
    """One look for each stream, at all that any of them would see."""
    found: dict[tuple[str, str], int] = {}
    for project, stream, since in looks:
        place = project, stream
        found[place] = min(since, found.get(place, since))
    return sorted(Look(*place, since) for place, since in found.items())


@dataclass(frozen=True, slots=True)
class Periods:
    """Seconds between looks at a scheduled tag: where nobody says otherwise, and at least."""

    usual: float
    shortest: float


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks at streams in a database; `chance` gives numbers from 0 to 1."""

    database: Database
    store: ObjectStore
    periods: Periods
    clock: Callable[[], float]
    chance: Callable[[], float] = random.random

    async def look(self, look: Look) -> None:
        """Make and drop the jobs of a stream, or of all streams of a project."""
        if look.stream:
            await self._look_at(RepositoryName(f"{look.project}/{look.stream}"), look.since)
            return
        async for names in self.streams(look.project, ""):
            for name in names:
                await self._look_at(name, 0)

    async def streams(
        self, project: str | None, after: str
    ) -> AsyncIterator[Sequence[RepositoryName]]:
        """All streams of a project, or of all, some at a time, after `PROJECT/STREAM`."""
        place = None
        if after:
            name = RepositoryName(after)
            place = name.project, name.stream
        while True:
            page = await self.store.list(IMAGE_STREAMS.key, project, after=place, limit=PAGE)
            if page.documents:
                yield [
                    RepositoryName(f"{each.key.namespace}/{each.key.name}")
                    for each in page.documents
                ]
            if not page.more:
                return
            place = page.documents[-1].key[1:]

    async def project_annotations(self, project: str) -> Mapping[str, str]:
        """What the namespace of a project says; nothing without one."""
        document = await self.store.get(Key(NAMESPACES.key, "", project))
        return {} if document is None else _PARTIAL.decode(document.body).metadata.annotations

    async def schedule_of(self, name: RepositoryName, tag: str) -> Schedule | None:
        """How a tag is scheduled now; None when it is not."""
        found = await wanted_tags.named(self.database, name, [tag])
        if not found:
            return None
        annotations = await self.project_annotations(name.project)
        return schedule(found[0], annotations, *self._periods)

    async def lane(self, name: RepositoryName, tag: Schedule) -> str:
        """What looks at a tag compete for: who asks has her own share of what a registry allows."""
        keyring = await keyring_of(self.store, name.project)
        return lane_of(tag, keyring, name.project)

    @property
    def _periods(self) -> tuple[float, float]:
        return self.periods.usual, self.periods.shortest

    async def _look_at(self, name: RepositoryName, since: int) -> None:
        document = await self.store.get(key_of(name))
        if document is None:
            await self._drop(name)
            return
        header = _HEADER.decode(document.body)
        everything = not since or is_unseen(header)
        needed = everything and bool(need(header, ()))
        async for page in self._tags(name, 0 if everything else since):
            needed = needed or bool(need(header, page))
            await self._keep_schedules(name, page)
        if needed:
            await self._enqueue_import(name)

    async def _tags(self, name: RepositoryName, since: int) -> AsyncIterator[Sequence[WantedTag]]:
        """Tags of a stream that changed from a revision on; with 0 all that want something."""
        place, last = (since, ""), ""
        while True:
            if since:
                page = await wanted_tags.changed_since(self.database, name, place, PAGE)
            else:
                page = await wanted_tags.of_stream(self.database, name, last, PAGE)
            if page:
                yield page
                place, last = (page[-1].changed, page[-1].name), page[-1].name
            if len(page) < PAGE:
                return

    async def _enqueue_import(self, name: RepositoryName) -> None:
        found = await jobs.find(self.database, IMPORT, name)
        now = self.clock()
        if found is not None and not found.holder and (found.due_at or now + 1) <= now:
            return  # another process was here

        def unit(tx: Transaction) -> None:
            jobs.enqueue(
                tx, IMPORT, name, due=now, lane=name.project, project=name.project, now=now
            )

        await self.database.write(unit)

    async def _keep_schedules(self, name: RepositoryName, tags: Sequence[WantedTag]) -> None:
        """Have a job for each of the tags that is scheduled, and none for any other of them."""
        annotations = await self.project_annotations(name.project)
        found = {each.name: schedule(each, annotations, *self._periods) for each in tags}
        known = await jobs.named(self.database, SCHEDULED, [f"{name}:{tag}" for tag in found])
        wanted = [each for each in found.values() if each is not None]
        keyring = await keyring_of(self.store, name.project) if wanted else NO_KEYS
        now = self.clock()
        new = [
            (each, lane)
            for each in wanted
            for lane in (lane_of(each, keyring, name.project),)
            if not _is_kept(known.get(f"{name}:{each.tag}"), each, lane, now)
        ]
        gone = [f"{name}:{tag}" for tag, each in found.items() if each is None]
        gone = [each for each in gone if each in known]
        if not (new or gone):
            return
        # spread over the period, so that tags which came together are not looked at together
        due = {each.tag: now + each.interval * self.chance() for each, _ in new}

        def unit(tx: Transaction) -> None:
            for each, lane in new:
                job = f"{name}:{each.tag}"
                jobs.enqueue(
                    tx, SCHEDULED, job, due=due[each.tag], lane=lane, project=name.project, now=now
                )
            for job in gone:
                jobs.drop(tx, SCHEDULED, job)

        await self.database.write(unit)

    async def _drop(self, name: RepositoryName) -> None:
        """Forget the jobs of a stream that is gone."""
        await self.database.write(lambda tx: jobs.drop(tx, IMPORT, name))
        while await self.database.write(lambda tx: jobs.drop_part(tx, SCHEDULED, f"{name}:", PAGE)):
            pass


def lane_of(tag: Schedule, keyring: Keyring, project: str) -> str:
    """The lane of looks at a tag: its registry, and the project if that has credentials for it."""
    host = tag.location.host
    return host if keyring.find(tag.location) is None else f"{host} ({project})"


def _is_kept(job: Job | None, tag: Schedule, lane: str, now: float) -> bool:
    """Whether there is a job that does what the schedule asks for."""
    if job is None or job.lane != lane:
        return False
    return job.due_at is not None and job.due_at <= now + tag.interval * SLACK
