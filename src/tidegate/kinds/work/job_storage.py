"""Shows the rows of jobs as objects; a page is read when it is asked for."""

from collections.abc import AsyncIterator, Callable

import msgspec

from tidegate.apimachinery.documents import continuation
from tidegate.apimachinery.documents.continuation import Continuation
from tidegate.apimachinery.errors import missing
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions, Page
from tidegate.apimachinery.store import Key
from tidegate.kinds.work.background_job import BackgroundJob, job_names, object_name, shown
from tidegate.metastore import job_queue, jobs
from tidegate.metastore.changes import span
from tidegate.metastore.database import Database
from tidegate.metastore.jobs import Job

PAGE = 500
"""Rows that are read at a time."""

_LONGEST = 10_000
"""Objects of a list whose reader sets no limit; the rest is behind its continue token."""


class JobStorage:
    """Gets and lists of `resource`: of projects' work, or of the cluster's."""

    def __init__(
        self, resource: Resource[BackgroundJob], database: Database, clock: Callable[[], float]
    ) -> None:
        self._resource = resource
        self._database = database
        self._clock = clock

    async def get(self, call: Call, name: str) -> bytes:
        revision = max(1, (await span(self._database)).newest)
        for kind, job_name in job_names(call.namespace, name):
            job = await jobs.find(self._database, kind, job_name)
            if job is None or job.project != call.namespace:
                continue
            if object_name(job) == name:
                return msgspec.json.encode(shown(self._resource, job, revision, self._clock()))
        raise missing(self._resource.qualified, name)

    async def list(self, call: Call, options: ListOptions) -> Page:
        """A page in the order of namespace, kind and name."""
        scope = call.namespace or options.selection.namespace
        if not self._resource.namespaced:
            scope = ""
        revision, limit = max(1, (await span(self._database)).newest), options.limit or _LONGEST
        after = ("", "", "")
        if options.token:
            last = continuation.read(options.token, self._resource.key, scope).last
            kind, _, name = last.name.partition(":")
            after = (last.namespace, kind, name)
        bodies: list[bytes] = []
        last_job: Job | None = None
        async for job in self._rows(scope, after):
            body = self._selected(job, options.selection, revision)
            if body is None:
                continue
            if len(bodies) == limit and last_job is not None:
                key = Key(self._resource.key, last_job.project, f"{last_job.kind}:{last_job.name}")
                return Page(bodies, revision, continuation.written(Continuation(key, revision)))
            bodies.append(body)
            last_job = job
        return Page(bodies, revision)

    async def _rows(self, scope: str | None, after: tuple[str, str, str]) -> AsyncIterator[Job]:
        while True:
            rows = await job_queue.listing(self._database, scope, after, PAGE)
            for each in rows:
                if bool(each.project) is self._resource.namespaced:
                    yield each
            if len(rows) < PAGE:
                return
            after = (rows[-1].project, rows[-1].kind, rows[-1].name)

    def _selected(self, job: Job, selection: Selection, revision: int) -> bytes | None:
        """The object of a row, None if it is not selected."""
        object_ = shown(self._resource, job, revision, self._clock())
        own = {"metadata.name": object_.metadata.name, "metadata.namespace": job.project}

        def field(path: str) -> str:
            return own[path] if path in own else self._resource.fields[path](object_)

        return msgspec.json.encode(object_) if selection.matches({}, field) else None
