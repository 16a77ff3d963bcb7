"""Does a small piece of work again and again; a turn that fails is made up for by the next one."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from tidegate.controllers.setback import log_setback

_LOG = logging.getLogger(__name__)

FIRST_SECONDS = 5.0
"""Within which the first turn is taken, unless turns are more frequent anyway."""


async def every(interval: float, what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` about every `interval` seconds, until cancelled; `what` names it in the log.

    Each process runs it, so the work is such that doing it twice does no harm, and a killed process
    leaves nothing undone. Pauses are at random, half of `interval` or more: processes that were
    started together seldom meet.
    """
    pause = random.uniform(0.0, min(interval, FIRST_SECONDS))  # noqa: S311  no secret
    while True:
        await asyncio.sleep(pause)
        try:
            await work()
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, what, error)
        pause = interval * random.uniform(0.5, 1.0)  # noqa: S311  no secret
