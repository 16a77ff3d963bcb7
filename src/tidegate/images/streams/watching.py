"""A watch of streams: events of their headers, told as the streams are shown.

Whoever watches wants the state, not each step to it: several changes of one stream that come
together are one event, and a stream that is large to render is told of once a second at most. All
watches wait for the same tick, so that they share what is made then. Invariant: events stay in the
order of their versions, so that whoever comes again with the last one has missed nothing.
"""

import asyncio
from collections.abc import Callable, Sequence

from tidegate.apimachinery.storage import Event, Watch
from tidegate.images.streams.rendering import Heading, Shown, composed, heading
from tidegate.images.streams.renderings import Renderings
from tidegate.oci.name import RepositoryName

LARGE = 1024 * 1024
"""Bytes of a rendering that is not made for every change."""

TICK = 1.0
"""Seconds between two events of a large stream."""

_PART = 500
"""Events that are rendered together."""


class RenderedWatch:
    """`storage.Watch` of what `headers` tells."""

    def __init__(self, headers: Watch, renderings: Renderings) -> None:
        self._headers = headers
        self._renderings = renderings
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._waiting: Sequence[Event] = ()
        self._mark: Event | None = None  # where the client is while events wait
        self._due = 0.0
        self._large: set[RepositoryName] = set()

    async def next(self, patience: float) -> Sequence[Event]:
        """See `storage.Watch`."""
        end = self._now() + patience
        if not self._waiting:
            mark = self._headers.bookmark()
            self._waiting = coalesced(await self._headers.next(patience))
            if self._is_large(self._waiting):
                self._mark = mark
                self._due = (self._now() // TICK + 1) * TICK
        if self._mark is not None:
            await asyncio.sleep(max(0.0, min(self._due, end) - self._now()))
            if self._now() < self._due:
                return ()
            more = await self._headers.next(0)
            self._waiting = coalesced((*self._waiting, *more))
        told = await self._rendered(self._waiting)
        self._waiting, self._mark = (), None
        return told

    def bookmark(self) -> Event:
        return self._mark or self._headers.bookmark()

    def close(self) -> None:
        self._headers.close()

    def _is_large(self, events: Sequence[Event]) -> bool:
        return bool(self._large) and any(
            each.kind != "BOOKMARK" and heading(each.body).name in self._large for each in events
        )

    async def _rendered(self, events: Sequence[Event]) -> list[Event]:
        told: list[Event] = []
        for start in range(0, len(events), _PART):
            part = events[start : start + _PART]
            shown = [heading(each.body) for each in part if each.kind in ("ADDED", "MODIFIED")]
            rendered = iter(await self._renderings.many(shown))
            for each in part:
                if each.kind not in ("ADDED", "MODIFIED"):
                    told.append(self._last(each))
                    continue
                stream = next(rendered)
                if each.kind == "ADDED" or not stream.gone:  # else its end is told next
                    told.append(stream.event(each.kind))
        self._note(told)
        return told

    def _last(self, event: Event) -> Event:
        """A bookmark as it is; of what is gone the header, as it last was."""
        if event.kind != "DELETED":
            return event
        body = composed(heading(event.body), Shown([]), self._renderings.hosts)
        return Event(event.kind, body)

    def _note(self, told: Sequence[Event]) -> None:
        """Remember which streams are large."""
        for each in told:
            if len(each.body) > LARGE:
                self._large.add(heading(each.body).name)


def coalesced(events: Sequence[Event]) -> list[Event]:
    """Of the changes of one stream the last, in the place of the last.

    One that begins with its coming stays a coming; what goes is told by itself.
    """
    if len(events) < 2:
        return list(events)
    last: dict[str, int] = {}
    kept: list[Event | None] = list(events)
    for number, event in enumerate(events):
        if event.kind not in ("ADDED", "MODIFIED", "DELETED"):
            continue
        name = _named(event)
        before = last.get(name)
        earlier = None if before is None else kept[before]
        if before is not None and earlier is not None and event.kind == "MODIFIED":
            kept[before] = None
            kept[number] = event if earlier.kind == "MODIFIED" else Event("ADDED", event.body)
        last[name] = number
    return [each for each in kept if each is not None]


def _named(event: Event) -> str:
    header: Heading = heading(event.body)
    return header.name
