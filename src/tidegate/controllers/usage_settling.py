"""Counts the bytes of streams that were deleted, came back or are older than the counting.

A few rows in each transaction, so that no push waits for a stream of any size.
"""

import asyncio
import logging
import random

from tidegate.controllers.setback import log_setback
from tidegate.metastore import usage
from tidegate.metastore.database import Database

_LOG = logging.getLogger(__name__)


async def settle_usage(database: Database, interval: float) -> None:
    """Every `interval` seconds count what is left to be counted; until cancelled.

    Each worker runs it: each transaction takes the next rows, and a killed worker leaves none out.
    """
    while True:
        try:
            await settle_all(database)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "counting the bytes of projects", error)
        await asyncio.sleep(interval * random.uniform(0.5, 1.5))  # noqa: S311  no secret


async def settle_all(database: Database) -> None:
    """Count all that is left."""
    repositories = await usage.pending(database)
    if repositories:
        while await database.write(usage.settle):
            pass
        _LOG.info("counted the bytes of %d repositories", repositories)
