"""A watch that lasts no longer than the right to it.

A watch goes on for minutes or days, while logins are revoked and rights are taken away. So every
now and then it is asked again what was asked when it began. Invariant: at most `ASKED_EVERY`
seconds after the answer has become a refusal nothing more is told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tidegate.apimachinery.storage import Event, Watch

ASKED_EVERY = 10.0
"""Seconds between two questions: 1,000 watches then ask 100 times a second."""

Still = Callable[[], Awaitable[None]]
"""Raises what is to be answered to who may no longer."""


class GuardedWatch:
    """`storage.Watch` of what `watch` tells, while `still` does not raise."""

    def __init__(self, watch: Watch, still: Still) -> None:
        self._watch = watch
        self._still = still
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._due = self._now() + ASKED_EVERY

    async def next(self, patience: float) -> Sequence[Event]:
        """See `storage.Watch`; raises what `still` does."""
        end = self._now() + patience
        while True:
            if self._now() >= self._due:
                await self._still()
                self._due = self._now() + ASKED_EVERY
            left = end - self._now()
            events = await self._watch.next(max(0.0, min(left, self._due - self._now())))
            if events or self._now() >= end:
                return events

    def bookmark(self) -> Event:
        return self._watch.bookmark()

    def close(self) -> None:
        self._watch.close()
