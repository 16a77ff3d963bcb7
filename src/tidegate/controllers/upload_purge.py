"""Drops upload sessions without progress, so that a client that went away leaves nothing behind."""

import logging
import time

from tidegate.controllers.turns import every
from tidegate.registry.uploads import Uploads

_LOG = logging.getLogger(__name__)


async def purge_uploads(uploads: Uploads, expiry: float, interval: float) -> None:
    """Every `interval` seconds drop what has not moved for `expiry` seconds; until cancelled."""

    async def turn() -> None:
        dropped = await uploads.purge(time.time() - expiry)
        if dropped:
            _LOG.info("dropped %d expired uploads", dropped)

    await every(interval, "purging uploads", turn)
