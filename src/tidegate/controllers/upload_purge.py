"""Drops upload sessions without progress, so that a client that went away leaves nothing behind."""

import asyncio
import logging
import random
import time

from tidegate.controllers.setback import log_setback
from tidegate.registry.uploads import Uploads

_LOG = logging.getLogger(__name__)


async def purge_uploads(uploads: Uploads, expiry: float, interval: float) -> None:
    """Every `interval` seconds drop what has not moved for `expiry` seconds; until cancelled.

    Each worker runs it: dropping is harmless twice, and a killed worker stops no purge. They start
    at odds, so that they seldom meet.
    """
    await asyncio.sleep(random.uniform(0, min(interval, 5.0)))  # noqa: S311  no secret
    while True:
        try:
            dropped = await uploads.purge(time.time() - expiry)
            if dropped:
                _LOG.info("dropped %d expired uploads", dropped)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "purging uploads", error)
        await asyncio.sleep(interval)
