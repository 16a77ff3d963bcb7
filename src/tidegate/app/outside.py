"""The gateway to other registries, as the settings and the cluster's configuration want it."""

import time

from tidegate.config import Settings
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database
from tidegate.metastore.upstreams import Upstreams
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.gateway import Gateway


def make_gateway(settings: Settings, config: RegistryConfig, database: Database) -> Gateway:
    """The one gateway of a process; close it before the database."""
    addresses = AddressPolicy(
        allow_private=settings.allow_private_upstreams, networks=settings.upstream_networks
    )
    return Gateway(config.rules, addresses, Upstreams(database, time.time))
