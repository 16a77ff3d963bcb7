"""Gives tokens another signing key now and then; nobody is logged out by it (`auth/keys.py`)."""

import logging
import time

from tidegate.auth.keys import rotate
from tidegate.controllers.turns import every
from tidegate.metastore.database import Database

_LOG = logging.getLogger(__name__)


async def rotate_keys(database: Database, lifetime: float, interval: float) -> None:
    """Every `interval` seconds see if the newest key is older than `lifetime`; until cancelled.

    Whoever finds a rotation due does it in one unit, and nobody does it twice.
    """

    async def turn() -> None:
        if await rotate(database, time.time(), lifetime):
            _LOG.info("rotated the keys that sign tokens")

    await every(interval, "rotating the signing keys", turn)
