"""`Targets` on the workloads that this server keeps as documents.

They are written through the storage that serves them, so that the rules of their kinds hold, their
generation counts and their field managers are kept, as for any client.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from tidegate.apimachinery.apply import managed
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.errors import ApiError, NotFound, TooManyRequests, UpdateConflict
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.schema import Schema, schema_of
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Change, DocumentTransaction, Key, ObjectStore
from tidegate.auth.stored import put_new
from tidegate.delivery.triggers.planning import Edit
from tidegate.delivery.triggers.reading import ANNOTATED, SHAPES, WorkloadUnreadable, workload_of
from tidegate.delivery.triggers.targets import (
    Note,
    Overtaken,
    Seen,
    Synced,
    TargetRefused,
    TargetUnavailable,
)
from tidegate.delivery.triggers.telling import MANAGER, USER
from tidegate.delivery.triggers.workload import BuildTrigger, Workload, WorkloadKey
from tidegate.kinds.event import EVENTS, Event, EventSource
from tidegate.observability.timestamp import rfc3339_seconds

PAGE = 500
_MESSAGE = 1024

RESOURCES = tuple(each.resource for each in ANNOTATED)


class StoredTargets:
    """See the module; `served` are the resources of the API, in which the workloads are."""

    def __init__(
        self,
        store: ObjectStore,
        served: Sequence[Served],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._served = {each.resource.key: each for each in served}
        self._schemas = {
            each.resource.key: _schema(each.resource)
            for each in served
            if each.resource.key in RESOURCES
        }
        self._clock = clock
        self._seen: Seen | None = None
        self._missed = asyncio.Event()
        self._listed: set[WorkloadKey] = set()
        self._follows = False

    @property
    def resources(self) -> Collection[str]:
        """See `Targets`."""
        return RESOURCES

    async def follow(self, seen: Seen, synced: Synced) -> None:
        """See `Targets`."""
        self._seen = seen
        if not self._follows:  # which nothing ends; what is told to nobody is not read
            self._store.follow(RESOURCES, self._apply, self._missed.set)
            self._follows = True
        try:
            while True:
                self._missed.clear()
                for resource in RESOURCES:
                    await self._tell_all(resource, seen)
                    synced(resource, self._listed)
                await self._missed.wait()
        finally:
            self._seen = None

    async def _tell_all(self, resource: str, seen: Seen) -> None:
        self._listed = set()
        after: tuple[str, str] | None = None
        while True:
            listing = await self._store.list(resource, after=after, limit=PAGE)
            for each in listing.documents:
                self._tell(seen, each.key, each.body)
            if not listing.more:
                return
            after = listing.documents[-1].key[1:]

    def _apply(self, change: Change) -> None:
        if self._seen is not None:
            self._tell(self._seen, change.key, change.after)

    def _tell(self, seen: Seen, key: Key, body: bytes | None) -> None:
        workload = None if body is None else read_workload(key.resource, body)
        if workload is not None:
            self._listed.add(workload.key)
        seen(WorkloadKey(*key), workload)

    async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
        """See `Targets`."""
        served = self._served[workload.key.resource]
        call = Call(
            user=User(USER), verb="update", namespace=workload.namespace, name=workload.name
        )
        change = partial(self._changed, served.resource, workload, edits)
        try:
            updated = await served.storage.update(call, workload.name, change)
        except (NotFound, UpdateConflict) as error:
            raise Overtaken from error
        except TooManyRequests as error:
            raise TargetUnavailable(str(error)) from error
        except ApiError as error:
            raise TargetRefused(str(error)) from error
        return read_workload(workload.key.resource, updated.body)

    def _changed(
        self,
        resource: Resource[Any],
        workload: Workload,
        edits: Sequence[Edit],
        current: Mapping[str, Any] | None,
    ) -> Object:
        if current is None:
            raise Overtaken
        body = msgspec.json.encode(current)
        now = read_workload(workload.key.resource, body)
        if now is None or now != replace(workload, version=now.version):
            raise Overtaken
        wanted: dict[str, Any] = msgspec.json.decode(body)
        for edit in edits:
            _set(wanted, edit)
        tracked = managed.track_update(
            current,
            wanted,
            self._schemas[workload.key.resource],
            MANAGER,
            resource.api_version,
            rfc3339_seconds(self._clock()),
        )
        changed: Object = msgspec.convert(tracked, resource.type)
        return changed

    async def read(self, key: WorkloadKey) -> bytes | None:
        """See `Targets`."""
        document = await self._store.get(Key(*key))
        return None if document is None else document.body

    async def build(self, workload: Workload, builds: Sequence[BuildTrigger]) -> None:
        """There are no BuildConfigs here."""
        del workload, builds
        raise TargetRefused("this server keeps no BuildConfigs")

    async def note(self, workload: Workload, note: Note) -> None:
        """See `Targets`."""
        now = rfc3339_seconds(self._clock())
        event = Event(
            metadata=ObjectMeta(
                name=f"{workload.name[:200]}.{uuid.uuid4().hex[:16]}", namespace=workload.namespace
            ),
            involved_object=ObjectReference(
                api_version=workload.api_version,
                kind=workload.kind,
                namespace=workload.namespace,
                name=workload.name,
                uid=workload.uid,
                resource_version=workload.version,
            ),
            reason=note.reason,
            message=note.message[:_MESSAGE],
            source=EventSource(component=USER),
            first_timestamp=now,
            last_timestamp=now,
            count=1,
            type="Warning" if note.warns else "Normal",
        )
        await self._store.write(partial(_keep, workload.key, event, self._clock()))


def _schema(resource: Resource[Any]) -> Schema:
    kind: type[Object] = resource.type
    return schema_of(kind)


def _keep(key: WorkloadKey, event: Event, now: float, tx: DocumentTransaction) -> None:
    if tx.get(Key(*key)) is not None:  # else its project may be going, too
        put_new(tx, EVENTS, event, now)


def _set(values: dict[str, Any], edit: Edit) -> None:
    *path, last = edit.pointer.split("/")[1:]
    place: Any = values
    for member in path:
        place = place[int(member)] if isinstance(place, list) else place[member]
    place[last] = edit.value


def read_workload(resource: str, body: bytes) -> Workload | None:
    """The workload in a stored object; None for one that nothing can be made of, too."""
    try:
        return workload_of(SHAPES[resource], body)
    except WorkloadUnreadable:
        return None
