"""Counts the bytes of streams that were deleted, came back or are older than the counting.

A few rows in each transaction, so that no push waits for a stream of any size.
"""

import logging

from tidegate.controllers.turns import every
from tidegate.metastore import usage
from tidegate.metastore.database import Database

_LOG = logging.getLogger(__name__)


async def settle_usage(database: Database, interval: float) -> None:
    """Every `interval` seconds count what is left to be counted; until cancelled.

    Each transaction takes the next rows, whichever process it is of.
    """
    await every(interval, "counting the bytes of projects", lambda: settle_all(database))


async def settle_all(database: Database) -> None:
    """Count all that is left."""
    repositories = await usage.pending(database)
    if repositories:
        while await database.write(usage.settle):
            pass
        _LOG.info("counted the bytes of %d repositories", repositories)
