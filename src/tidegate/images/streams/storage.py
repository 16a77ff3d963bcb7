"""What serves imagestreams: documents whose tags are rows.

Lists, watches and deletions meet the headers, which hold all that selectors ask for, and what is
shown of them is rendered; creates and updates are made of whole objects (`units`).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.documents.updating import Turns
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import (
    Call,
    Change,
    Deleted,
    DeleteOptions,
    ListOptions,
    Page,
    Updated,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import ObjectStore
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams import pages
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.planning import name_of, prepare_spec, prepare_status
from tidegate.images.streams.rendering import heading
from tidegate.images.streams.renderings import Renderings
from tidegate.images.streams.units import StreamWrite
from tidegate.images.streams.watching import RenderedWatch
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database

_READS = 5
"""Times that a stream is read which changes meanwhile; the last is as good as the others."""


class Streams:
    """What the storages of streams share."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        authorizer: Authorizer,
        hosts: Hosts,
        config: RegistryConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.renderings = Renderings(database, hosts)
        self.clock = clock
        self._store = store
        self._authorizer = authorizer
        self._turns = Turns()

        def prepare(new: ImageStream, old: ImageStream | None) -> None:
            prepare_spec(new, old, config.import_mode())

        self._config = config
        spec = replace(IMAGE_STREAMS.strategy, prepare=prepare, counts_generation=True)
        self._of_spec = replace(IMAGE_STREAMS, strategy=spec, fields=_fields(hosts))
        status = replace(spec, prepare=prepare_status, counts_generation=False)
        self._of_status = replace(self._of_spec, strategy=status)
        self.headers = DocumentStorage(self._of_spec, store)

    def writing(self, call: Call) -> DocumentStorage[ImageStream]:
        """What makes and changes whole streams for one call."""
        write = StreamWrite(
            self._store,
            self.database,
            self.renderings,
            self._authorizer,
            self._config,
            call,
            self.clock,
        )
        resource: Resource[ImageStream] = self._of_status if call.subresource else self._of_spec
        return DocumentStorage(
            resource, write, admission=write, clock=self.clock, turns=self._turns
        )

    async def get(self, call: Call, name: str) -> bytes:
        """The stream as it is now."""
        for attempt in range(_READS):
            header = heading(await self.headers.get(call, name))
            kept = self.renderings.known(header.revision)
            if kept is not None:
                return kept.body
            rendered = await self.renderings.one(header)
            now = heading(await self.headers.get(call, name))
            if now.revision == header.revision or attempt == _READS - 1:
                break
        return rendered.body

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """Change a stream, and show what it became."""
        updated = await self.writing(call).update(call, name, change, creates=creates)
        return updated._replace(body=await self.written(call, updated.body))

    async def written(self, call: Call, body: bytes) -> bytes:
        """A stream that was written, as it is shown; a dry run shows what it would be itself."""
        if call.dry_run:
            return body
        return (await self.renderings.one(heading(body))).body


class StreamStorage:
    """All verbs of imagestreams."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def get(self, call: Call, name: str) -> bytes:
        return await self._streams.get(call, name)

    async def list(self, call: Call, options: ListOptions) -> Page:
        page = await self._streams.headers.list(call, options)
        return await pages.shown(self._streams.renderings, page, options)

    async def create(self, call: Call, new: Object) -> bytes:
        body = await self._streams.writing(call).create(call, new)
        return await self._streams.written(call, body)

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """See `storage.Updater`; server-side apply makes a stream that is not there."""
        return await self._streams.update(call, name, change, creates=creates)

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        return await self._streams.headers.delete(call, name, options)

    async def delete_collection(
        self, call: Call, selected: ListOptions, options: DeleteOptions
    ) -> Page:
        return await self._streams.headers.delete_collection(call, selected, options)

    async def watch(self, call: Call, options: WatchOptions) -> Watch:
        headers = await self._streams.headers.watch(call, options)
        return RenderedWatch(headers, self._streams.renderings)


class StatusStorage:
    """imagestreams/status: what happened to tags, written by pruning and imports of others."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def get(self, call: Call, name: str) -> bytes:
        return await self._streams.get(call, name)

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """See `storage.Updater`."""
        del creates
        return await self._streams.update(call, name, change)


def _fields(hosts: Hosts) -> dict[str, Callable[[Any], str]]:
    """The selectable fields of a header, where the repository is not yet said."""

    def repository(stream: ImageStream) -> str:
        return hosts.repository(name_of(stream)) or stream.spec.docker_image_repository

    return {**IMAGE_STREAMS.fields, "status.dockerImageRepository": repository}
