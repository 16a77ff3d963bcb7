"""Everything that pull-through does in one process, put together."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tidegate.apimachinery.store import ObjectStore
from tidegate.images.proxies import Proxies
from tidegate.metastore.database import Database
from tidegate.registry.pull_through.adopting import Adopting
from tidegate.registry.pull_through.blobs import RemoteBlobs
from tidegate.registry.pull_through.hearing import Hearing
from tidegate.registry.pull_through.manifests import RemoteManifests
from tidegate.registry.pull_through.mirroring import Mirroring
from tidegate.registry.pull_through.proxies import ProxiedManifests
from tidegate.registry.pull_through.room import Room
from tidegate.remote.gateway import Gateway
from tidegate.storage.blobs import BlobStore
from tidegate.storage.cache import BlobCache


@dataclass(frozen=True, slots=True)
class Limits:
    """What an administrator sets: bytes of copies (0: a part of the disk), seconds of freshness."""

    cache_size: int = 0
    freshness: float = 60.0


@dataclass(frozen=True, slots=True)
class PullThrough:
    """What the endpoints ask for what is in other registries."""

    projects: Proxies
    blobs: RemoteBlobs
    manifests: RemoteManifests
    proxied: ProxiedManifests
    adopting: Adopting
    room: Room
    mirroring: Mirroring

    @classmethod
    def of(
        cls,
        database: Database,
        store: ObjectStore,
        blobs: BlobStore,
        cache: BlobCache,
        gateway: Gateway,
        own: Callable[[], Collection[str]],
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> "PullThrough":
        """`own` are the hosts of this registry, which is asked for nothing."""
        projects = Proxies(store)
        room = Room(database, cache, limits.cache_size, clock)

        def keeps(project: str) -> bool:
            return projects.of(project) is not None

        remote = RemoteBlobs(database, store, gateway, cache, room, own, keeps)
        manifests = RemoteManifests(database, store, gateway, own)
        hearing = Hearing(clock)
        mirroring = Mirroring(database, hearing, clock)
        return cls(
            projects,
            remote,
            manifests,
            ProxiedManifests(database, mirroring, manifests, own, limits.freshness, hearing, clock),
            Adopting(database, blobs, remote),
            room,
            mirroring,
        )

    async def close(self) -> None:
        """End what is under way; what came in so far is gone on with by others, or later."""
        await self.mirroring.close()
        await self.blobs.close()
