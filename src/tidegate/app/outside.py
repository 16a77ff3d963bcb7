"""The gateway to other registries, as the settings and the cluster's configuration want it."""

import time
from collections.abc import Callable, Collection

from tidegate.config import Settings
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.metastore.upstreams import Upstreams
from tidegate.registry.pull_through.service import Limits, PullThrough
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.gateway import Gateway
from tidegate.storage.blobs import BlobStore
from tidegate.storage.cache import BlobCache


def make_gateway(settings: Settings, config: RegistryConfig, database: Database) -> Gateway:
    """The one gateway of a process; close it before the database."""
    addresses = AddressPolicy(
        allow_private=settings.allow_private_upstreams, networks=settings.upstream_networks
    )
    return Gateway(config.rules, addresses, Upstreams(database, time.time))


def own_hosts(settings: Settings, config: RegistryConfig) -> Callable[[], Collection[str]]:
    """Every HOST[:PORT] of this registry itself, as of now."""
    hosts = frozenset(filter(None, (*settings.image_hosts, *settings.pull_secret_hosts)))
    return lambda: hosts.union(config.external_hostnames())


def make_pull_through(
    settings: Settings,
    config: RegistryConfig,
    database: Database,
    store: Documents,
    blobs: BlobStore,
    cache: BlobCache,
    gateway: Gateway,
) -> PullThrough:
    """What serves the content of other registries; close it before the gateway."""
    own = own_hosts(settings, config)
    limits = Limits(settings.cache_size, settings.proxy_freshness)
    return PullThrough.of(database, store, blobs, cache, gateway, own, limits)
