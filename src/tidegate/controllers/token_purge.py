"""Removes access tokens and codes that have expired, so that they do not gather for ever."""

import asyncio
import logging
import random
import time

from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.oauth.tokens import purge
from tidegate.controllers.setback import log_setback

_LOG = logging.getLogger(__name__)


async def purge_tokens(store: ObjectStore, interval: float) -> None:
    """Every `interval` seconds remove what has expired; until cancelled.

    Each worker runs it, as removing is harmless twice; they start at odds.
    """
    while True:
        await asyncio.sleep(random.uniform(0.5, 1.0) * interval)  # noqa: S311  no secret
        try:
            purged = await purge(store, time.time())
            if purged:
                _LOG.info("removed %d expired access tokens and codes", purged)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "removing expired tokens", error)
