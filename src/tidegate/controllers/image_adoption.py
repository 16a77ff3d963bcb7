"""Runs the adoption of older images (`images.adoption`) beside everything else, until it is done.

One process works at a time; the others look now and then whether it still does. It rests after each
part in proportion to the time that the part took, drops what it adds to the change log beyond what
that keeps, and says every few seconds how much is left. Once done it is never begun again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tidegate.apimachinery.errors import TooManyRequests
from tidegate.controllers.change_compaction import KEPT_BYTES, KEPT_CHANGES
from tidegate.controllers.setback import log_setback
from tidegate.images import adoption
from tidegate.images.adoption import Older, Outcome
from tidegate.metastore import changes

_LOG = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
STANDBY_SECONDS = 10.0
"""How long one waits who found another process at work; two at work do everything twice."""

REST = 0.5
"""Of the time that a part took: so that others get a third of a processor that there is for all."""
LONGEST_REST = 0.2

TELL_SECONDS = 10.0

COMPACTED_AFTER = 20_000
"""Things taken over between looks at the change log: some 60 MB."""


async def adopt_images(older: Older, *, rest: float = REST) -> None:
    """Make streams, events and Images of older data; returns when there is none left.

    Each process runs it.
    """
    run = _Run(older, rest)
    while True:
        try:
            while not await run.step():
                pass
        except TooManyRequests:
            pass  # large objects of requests go first
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "adopting older images", error)
        else:
            return
        await asyncio.sleep(RETRY_SECONDS)


@dataclass(slots=True)
class _Run:
    """What one process has done so far."""

    older: Older
    rest: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    adopted: int = 0
    compacted: int = 0
    told: float = field(default_factory=time.monotonic)

    async def step(self) -> bool:
        """Do the next part, and rest; True when all is done."""
        began = time.monotonic()
        outcome = await adoption.adopt_next(self.older)
        if outcome.done:
            self._say_done()
            return True
        self.adopted += outcome.taken
        if outcome.mine:
            await self._tell()
        else:
            self.told = time.monotonic()  # the other one does
        await self._compact()
        await self.sleep(self._pause(outcome, time.monotonic() - began))
        return False

    def _pause(self, outcome: Outcome, took: float) -> float:
        return min(took * self.rest, LONGEST_REST) if outcome.mine else STANDBY_SECONDS

    async def _compact(self) -> None:
        if self.adopted - self.compacted >= COMPACTED_AFTER:
            self.compacted = self.adopted
            await changes.keep_newest(self.older.database, KEPT_CHANGES, KEPT_BYTES)

    async def _tell(self) -> None:
        if self.adopted and time.monotonic() - self.told >= TELL_SECONDS:
            left = await adoption.remaining(self.older.database)
            self.told = time.monotonic()
            _LOG.info(
                "adopting older images: %d tags and %d manifests are left",
                left.tags,
                left.manifests,
            )

    def _say_done(self) -> None:
        if self.adopted:
            _LOG.info("everything that was pushed is in an image stream now")
