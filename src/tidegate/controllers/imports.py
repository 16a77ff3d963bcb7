"""Imports what tags of streams want, once for each time that they were changed (image-api 9.1).

    streams and namespaces change ──> looks (`import_looks`) ──> jobs
    jobs `import-look` ──> a look at every stream: at start, when changes were missed, each hour
    jobs `import` ──> tags of one stream, some at a time

A job reads anew what is to be done, so that one which is begun again goes on with the rest.
"""

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.controllers.import_events import Failure, ImportEvents
from tidegate.controllers.import_looks import IMPORT, Look, Looks, look_of, together
from tidegate.controllers.jobs import Ended, Limits, Progress, run_jobs
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.setback import log_setback
from tidegate.images.imports.needs import Need, need
from tidegate.images.imports.tag_imports import TagResult
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams.stream import key_of
from tidegate.metastore import import_counts, jobs, wanted_tags
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import OUTAGES
from tidegate.metastore.jobs import Job
from tidegate.metastore.wanted_tags import WantedTag
from tidegate.oci.name import RepositoryName
from tidegate.remote.budgets import Urgency

LOOK = "import-look"
"""Kind of the one job that looks at every stream."""
LOOK_INTERVAL = 3600.0

WHO = "system:serviceaccount:openshift-infra:image-import-controller"
"""As whom imports are made that nobody waits for: the original's account for it."""

AT_ONCE = 25
"""Tags of a stream that are imported in one go, hence in one unit of work."""

LIMITS = Limits(parallel=16, per_lane=4)
"""Imports of a process, of which so many are of one project."""

WAIT_SECONDS = 600.0

_LOG = logging.getLogger(__name__)

_HEADER = msgspec.json.Decoder(ImageStream)


class Imports(Protocol):
    """What imports (`images.imports.tag_imports.TagImports`)."""

    async def import_tags(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]: ...

    async def import_repository(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]: ...


async def notice_imports(looks: Looks, noticed: Noticed[Look]) -> None:
    """Look at what changed, until cancelled; each process does, for whoever then is free."""
    while True:
        try:
            if noticed.look_everywhere:
                noticed.look_everywhere = False
                await enqueue_look(looks)
            for each in together(noticed.take()):
                await look_on(looks, each)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "looking for tags to import", error)
            noticed.look_everywhere = True
            await asyncio.sleep(random.uniform(0.5, 1.0))  # noqa: S311  no secret
        await noticed.wait(WAIT_SECONDS)


async def look_on(looks: Looks, look: Look) -> None:
    """Look; what is wrong with one stream does not hold up the others."""
    try:
        await looks.look(look)
    except OUTAGES:
        raise
    except Exception as error:  # noqa: BLE001  the top of a loop: logged, and looked at again
        log_setback(_LOG, f"looking at {look.project}/{look.stream}", error)


def notice(store: ObjectStore) -> Noticed[Look]:
    """What changes of streams and namespaces ask to look at; from now on."""
    return Noticed(store, [IMAGE_STREAMS.key, NAMESPACES.key], look_of)


async def enqueue_look(looks: Looks) -> None:
    """Have somebody look at every stream."""
    now = looks.clock()
    await looks.database.write(lambda tx: jobs.enqueue(tx, LOOK, "streams", due=now, now=now))


async def run_looks(looks: Looks) -> None:
    """Do the job that looks at every stream, until cancelled."""

    async def work(job: Job, progress: Progress) -> float:
        done = job.done if job.position else 0
        async for names in looks.streams(None, job.position):
            for name in names:
                await look_on(looks, Look(name.project, name.stream, 0))
            done += len(names)
            await progress.tell(position=names[-1], done=done)
        await progress.tell(position="", done=done)
        return looks.clock() + LOOK_INTERVAL

    await run_jobs(looks.database, LOOK, work, limits=Limits(parallel=1))


async def run_imports(
    database: Database,
    store: ObjectStore,
    imports: Imports,
    events: ImportEvents,
) -> None:
    """Do the jobs that import tags, until cancelled."""
    work = partial(import_stream, database, store, imports, events)
    await run_jobs(database, IMPORT, work, limits=LIMITS, keep=False)


async def import_stream(
    database: Database,
    store: ObjectStore,
    imports: Imports,
    events: ImportEvents,
    job: Job,
    progress: Progress,
) -> Ended | None:
    """Import what a stream needs, some tags at a time, each once."""
    name, tried = RepositoryName(job.name), set[str]()
    whole = False
    while True:
        needed = await needed_of(database, store, name)
        left = [each for each in needed.tags if each not in tried]
        part, rest = left[:AT_ONCE], left[AT_ONCE:]
        if needed.full and not whole:
            whole = True
            results = await imports.import_repository(name, part, WHO, Urgency.ASKED)
        elif part:
            results = await imports.import_tags(name, part, WHO, Urgency.ASKED)
        else:
            return None
        tried.update(part)
        await count(database, results)
        await report(events, name, results)
        await progress.tell(done=len(tried), total=len(tried) + len(rest))


async def needed_of(database: Database, store: ObjectStore, name: RepositoryName) -> Need:
    """What is to be imported of a stream as it is now."""
    document = await store.get(key_of(name))
    if document is None:
        return Need()
    tags: list[WantedTag] = []
    while page := await wanted_tags.of_stream(database, name, tags[-1].name if tags else "", 500):
        tags += page
    return need(_HEADER.decode(document.body), tags)


async def count(database: Database, results: Sequence[TagResult]) -> None:
    """Count what became of imports, for metrics."""

    def unit(tx: Transaction) -> None:
        for each in results:
            import_counts.add(tx, each.registry, each.reason, scheduled=False)

    if results:
        await database.write(unit, durable=False)


async def report(events: ImportEvents, name: RepositoryName, results: Sequence[TagResult]) -> None:
    """Tell the project of those that failed."""
    for each in results:
        if each.error:
            await events.report(Failure(name, each.tag, each.reason, each.error))
