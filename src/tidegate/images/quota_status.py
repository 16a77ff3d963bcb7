"""ResourceQuotas as they are read: with what is used of them now.

The status is put in when a quota is shown, from the same counts that refuse: it is never behind,
and no push writes a quota. Resources that nobody counts are not in it, unless somebody wrote them
through `status`. A watcher hears of changes of the quota, not of its use.
"""

from collections.abc import Sequence

import msgspec

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import (
    Call,
    Change,
    Event,
    ListOptions,
    Page,
    Updated,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import ObjectStore
from tidegate.images import quotas
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.kinds.resource_quota import ResourceQuota
from tidegate.metastore import document_rows, usage
from tidegate.metastore.database import Database

_BOOKMARK, _ERROR = "BOOKMARK", "ERROR"

_DECODE = msgspec.json.Decoder(ResourceQuota).decode


class QuotaStorage(DocumentStorage[ResourceQuota]):
    """The documents of quotas; what is handed out says what is used."""

    def __init__(
        self, resource: Resource[ResourceQuota], store: ObjectStore, database: Database
    ) -> None:
        super().__init__(resource, store)
        self._database = database

    async def get(self, call: Call, name: str) -> bytes:
        return await shown(self._database, await super().get(call, name))

    async def list(self, call: Call, options: ListOptions) -> Page:
        page = await super().list(call, options)
        return page._replace(bodies=[await shown(self._database, each) for each in page.bodies])

    async def create(self, call: Call, new: Object) -> bytes:
        return await shown(self._database, await super().create(call, new))

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        updated = await super().update(call, name, change, creates=creates)
        return updated._replace(body=await shown(self._database, updated.body))

    async def watch(self, call: Call, options: WatchOptions) -> Watch:
        return _Watch(await super().watch(call, options), self._database)


class _Watch:
    """Events of quotas, each with what is used when it is handed out."""

    def __init__(self, watch: Watch, database: Database) -> None:
        self._watch = watch
        self._database = database

    async def next(self, patience: float) -> Sequence[Event]:
        return [
            event
            if event.kind in (_BOOKMARK, _ERROR)
            else Event(event.kind, await shown(self._database, event.body))
            for event in await self._watch.next(patience)
        ]

    def bookmark(self) -> Event:
        return self._watch.bookmark()

    def close(self) -> None:
        self._watch.close()


async def shown(database: Database, body: bytes) -> bytes:
    """A quota with what is used now of all that is counted."""
    hard = quotas.hard_of(body)
    if not hard:
        return body
    quota = _DECODE(body)
    for resource, limit in hard.items():
        used = await _used(database, quota.metadata.namespace, resource)
        quota.status.hard[resource] = str(limit)
        quota.status.used[resource] = str(quotas.amount(resource, used))
    return msgspec.json.encode(quota)


async def _used(database: Database, project: str, resource: str) -> int:
    if resource == quotas.STORAGE:
        return (await usage.read(database, project)).total
    return await document_rows.counted(database, IMAGE_STREAMS.key, project)
