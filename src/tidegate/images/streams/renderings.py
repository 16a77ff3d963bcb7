"""Rendered streams of one process: read, put together, and kept for whoever asks next.

A rendering is kept under the revision of its header, which every change of a tag moves. Rows are
read after the header, so they are as new as it or newer; what is kept under the revision that a
header has *now* is therefore just that state. Large streams are read in pages and put together
beside the event loop.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from tidegate.apimachinery.documents.beside import IN_LOOP, Beside
from tidegate.apimachinery.storage import Event
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rendering import (
    SHOWN_BYTES,
    Heading,
    Piece,
    Shown,
    composed,
    fitting,
    pieces_of,
)
from tidegate.metastore import stream_tags
from tidegate.metastore.database import Database
from tidegate.metastore.stream_tags import FARTHEST, Extent, ShownTag
from tidegate.metastore.tag_events import SHOWN

KEPT_BYTES = 32 * 1024 * 1024
"""Of the renderings that a process keeps."""

SMALL = 50
"""Tags of a stream that is read at once with others; with as many events in the event loop."""

AT_ONCE = 500
"""Tags in one page of a large stream, or of small ones together: at most 100 events each."""

_EVENT_BYTES = 256
_WAITING = 1024 * 1024 * 1024


class Rendered:
    """A stream at a revision, and the watch events that tell of it, which all watchers share.

    `gone` says that it was deleted before its tags were read.
    """

    __slots__ = ("_events", "body", "gone")

    def __init__(self, body: bytes, *, gone: bool = False) -> None:
        self.body = body
        self.gone = gone
        self._events: dict[str, Event] = {}

    def event(self, kind: str) -> Event:
        """The watch event of this kind."""
        event = self._events.get(kind)
        if event is None:
            event = self._events[kind] = Event(kind, self.body)
        return event


class Renderings:
    """See the module; `hosts` are those in front of references."""

    def __init__(self, db: Database, hosts: Hosts, kept: int = KEPT_BYTES) -> None:
        self._db = db
        self.hosts = hosts
        self._limit = kept
        self._kept: OrderedDict[int, Rendered] = OrderedDict()
        self._public = hosts.public  # which is in all that is kept
        self._bytes = 0
        self._coming: dict[int, asyncio.Task[dict[int, Rendered]]] = {}
        # never refuses: who waits holds no rendering yet, and each takes a moment
        self._beside = Beside(1, _WAITING)

    def known(self, revision: int) -> Rendered | None:
        """What is kept of that revision."""
        if self.hosts.public != self._public:
            self._public = self.hosts.public
            self._kept.clear()
            self._bytes = 0
        found = self._kept.get(revision)
        if found is not None:
            self._kept.move_to_end(revision)
        return found

    async def one(self, header: Heading) -> Rendered:
        """The stream of a header."""
        return (await self.many([header]))[0]

    async def many(self, headers: Sequence[Heading]) -> list[Rendered]:
        """The streams of headers, in their order; who asks for what is being made waits for it."""
        found: dict[int, Rendered] = {}
        wanted: list[Heading] = []
        coming: dict[asyncio.Task[dict[int, Rendered]], None] = {}
        for each in headers:
            if (kept := self.known(each.revision)) is not None:
                found[each.revision] = kept
            elif (task := self._coming.get(each.revision)) is not None:
                coming[task] = None
            else:
                wanted.append(each)
        if wanted:
            coming[self._begin(wanted)] = None
        for task in coming:
            found.update(await asyncio.shield(task))
        return [found[each.revision] for each in headers]

    def _begin(self, headers: Sequence[Heading]) -> "asyncio.Task[dict[int, Rendered]]":
        task = asyncio.create_task(self._make(headers))
        for each in headers:
            self._coming[each.revision] = task

        def done(task: "asyncio.Task[dict[int, Rendered]]") -> None:
            for each in headers:
                self._coming.pop(each.revision, None)
            if not task.cancelled():
                task.exception()  # seen, though everybody who waited may have gone

        task.add_done_callback(done)
        return task

    async def _make(self, headers: Sequence[Heading]) -> dict[int, Rendered]:
        found: dict[int, Rendered] = {}
        extents = await self._extents(headers)
        waiting: list[tuple[Heading, Extent]] = []
        for header in headers:
            extent = extents[header.name]
            if not extent.repository_id:
                body = composed(header, Shown([]), self.hosts)
                found[header.revision] = Rendered(body, gone=True)
                continue
            if extent.tags > SMALL:
                shown = await self._paged(header, extent.repository_id)
                found[header.revision] = await self._made(header, shown)
                continue
            waiting.append((header, extent))
            if sum(each.tags for _, each in waiting) >= AT_ONCE or len(waiting) >= AT_ONCE:
                found.update(await self._together(waiting))
                waiting = []
        found.update(await self._together(waiting))
        return found

    async def _extents(self, headers: Sequence[Heading]) -> dict[str, Extent]:
        names = list(dict.fromkeys(each.name for each in headers))
        read = await stream_tags.read_extents(self._db, names, SMALL * 4)
        return {name: read.get(name, Extent(0, 0, 0)) for name in names}

    async def _together(self, headers: Sequence[tuple[Heading, Extent]]) -> dict[int, Rendered]:
        """Small streams, read with one pair of queries."""
        ids = [extent.repository_id for _, extent in headers if extent.tags]
        few = sum(extent.tags + extent.events for _, extent in headers) <= SMALL * 2
        read = await stream_tags.read_whole(self._db, ids, few=few) if ids else {}
        made: dict[int, Rendered] = {}
        for header, extent in headers:
            tags = read.get(extent.repository_id, [])
            older = await self._older(extent.repository_id, tags)
            tags.sort(key=lambda each: (each.row.changed, each.row.name), reverse=True)
            pieces = await self._pieces(tags)
            room = SHOWN_BYTES - len(header.body)
            count, _ = fitting(pieces, room)
            shown = Shown(pieces[:count], len(pieces) - count, older)
            made[header.revision] = await self._made(header, shown)
        return made

    async def _paged(self, header: Heading, repository_id: int) -> Shown:
        """As many tags of a large stream as fit, those that changed last."""
        shown, room = Shown([]), SHOWN_BYTES - len(header.body)
        before, deep = (FARTHEST, ""), False
        while True:
            page = await stream_tags.read_changed_last(self._db, repository_id, before, AT_ONCE)
            deep = deep or _is_deep(page)
            pieces = await self._pieces(page)
            count, room = fitting(pieces, room)
            shown.pieces += pieces[:count]
            if count < len(pieces):
                total = await stream_tags.read_count(self._db, repository_id)
                shown.tags_omitted = max(total - len(shown.pieces), 1)
                break
            if len(page) < AT_ONCE:
                break
            before = (page[-1].row.changed, page[-1].row.name)
        if deep:
            shown.history_omitted = await stream_tags.read_older(self._db, repository_id)
        return shown

    async def _older(self, repository_id: int, tags: Sequence[ShownTag]) -> int:
        return await stream_tags.read_older(self._db, repository_id) if _is_deep(tags) else 0

    async def _pieces(self, tags: Sequence[ShownTag]) -> list[Piece]:
        weight = sum(len(each.row.spec or "") + _EVENT_BYTES * len(each.events) for each in tags)
        if weight <= IN_LOOP:
            return pieces_of(tags, self.hosts)
        return await self._beside.do(weight, pieces_of, tags, self.hosts)

    async def _made(self, header: Heading, shown: Shown) -> Rendered:
        public = self.hosts.public
        weight = len(header.body) + sum(each.size for each in shown.pieces)
        if weight <= IN_LOOP * 4:  # what is decoded is the header alone
            body = composed(header, shown, self.hosts)
        else:
            body = await self._beside.do(weight, composed, header, shown, self.hosts)
        rendered = Rendered(body)
        if public == self._public == self.hosts.public:  # else it may have another name in it
            self._keep(header.revision, rendered)
        return rendered

    def _keep(self, revision: int, rendered: Rendered) -> None:
        if revision in self._kept or len(rendered.body) > self._limit:
            return
        self._kept[revision] = rendered
        self._bytes += len(rendered.body)
        while self._bytes > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.body)


def _is_deep(tags: Sequence[ShownTag]) -> bool:
    """Whether some tag may have more events than are shown."""
    return any(each.row.newest - each.row.hidden > SHOWN for each in tags)
