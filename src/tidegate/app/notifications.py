"""What tells listeners in a serving process."""

import time
from collections.abc import Coroutine
from typing import Any

from tidegate.config import Settings
from tidegate.controllers.notifications import plan_telling, tell_listeners, trim_outbox
from tidegate.delivery.notifications.telling import Telling
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.remote.web import Web


def notification_loops(
    settings: Settings, database: Database, store: Documents, web: Web, hosts: Hosts
) -> list[Coroutine[Any, Any, None]]:
    """The loops that tell, beside serving."""
    server = settings.public_url.rstrip("/")
    telling = Telling(store, database, web, hosts, server, time.time)
    return [
        tell_listeners(database, telling),
        plan_telling(database, store),
        trim_outbox(database),
    ]
