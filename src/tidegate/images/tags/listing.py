"""Lists of single tags, in pages that cost bounded memory however many tags there are.

    streams of the scope, some at a time -> those selected -> their tags in order -> a page

In order of (namespace, stream, tag), which is what a continue token holds: a page shows what there
is when it is asked for, tags that come or go between two pages included.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tidegate.apimachinery.documents import continuation
from tidegate.apimachinery.documents.continuation import Continuation
from tidegate.apimachinery.errors import FieldError, ResourceExpired, ServerTimeout
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import ListOptions, Page
from tidegate.apimachinery.store import Document, Key
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.kinds.image_stream_tag import split_tag_name
from tidegate.images.streams.stream import key_of
from tidegate.images.tags.names import TagName
from tidegate.images.tags.reading import HEADER, Reads
from tidegate.images.tags.rendering import View
from tidegate.metastore import newest_tags, stream_tags
from tidegate.metastore.stream_tags import ShownTag
from tidegate.oci.name import RepositoryName

Views = AsyncIterator[View]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is held at a time: streams, tags, tags with all events that are shown, bytes.

    A page ends when it has so many bytes, also one without a limit: the rest is behind its token.
    """

    streams: int = 100
    tags: int = 501  # one more than kubectl's page
    histories: int = 50  # with up to 100 events each
    page: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """What is listed: `shown` makes the object of a tag, None for one that is not in this list."""

    resource: Resource[Any]
    shown: Callable[[View], Object | None]
    histories: bool


@dataclass(frozen=True, slots=True)
class _Stream:
    name: RepositoryName
    header: ImageStream


DEFAULT = Bounds()


class Lists:
    """Lists of one kind."""

    def __init__(self, listed: Listed, reads: Reads, bounds: Bounds = DEFAULT) -> None:
        self._listed = listed
        self._reads = reads
        self._bounds = bounds

    async def list(self, namespace: str, options: ListOptions) -> Page:
        """A page of the tags in a namespace, with "" in all."""
        scope = namespace or options.selection.namespace
        revision = await self._revision(options)
        after = Key("", "", "")
        if options.token:
            after = continuation.read(options.token, self._listed.resource.key, scope).last
        bodies: list[bytes] = []
        size, last = 0, after
        async for view in self._views(scope, options, after):
            shown = self._taken(view, options.selection)
            if shown is None:
                continue
            if len(bodies) == options.limit > 0 or size > self._bounds.page:
                token = continuation.written(Continuation(last, revision))
                return Page(bodies, revision, token)
            bodies.append(msgspec.json.encode(shown))
            size += len(bodies[-1])
            last = Key(self._listed.resource.key, view.name.stream.project, str(view.name))
        return Page(bodies, revision)

    async def _revision(self, options: ListOptions) -> int:
        newest = await self._reads.store.revision()
        wanted = options.revision or 0
        if wanted > newest:
            raise ServerTimeout(
                f"Timeout: Too large resource version: {wanted}, current: {newest}",
                causes=(FieldError("ResourceVersionTooLarge", "", "Too large resource version"),),
                retry_after=1,
            )
        if options.exact and 0 < wanted < newest:
            raise ResourceExpired("The resourceVersion for the provided list is too old.")
        return newest

    def _taken(self, view: View, selection: Selection) -> Object | None:
        fields = {
            "metadata.name": str(view.name),
            "metadata.namespace": view.name.stream.project,
        }
        if not selection.matches(view.header.metadata.labels, fields.__getitem__):
            return None
        return self._listed.shown(view)

    async def _views(self, scope: str | None, options: ListOptions, after: Key) -> Views:
        """The tags of the scope that may be selected, after a place."""
        selection = options.selection
        most = self._bounds.tags
        at_once = min(options.limit + 1, most) if options.limit else most
        stream, _, tag = after.name.partition(":")
        if stream:
            for each in await self._one(after.namespace, stream, selection):
                async for view in self._of_stream(each, selection, tag, at_once):
                    yield view
        name = None if selection.name is None else split_tag_name(selection.name)
        if selection.name is not None and (name is None or (scope is not None and stream)):
            return
        if scope is not None and name is not None:
            for each in await self._one(scope, name[0], selection):
                async for view in self._of_stream(each, selection, "", at_once):
                    yield view
            return
        async for batch in self._streams(scope, selection, after.namespace, stream):
            async for view in self._of_streams(batch, selection, at_once):
                yield view

    async def _one(self, namespace: str, stream: str, selection: Selection) -> Sequence[_Stream]:
        """The one stream of a name, if it is selected."""
        document = await self._reads.store.get(key_of(RepositoryName(f"{namespace}/{stream}")))
        return [] if document is None else _selected([document], selection)

    async def _streams(
        self, scope: str | None, selection: Selection, namespace: str, stream: str
    ) -> AsyncIterator[Sequence[_Stream]]:
        """Streams after the given one that may be selected, some at a time."""
        place = (namespace, stream) if stream else None
        while True:
            listing = await self._reads.store.list(
                IMAGE_STREAMS.key, scope, after=place, limit=self._bounds.streams
            )
            yield _selected(listing.documents, selection)
            if not listing.more:
                return
            key = listing.documents[-1].key
            place = (key.namespace, key.name)

    async def _of_streams(
        self, streams: Sequence[_Stream], selection: Selection, at_once: int
    ) -> Views:
        """The tags of streams, of small ones read together."""
        ids = await newest_tags.repository_ids(self._reads.db, [each.name for each in streams])
        together = None
        if len(streams) > 1 and not self._listed.histories:
            numbers = sorted(ids.values())
            together = await newest_tags.of_streams(self._reads.db, numbers, self._bounds.tags * 2)
        for each in streams:
            number = ids.get(each.name)
            if number is None:
                continue
            if together is not None:
                for shown in together.get(number, ()):
                    yield _view(each, shown)
                continue
            async for view in self._of_stream(each, selection, "", at_once, number):
                yield view

    async def _of_stream(
        self,
        stream: _Stream,
        selection: Selection,
        after: str,
        at_once: int,
        number: int | None = None,
    ) -> Views:
        """The tags of one stream after `after`."""
        number = number or await self._reads.number(stream.name)
        if number is None:
            return
        if selection.name is not None:
            found = await self._reads.view(TagName(stream.name, selection.name.partition(":")[2]))
            if found is not None and found.row.is_live and found.name.tag > after:
                yield found
            return
        while True:
            part = await self._read(number, after, at_once)
            for shown in part:
                yield _view(stream, shown)
            if not part:
                return
            after = part[-1].row.name

    async def _read(self, number: int, after: str, at_once: int) -> Sequence[ShownTag]:
        db = self._reads.db
        if self._listed.histories:
            return await stream_tags.read_by_name(
                db, number, after, min(at_once, self._bounds.histories)
            )
        return await newest_tags.by_name(db, number, after, at_once)


def _selected(documents: Sequence[Document], selection: Selection) -> list[_Stream]:
    """Streams whose labels, which are those of their tags, are selected; and their names."""
    found = []
    name = None if selection.name is None else selection.name.partition(":")[0]
    for document in documents:
        key = document.key
        if name is not None and key.name != name:
            continue
        header = HEADER.decode(document.body)
        if all(each.holds(header.metadata.labels) for each in selection.labels):
            found.append(_Stream(RepositoryName(f"{key.namespace}/{key.name}"), header))
    return found


def _view(stream: _Stream, shown: ShownTag) -> View:
    return View(TagName(stream.name, shown.row.name), stream.header, shown.row, shown.events)
