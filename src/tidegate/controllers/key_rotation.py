"""Gives tokens another signing key now and then; nobody is logged out by it (`auth/keys.py`)."""

import asyncio
import logging
import random
import time

from tidegate.auth.keys import rotate
from tidegate.controllers.setback import log_setback
from tidegate.metastore.database import Database

_LOG = logging.getLogger(__name__)


async def rotate_keys(database: Database, every: float, interval: float) -> None:
    """Look every `interval` seconds whether the newest key is older than `every`; until cancelled.

    Each worker looks: whoever finds a rotation due does it in one unit, and nobody does it twice.
    """
    while True:
        try:
            if await rotate(database, time.time(), every):
                _LOG.info("rotated the keys that sign tokens")
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "rotating the signing keys", error)
        await asyncio.sleep(random.uniform(0.5, 1.0) * interval)  # noqa: S311  no secret
