"""HTTPRoutes and Routes of a cluster, as what splits traffic.

A patch names the version that it is for and the Services that it means, so that nothing that others
write meanwhile is overwritten.
"""

from collections.abc import Sequence
from typing import Protocol

from tidegate.delivery.rollouts.splits import Split, operations
from tidegate.delivery.triggers.targets import Overtaken, TargetRefused, TargetUnavailable
from tidegate.delivery.triggers.telling import MANAGER
from tidegate.kinds.rollout_traffic import HTTP_ROUTE, TrafficRule
from tidegate.remote.cluster.client import ClusterClient, Path
from tidegate.remote.cluster.errors import ClusterRefused, ObjectConflict, ObjectMissing
from tidegate.remote.errors import RemoteError


class Routes(Protocol):
    """What reads and writes the objects that split traffic."""

    async def read(self, namespace: str, kind: str, name: str) -> bytes | None:
        """One as JSON, None when there is none; raises TargetRefused, TargetUnavailable."""
        ...

    async def write(self, namespace: str, split: Split, rules: Sequence[TrafficRule]) -> None:
        """Set weights of one as it was seen; raises Overtaken, too, when it is another by now."""
        ...


class NoRoutes:
    """Of a server without a cluster, which keeps neither kind."""

    async def read(self, namespace: str, kind: str, name: str) -> bytes | None:
        """See `Routes`."""
        del namespace
        raise TargetRefused(f"this server has no cluster in which {kind} {name} could be")

    async def write(self, namespace: str, split: Split, rules: Sequence[TrafficRule]) -> None:
        """See `Routes`."""
        del namespace, rules
        raise TargetRefused(f"this server has no cluster in which {split} could be")


class ClusterRoutes:
    """See the module."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client

    async def read(self, namespace: str, kind: str, name: str) -> bytes | None:
        """See `Routes`."""
        try:
            return await self._client.get(_path(namespace, kind, name))
        except ObjectMissing:
            return None
        except ClusterRefused as error:
            raise TargetRefused(str(error)) from error
        except RemoteError as error:
            raise TargetUnavailable(str(error)) from error

    async def write(self, namespace: str, split: Split, rules: Sequence[TrafficRule]) -> None:
        """See `Routes`."""
        version = {"op": "add", "path": "/metadata/resourceVersion", "value": split.version}
        patch = [version, *operations(split, rules)]
        path = _path(namespace, split.kind, split.name)
        try:
            await self._client.patch(path, patch, {"fieldManager": MANAGER})
        except (ObjectConflict, ObjectMissing) as error:
            raise Overtaken from error
        except ClusterRefused as error:
            raise TargetRefused(str(error)) from error
        except RemoteError as error:
            raise TargetUnavailable(str(error)) from error


def _path(namespace: str, kind: str, name: str) -> Path:
    if kind == HTTP_ROUTE:
        return Path.of("gateway.networking.k8s.io", "v1", "httproutes", namespace, name)
    return Path.of("route.openshift.io", "v1", "routes", namespace, name)
