"""What each process does again and again beside serving."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tidegate.app.identities import Identities
from tidegate.auth.projects.ending import Ending
from tidegate.config import Settings
from tidegate.controllers.adoption import adopt_projects
from tidegate.controllers.change_compaction import compact_changes
from tidegate.controllers.event_expiry import expire_events
from tidegate.controllers.image_adoption import adopt_images
from tidegate.controllers.key_rotation import rotate_keys
from tidegate.controllers.namespaces import keep_namespaces
from tidegate.controllers.pull_secrets import renew_pull_secrets
from tidegate.controllers.token_purge import purge_tokens
from tidegate.controllers.undelete_expiry import expire_deleted
from tidegate.controllers.upload_purge import purge_uploads
from tidegate.controllers.usage_settling import settle_usage
from tidegate.images.adoption import Older
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.registry.service import Registry

NAMESPACES_INTERVAL, PULL_SECRETS_INTERVAL = 5.0, 3600.0
"""Seconds between looks at all of them; what happens meanwhile is noticed at once."""
USAGE_INTERVAL = 1.0
"""Seconds until the bytes of a deleted stream begin to leave its project."""
LAST_WORD = 3.0
"""Seconds that loops have at the end, to give back what they hold for others to go on with."""


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Loops that run meanwhile; what they use has to last until they have ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=LAST_WORD)


def loops(
    settings: Settings,
    database: Database,
    store: Documents,
    registry: Registry,
    identities: Identities,
    ending: Ending,
    older: Older,
) -> list[Coroutine[Any, Any, None]]:
    """What each process does again and again beside serving."""
    return [
        purge_uploads(registry.uploads, settings.upload_expiry, settings.purge_interval),
        compact_changes(database, settings.purge_interval),
        _adopt(database, store, identities, older),
        keep_namespaces(
            store,
            ending,
            identities.accounts.signer,
            NAMESPACES_INTERVAL,
        ),
        renew_pull_secrets(store, identities.accounts.signer, PULL_SECRETS_INTERVAL),
        purge_tokens(store, settings.purge_interval),
        expire_events(store, settings.purge_interval),
        expire_deleted(database, settings.undelete_window, settings.purge_interval),
        settle_usage(database, USAGE_INTERVAL),
        rotate_keys(database, settings.key_lifetime, settings.purge_interval),
    ]


async def _adopt(
    database: Database, store: Documents, identities: Identities, older: Older
) -> None:
    """Take over older data: an image stream is in a project, so those come first."""
    await adopt_projects(database, store, lambda: identities.accounts.signer(time.time()))
    await adopt_images(older)
