"""`Targets` in a cluster, by its API.

An image is set by a JSON patch that names the version that it is for, so that whatever else is in
the object stays as it is, and who wrote meanwhile is not overwritten.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tidegate.delivery.triggers.planning import Edit
from tidegate.delivery.triggers.reading import SHAPES, Shape, WorkloadUnreadable, workload_of
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
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.remote.cluster.client import ClusterClient, Path
from tidegate.remote.cluster.errors import ClusterRefused, ObjectConflict, ObjectMissing
from tidegate.remote.cluster.watching import Follower
from tidegate.remote.errors import RemoteError

_LOG = logging.getLogger(__name__)

ATTEMPTS = 5
"""Times that a patch is made to what others, such as the cluster's controllers, go on changing."""

_MESSAGE = 1024


class _Name(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _Named(msgspec.Struct):
    metadata: _Name = msgspec.field(default_factory=_Name)


class ClusterTargets:
    """See the module."""

    def __init__(self, client: ClusterClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock

    @property
    def resources(self) -> Collection[str]:
        """See `Targets`; one that the cluster does not have is told of as empty."""
        return SHAPES.keys()

    async def follow(self, seen: Seen, synced: Synced) -> None:
        """See `Targets`."""
        async with asyncio.TaskGroup() as tasks:
            for shape in SHAPES.values():
                path = Path.of(shape.group, shape.version, shape.plural)
                listener = _Listener(shape, seen, synced)
                follower = Follower(self._client, path, listener, optional=shape.openshift)
                tasks.create_task(follower.run())

    async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
        """See `Targets`."""
        shape = SHAPES[workload.key.resource]
        path = _path(shape, workload)
        for _ in range(ATTEMPTS):
            operations = [_operation("/metadata/resourceVersion", workload.version)]
            operations += [_operation(each.pointer, each.value) for each in edits]
            try:
                body = await self._client.patch(path, operations, {"fieldManager": MANAGER})
                return _read(shape, body)
            except ObjectConflict:
                workload = await self._again(shape, path, workload)
            except ObjectMissing as error:
                raise Overtaken from error
            except ClusterRefused as error:
                raise TargetRefused(str(error)) from error
            except RemoteError as error:
                raise TargetUnavailable(str(error)) from error
        raise Overtaken

    async def read(self, key: WorkloadKey) -> bytes | None:
        """See `Targets`."""
        shape = SHAPES[key.resource]
        path = Path.of(shape.group, shape.version, shape.plural, key.namespace, key.name)
        try:
            return await self._client.get(path)
        except ObjectMissing:
            return None
        except RemoteError as error:
            raise TargetUnavailable(str(error)) from error

    async def _again(self, shape: Shape, path: Path, workload: Workload) -> Workload:
        """The workload at its newest version, if nothing changed that triggers look at."""
        try:
            now = _read(shape, await self._client.get(path))
        except ObjectMissing as error:
            raise Overtaken from error
        except RemoteError as error:
            raise TargetUnavailable(str(error)) from error
        if now is None or now != replace(workload, version=now.version):
            raise Overtaken
        return now

    async def build(self, workload: Workload, builds: Sequence[BuildTrigger]) -> None:
        """See `Targets`."""
        shape = SHAPES[workload.key.resource]
        try:
            await self._client.post(
                _path(shape, workload, "instantiate"), build_request(workload, builds)
            )
        except ObjectMissing as error:
            raise Overtaken from error
        except ClusterRefused as error:
            said = f"error triggering Build for BuildConfig {workload.namespace}/{workload.name}"
            await self.note(workload, Note("BuildConfigTriggerFailed", f"{said}: {error}", True))
            raise TargetRefused(str(error)) from error
        except RemoteError as error:
            raise TargetUnavailable(str(error)) from error

    async def note(self, workload: Workload, note: Note) -> None:
        """See `Targets`."""
        path = Path.of("", "v1", "events", workload.namespace)
        try:
            await self._client.post(path, self._event(workload, note))
        except RemoteError as error:
            _LOG.info("no event about %s: %s", workload.key, error)

    def _event(self, workload: Workload, note: Note) -> dict[str, Any]:
        now = rfc3339_seconds(self._clock())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{workload.name[:200]}.{uuid.uuid4().hex[:16]}",
                "namespace": workload.namespace,
            },
            "involvedObject": {
                "apiVersion": workload.api_version,
                "kind": workload.kind,
                "namespace": workload.namespace,
                "name": workload.name,
                "uid": workload.uid,
                "resourceVersion": workload.version,
            },
            "reason": note.reason,
            "message": note.message[:_MESSAGE],
            "source": {"component": USER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": "Warning" if note.warns else "Normal",
        }


class _Listener:
    """Tells of the workloads of one kind."""

    def __init__(self, shape: Shape, seen: Seen, synced: Synced) -> None:
        self._shape = shape
        self._seen = seen
        self._synced = synced
        self._listed: set[WorkloadKey] = set()

    def begin(self) -> None:
        self._listed = set()

    def present(self, body: bytes) -> None:
        workload = _read(self._shape, body)
        if workload is None:
            self._seen(self._key(body), None)
        else:
            self._listed.add(workload.key)
            self._seen(workload.key, workload)

    def complete(self) -> None:
        self._synced(self._shape.resource, self._listed)

    def gone(self, body: bytes) -> None:
        self._seen(self._key(body), None)

    def _key(self, body: bytes) -> WorkloadKey:
        metadata = msgspec.json.decode(body, type=_Named).metadata
        return WorkloadKey(self._shape.resource, metadata.namespace, metadata.name)


def _path(shape: Shape, workload: Workload, *more: str) -> Path:
    namespace, name = workload.namespace, workload.name
    return Path.of(shape.group, shape.version, shape.plural, namespace, name, *more)


def _operation(pointer: str, value: str) -> dict[str, str]:
    """`add` replaces what is there, too."""
    return {"op": "add", "path": pointer, "value": value}


def _read(shape: Shape, body: bytes) -> Workload | None:
    try:
        return workload_of(shape, body)
    except WorkloadUnreadable:
        return None


def build_request(workload: Workload, builds: Sequence[BuildTrigger]) -> dict[str, Any]:
    """The BuildRequest that these tags ask for, whose new images are `last` (image-api 9.4)."""
    first = builds[0]
    return {
        "apiVersion": "build.openshift.io/v1",
        "kind": "BuildRequest",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "triggeredByImage": {"kind": "DockerImage", "name": first.last},
        "from": dict(first.reference),
        "triggeredBy": [
            {
                "message": "Image change",
                "imageChangeBuild": {"imageID": each.last, "fromRef": dict(each.reference)},
            }
            for each in builds
        ],
    }
