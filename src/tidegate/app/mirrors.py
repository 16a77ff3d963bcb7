"""What runs Mirrors beside serving."""

import time
import uuid
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from tidegate.controllers.mirror_looks import notice, notice_mirrors
from tidegate.controllers.mirrors import Mirrors
from tidegate.controllers.object_events import ObjectEvents
from tidegate.delivery.mirrors.local_upload import Local
from tidegate.delivery.mirrors.mirroring import Mirroring
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.observability.audit import Audit
from tidegate.remote.gateway import Gateway
from tidegate.storage.blobs import BlobStore


def mirror_loops(
    database: Database,
    store: Documents,
    blobs: BlobStore,
    gateway: Gateway,
    config: RegistryConfig,
    hosts: Hosts,
    own: Callable[[], Collection[str]],
    audit: Audit,
) -> list[Coroutine[Any, Any, None]]:
    """Mirrors are noticed, and run."""
    mirroring = Mirroring(store, Local(database, blobs, hosts), gateway, config.imports, own)
    events = ObjectEvents(store, time.time, lambda: str(uuid.uuid4()))
    mirrors = Mirrors(database, store, mirroring, audit, events)
    return [notice_mirrors(database, store, mirroring, notice(store)), mirrors.run()]
