"""Shows what is known of other registries; a page is read when it is asked for."""

from collections import defaultdict
from collections.abc import Callable

import msgspec

from tidegate.apimachinery.documents import continuation
from tidegate.apimachinery.documents.continuation import Continuation
from tidegate.apimachinery.errors import missing
from tidegate.apimachinery.storage import Call, ListOptions, Page
from tidegate.apimachinery.store import Key
from tidegate.kinds.work.upstream import UPSTREAMS, Upstream, shown
from tidegate.metastore import job_queue, upstreams
from tidegate.metastore.changes import span
from tidegate.metastore.database import Database
from tidegate.metastore.job_queue import Lane
from tidegate.metastore.upstream_budget import Budget, Health


class UpstreamStorage:
    """Gets and lists of upstreams, in the order of their names."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def get(self, call: Call, name: str) -> bytes:
        del call
        for each in await _all(self._database, await self._revision(), self._clock()):
            if each.metadata.name == name:
                return msgspec.json.encode(each)
        raise missing(UPSTREAMS.qualified, name)

    async def list(self, call: Call, options: ListOptions) -> Page:
        del call
        revision, after = await self._revision(), ""
        if options.token:
            after = continuation.read(options.token, UPSTREAMS.key, "").last.name
        found = [
            each
            for each in await _all(self._database, revision, self._clock())
            if each.metadata.name > after and _is_selected(each, options)
        ]
        limit = options.limit or len(found)
        bodies = [msgspec.json.encode(each) for each in found[:limit]]
        if len(found) <= limit:
            return Page(bodies, revision)
        last = Key(UPSTREAMS.key, "", found[limit - 1].metadata.name)
        return Page(bodies, revision, continuation.written(Continuation(last, revision)))

    async def _revision(self) -> int:
        return max(1, (await span(self._database)).newest)


async def _all(database: Database, revision: int, now: float) -> list[Upstream]:
    """All registries that are known, or for which work waits."""
    lanes: dict[str, list[Lane]] = defaultdict(list)
    for lane in await job_queue.waiting(database, None, now):
        host = lane.lane.partition(" ")[0]
        if "." in host or ":" in host:  # others are no registries
            lanes[host].append(lane)
    known = {(each.host, each.account): each for each in await upstreams.every(database)}
    for host in lanes.keys() | {host for host, _ in known}:
        known.setdefault((host, ""), upstreams.Upstream(host, "", Budget(), Health()))
    made = [
        shown(each, [] if each.account else lanes[each.host], revision, now)
        for each in known.values()
    ]
    return sorted(made, key=lambda each: each.metadata.name)


def _is_selected(upstream: Upstream, options: ListOptions) -> bool:
    own = {"metadata.name": upstream.metadata.name, "metadata.namespace": ""}

    def field(path: str) -> str:
        return own[path] if path in own else UPSTREAMS.fields[path](upstream)

    return options.selection.matches({}, field)
