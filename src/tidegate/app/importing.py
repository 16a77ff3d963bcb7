"""What each process does to keep tags of other registries as their streams want them."""

import time
import uuid
from collections.abc import Coroutine
from typing import Any

from tidegate.config import SHORTEST_IMPORT_INTERVAL, Settings
from tidegate.controllers.import_events import ImportEvents
from tidegate.controllers.import_looks import Looks, Periods
from tidegate.controllers.imports import notice, notice_imports, run_imports, run_looks
from tidegate.controllers.scheduled_imports import Pace, ScheduledImports
from tidegate.controllers.signature_imports import run_signature_imports
from tidegate.images.imports.importing import Importer
from tidegate.images.imports.tag_imports import TagImports
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.remote.gateway import Gateway


def import_loops(
    settings: Settings,
    database: Database,
    store: Documents,
    importer: Importer,
    config: RegistryConfig,
    gateway: Gateway,
) -> list[Coroutine[Any, Any, None]]:
    """The loops of imports that nobody waits for; call it when `store` was started."""
    periods = Periods(settings.import_interval, SHORTEST_IMPORT_INTERVAL)
    looks = Looks(database, store, periods, time.time)
    imports = TagImports(importer, config.import_mode, config.imports)
    events = ImportEvents(store, time.time, lambda: str(uuid.uuid4()))
    pace = Pace(database, settings.imports_per_minute, time.time)
    return [
        notice_imports(looks, notice(store)),
        run_looks(looks),
        run_imports(database, store, imports, events),
        ScheduledImports(looks, imports, events, pace).run(),
        run_signature_imports(database, store, gateway, time.time),
    ]
