"""Removes access tokens and codes that have expired, so that they do not gather for ever."""

import logging
import time

from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.oauth.tokens import purge
from tidegate.controllers.turns import every

_LOG = logging.getLogger(__name__)


async def purge_tokens(store: ObjectStore, interval: float) -> None:
    """Every `interval` seconds remove what has expired; until cancelled."""

    async def turn() -> None:
        purged = await purge(store, time.time())
        if purged:
            _LOG.info("removed %d expired access tokens and codes", purged)

    await every(interval, "removing expired tokens", turn)
