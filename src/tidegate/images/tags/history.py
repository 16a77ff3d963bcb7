"""imagestreamtags/history: every event of a tag, also of one that is deleted, in pages."""

import msgspec

from tidegate.apimachinery.documents import continuation
from tidegate.apimachinery.documents.continuation import Continuation
from tidegate.apimachinery.errors import BadRequest, missing
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image_stream_tag import IMAGE_STREAM_TAGS
from tidegate.images.kinds.tag_history import TagHistory, TagHistoryEvent, TagHistoryMeta
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags.names import tag_name
from tidegate.images.tags.reading import Reads
from tidegate.metastore import stream_tags, tag_events
from tidegate.metastore.stream_tags import ShownTag
from tidegate.metastore.tag_events import TagEvent
from tidegate.observability.timestamp import rfc3339_seconds

PAGE = 500
"""Events of a page, unless fewer are asked for: a history is as long as its tag is old."""

_RESOURCE = f"{IMAGE_STREAM_TAGS.plural}/history"
_NEWEST = 2**62


class HistoryStorage:
    """See the module."""

    def __init__(self, reads: Reads, hosts: Hosts) -> None:
        self._reads = reads
        self._hosts = hosts

    async def get_page(self, call: Call, name: str, options: ListOptions) -> bytes:
        """See `storage.PageGetter`; `NotFound` for a tag that never was."""
        tag = tag_name(IMAGE_STREAM_TAGS, call.namespace, name)
        header = await self._reads.header(tag.stream)
        if header is None:
            raise missing(IMAGE_STREAM_TAGS.qualified, tag.stream.stream)
        limit = min(options.limit or PAGE, PAGE)
        before = self._before(call, name, options.token)
        db = self._reads.db
        events = await tag_events.history(db, tag.stream, tag.tag, before, limit + 1)
        number = await self._reads.number(tag.stream)
        shown = None if number is None else await stream_tags.read_one(db, number, tag.tag)
        if not events and before == _NEWEST and shown is None:
            raise missing(IMAGE_STREAM_TAGS.qualified, name)
        more = len(events) > limit
        events = events[:limit]
        metadata = TagHistoryMeta(
            name=name,
            namespace=call.namespace,
            uid=header.metadata.uid,
            resource_version=header.metadata.resource_version,
            continue_=self._token(call, name, events[-1].number) if more else "",
        )
        numbers = _numbers(shown)
        items = [self._item(each, shown=each.number in numbers) for each in events]
        history: Object = TagHistory(
            api_version=API_VERSION, kind="TagHistory", metadata=metadata, items=items
        )
        return msgspec.json.encode(history)

    def _before(self, call: Call, name: str, token: str) -> int:
        """The number that a page's events are below."""
        if not token:
            return _NEWEST
        found = continuation.read(token, _RESOURCE, call.namespace)
        if found.last.name != name:
            raise BadRequest("invalid continue token: it was given for another tag")
        return min(found.revision, _NEWEST)

    def _token(self, call: Call, name: str, last: int) -> str:
        return continuation.written(Continuation(Key(_RESOURCE, call.namespace, name), last))

    def _item(self, event: TagEvent, *, shown: bool) -> TagHistoryEvent:
        return TagHistoryEvent(
            number=event.number,
            created=rfc3339_seconds(event.recorded_at),
            docker_image_reference=self._hosts.shown(event.reference),
            image=event.image,
            generation=event.generation,
            how=event.how,
            who=event.who,
            hidden=not shown,
            from_=event.detail or "" if event.image or event.reference else "",
        )


def _numbers(tag: ShownTag | None) -> frozenset[int]:
    """The events that the stream shows."""
    return frozenset() if tag is None else frozenset(each.number for each in tag.events)
