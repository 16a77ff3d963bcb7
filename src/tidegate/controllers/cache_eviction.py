"""Keeps the copies of other registries' blobs within their room, and what is written of them true.

Each worker runs it: what one has let go of is gone for all, and a killed worker leaves none too
many. They start at odds, so that they seldom meet.
"""

import asyncio
import logging
import random

from tidegate.controllers.setback import log_setback
from tidegate.registry.pull_through.room import Room

_LOG = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between looks."""


async def keep_room(room: Room, interval: float = INTERVAL) -> None:
    """Reconcile rows and files once, then every `interval` seconds tidy; until cancelled."""
    reconciled = False
    while True:
        await asyncio.sleep(interval * random.uniform(0.2, 1.0))  # noqa: S311  no secret
        try:
            if not reconciled:
                await room.reconcile()
                reconciled = True
            gone = await room.tidy()
            if gone:
                _LOG.info("let go of %d copies of blobs of other registries", gone)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "keeping room for copies", error)
