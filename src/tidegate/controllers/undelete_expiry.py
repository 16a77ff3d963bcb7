"""What was deleted can be brought back for a while; then it is forgotten, a little at a time.

Streams and Images as they were, the rows of deleted streams, and the events that a tag had before
it was deleted. Bytes stay until garbage is collected.
"""

import logging
import time
from functools import partial

from tidegate.controllers.turns import every
from tidegate.metastore import deleted, expiry
from tidegate.metastore.database import Database

BATCH = 100
"""Rows in one unit of work."""

_LOG = logging.getLogger(__name__)


async def expire_deleted(database: Database, window: float, interval: float) -> None:
    """Every `interval` seconds forget what was deleted `window` seconds ago; until cancelled."""

    async def turn() -> None:
        forgotten = await forget(database, time.time() - window)
        if forgotten:
            _LOG.info("forgot %d deleted streams, images and tags", forgotten)

    await every(interval, "forgetting what was deleted", turn)


async def forget(database: Database, before: float) -> int:
    """Forget what was deleted before this time; how many streams, images and tags."""
    return await _forget_documents(database, before) + await _forget_pasts(database, before)


async def _forget_documents(database: Database, before: float) -> int:
    count = 0
    while expired := await deleted.expired(database, before, BATCH):
        for key, uid in expired:
            if key.resource == deleted.IMAGE_STREAMS:
                purge = partial(expiry.purge_repository, name=deleted.aside(key, uid), limit=BATCH)
                while await database.write(purge):
                    pass
            await database.write(partial(deleted.forget, key=key, uid=uid))
            count += 1
    return count


async def _forget_pasts(database: Database, before: float) -> int:
    count, after = 0, (0, "")
    while pasts := await expiry.hidden_pasts(database, before, after, BATCH):
        for each in pasts:
            while await database.write(partial(expiry.forget_past, past=each, limit=BATCH)):
                pass
            count += 1
        after = (pasts[-1].repository_id, pasts[-1].tag)
    return count
