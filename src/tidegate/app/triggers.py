"""What acts on image-change triggers in a serving process: here, or in the cluster of a setting."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.config import IN_CLUSTER, Settings, cluster_server
from tidegate.controllers.rollouts import Rollouts
from tidegate.controllers.triggers import Triggers
from tidegate.delivery.rollouts.driving import Driving
from tidegate.delivery.rollouts.looking import Looking
from tidegate.delivery.rollouts.routes import ClusterRoutes, NoRoutes, Routes
from tidegate.delivery.triggers.cluster_targets import ClusterTargets
from tidegate.delivery.triggers.rights import pull_right
from tidegate.delivery.triggers.stored_targets import StoredTargets
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.targets import Targets
from tidegate.delivery.triggers.telling import Post, Telling
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore.database import Database
from tidegate.observability.audit import Audit
from tidegate.remote.cluster.access import ClusterAccess, in_cluster
from tidegate.remote.cluster.client import ClusterClient
from tidegate.remote.cluster.kubeconfig import read_kubeconfig
from tidegate.remote.web import Web

WEBHOOK_PATIENCE = 10.0
WEBHOOK_ANSWER = 64 * 1024


class Places(NamedTuple):
    """Where workloads are that follow tags, and what splits the traffic between them."""

    targets: Targets
    routes: Routes


def cluster_access(settings: Settings) -> ClusterAccess | None:
    """The cluster that the settings name, None for none; `AccessInvalid` says what is wrong."""
    if not settings.cluster:
        return None
    if settings.cluster == IN_CLUSTER:
        return in_cluster(cluster_server())
    return read_kubeconfig(Path(settings.cluster).expanduser())


@asynccontextmanager
async def make_targets(
    settings: Settings, store: ObjectStore, served: Sequence[Served]
) -> AsyncIterator[Places]:
    """Here, or in the cluster of the settings."""
    access = cluster_access(settings)
    if access is None:
        yield Places(StoredTargets(store, served), NoRoutes())
        return
    client = ClusterClient(access)
    try:
        yield Places(ClusterTargets(client, time.time), ClusterRoutes(client))
    finally:
        await client.close()


def make_triggers(
    store: ObjectStore,
    database: Database,
    places: Places,
    authorizer: Authorizer,
    audit: Audit,
    hosts: Hosts,
    post: Post,
    web: Web,
) -> Rollouts:
    """One process's part in acting on triggers, and in the rollouts that brake them."""
    driving = Driving(store, database, Tags(database, hosts), places.routes, audit, time.time)
    triggers = Triggers(
        store,
        lambda: Tags(database, hosts),
        places.targets,
        pull_right(authorizer),
        Telling(store, audit, time.time, post),
        gates=(driving,),
    )
    return Rollouts(store, driving, triggers, Looking(web, places.targets.read))


def webhook_post(web: Web) -> Post:
    """How webhooks are called: under the rules on addresses that hold for all calls."""

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        answer = await web.request(
            "POST", url, headers, body, limit=WEBHOOK_ANSWER, patience=WEBHOOK_PATIENCE
        )
        return answer.status

    return post
