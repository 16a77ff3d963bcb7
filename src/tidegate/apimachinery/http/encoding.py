"""Stored bytes in the form that a client asked for.

Plain JSON is never encoded again: objects, lists and watch events are joined from the bytes that
were stored. What is made of an event is kept with it: a thousand watchers cost one encoding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import yaml

from tidegate.apimachinery.decoding.decoder import YAML
from tidegate.apimachinery.documents.bodies import header
from tidegate.apimachinery.errors import ApiError, NotAcceptable
from tidegate.apimachinery.http.negotiation import OBJECT, PARTIAL, PARTIAL_LIST, TABLE, Form
from tidegate.apimachinery.meta import ListMeta, Wire
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Event, Page
from tidegate.apimachinery.table import partial, table

JOINED_IN_LOOP = 1024 * 1024
"""Bytes that are joined in the event loop; above it, Python joins without its lock (1 ms a MB)."""
ROWS_IN_LOOP = 500
"""Objects that are converted in the event loop; more are given to a thread (20 µs each)."""

_encode = msgspec.json.Encoder().encode


class _ListMeta(ListMeta, Wire):
    """A list's metadata on the wire."""


class Encoding:
    """The answers of one resource."""

    def __init__(self, resource: Resource[Any], clock: Callable[[], float]) -> None:
        self._resource = resource
        self._clock = clock
        self._list_kind = resource.list_kind or f"{resource.kind}List"

    def object(self, form: Form, body: bytes) -> bytes:
        """One object."""
        if form.kind == TABLE:
            body = self._table(form, [body], _list_meta(header(body).resource_version))
        elif form.kind == PARTIAL:
            body = partial(body, form.version)
        elif form.kind == PARTIAL_LIST:
            raise NotAcceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list"
            )
        return as_media(form, body)

    def list(self, form: Form, page: Page) -> bytes:
        """A page of a list."""
        metadata = _list_meta(str(page.revision), page.token, page.remaining)
        if form.kind == TABLE:
            return as_media(form, self._table(form, page.bodies, metadata))
        if form.kind == PARTIAL:
            raise NotAcceptable(
                "you requested PartialObjectMetadata, but the requested object is a list"
            )
        kind, version, items = self._list_kind, self._resource.api_version, page.bodies
        if form.kind == PARTIAL_LIST:
            kind, version = PARTIAL_LIST, f"meta.k8s.io/{form.version}"
            items = [partial(each, form.version) for each in items]
        head = f'{{"kind":"{kind}","apiVersion":"{version}","metadata":'.encode()
        return as_media(form, _joined(head + metadata + b',"items":[', items, b"]}"))

    def event(self, form: Form, event: Event, *, first: bool) -> bytes:
        """One line of a watch; `first` of its stream, which is where a table has its columns."""
        key = (form, first and form.kind == TABLE)
        line = event.encoded.get(key)
        if line is None:
            line = event_line(event.kind, self._shown(form, event, headed=key[1]))
            event.encoded[key] = line
        return line

    def _shown(self, form: Form, event: Event, *, headed: bool) -> bytes:
        if form.kind == OBJECT or event.kind == "ERROR":
            return event.body
        if form.kind != TABLE:
            return partial(event.body, form.version)
        metadata = _list_meta(header(event.body).resource_version)
        blank = event.kind == "BOOKMARK"
        return self._table(form, [event.body], metadata, headed=headed, blank=blank)

    def _table(
        self,
        form: Form,
        bodies: Any,
        metadata: bytes,
        *,
        headed: bool = True,
        blank: bool = False,
    ) -> bytes:
        return table(
            self._resource,
            bodies,
            metadata,
            self._clock(),
            include=form.include,
            version=form.version,
            headed=headed,
            blank=blank,
        )


def _joined(opening: bytes, items: Sequence[bytes], closing: bytes) -> bytes:
    """A list's JSON, whose items are copied once."""
    parts = list(items) or [b""]
    parts[0] = opening + parts[0]
    parts[-1] += closing
    return b",".join(parts)


def _list_meta(revision: str, token: str = "", remaining: int | None = None) -> bytes:
    return _encode(
        _ListMeta(resource_version=revision, continue_=token, remaining_item_count=remaining)
    )


def event_line(kind: str, body: bytes) -> bytes:
    """One event as it is framed in a stream."""
    return b"".join((b'{"type":"', kind.encode(), b'","object":', body, b"}\n"))


def error_line(error: ApiError) -> bytes:
    """The event that says why a watch ends."""
    return event_line("ERROR", _encode(error.status()))


def is_heavy(form: Form, count: int, size: int) -> bool:
    """Whether an answer costs so much that the event loop should not wait for it."""
    if form.media == YAML:
        return size > 64 * 1024
    if size > JOINED_IN_LOOP:
        return True
    return form.kind != OBJECT and count > ROWS_IN_LOOP


def as_media(form: Form, body: bytes) -> bytes:
    """JSON as it is, or said in YAML."""
    if form.media != YAML:
        return body
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(msgspec.json.decode(body), Dumper=dumper, allow_unicode=True)
    return str(text).encode()
