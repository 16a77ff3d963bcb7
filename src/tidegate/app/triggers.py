"""What acts on image-change triggers in a serving process: on the workloads kept here."""

import time
from collections.abc import Sequence

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.controllers.triggers import Triggers
from tidegate.delivery.triggers.rights import pull_right
from tidegate.delivery.triggers.stored_targets import StoredTargets
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.telling import Telling
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore.database import Database
from tidegate.observability.audit import Audit


def make_triggers(
    store: ObjectStore,
    database: Database,
    served: Sequence[Served],
    authorizer: Authorizer,
    audit: Audit,
    hosts: Hosts,
) -> Triggers:
    """One process's part in acting on triggers."""
    return Triggers(
        store,
        lambda: Tags(database, hosts),
        StoredTargets(store, served),
        pull_right(authorizer),
        Telling(store, audit, time.time),
    )
