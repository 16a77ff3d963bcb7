"""The time by which leases and due times go: the database's, or that of a test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from tidegate.metastore.database import Transaction


class Clock(NamedTuple):
    """Time as leases and due times go by.

    `of_unit` is the time in a unit of work, `here` that of this process, which due times are
    compared with between units; `wait` waits for an event, so many seconds at most.
    """

    of_unit: Callable[[Transaction], float]
    here: Callable[[], float]
    wait: Callable[[asyncio.Event, float], Awaitable[None]]


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


DATABASE_TIME = Clock(lambda tx: tx.now(), time.time, wait)
