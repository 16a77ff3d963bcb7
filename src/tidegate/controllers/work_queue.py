"""Keys that are to be worked on, each at its time, each by one at a time.

A key that is added again before its turn comes has one turn, at the earlier time; one that is added
while it is worked on has another turn after that. What failed comes again after a pause that grows,
for ever. Invariant: a key that was added is handed out at least once after that.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds after each failure in a row; the last for ever (image-api 9.4)."""

LONGEST_WAIT = 60.0
"""A clock that is set meanwhile is noticed within so many seconds."""


class WorkQueue(Generic[K]):
    """See the module; `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[K, float] = {}
        self._order: list[tuple[float, int, K]] = []
        self._numbers = 0
        self._working: set[K] = set()
        self._failures: dict[K, int] = {}
        self._stir = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, keys: Iterable[K], due: float = 0.0) -> None:
        """Have these worked on at `due`, or earlier if they are to be anyway."""
        for key in keys:
            known = self._due.get(key)
            if known is None or due < known:
                self._due[key] = due
                self._numbers += 1
                heapq.heappush(self._order, (due, self._numbers, key))
                self._stir.set()

    async def take(self) -> K:
        """The next key whose time has come; `done` or `failed` is said of it in the end."""
        while True:
            key = self._next()
            if key is not None:
                return key
            self._stir.clear()
            wait = self._order[0][0] - self._clock() if self._order else LONGEST_WAIT
            try:
                async with asyncio.timeout(min(max(wait, 0.0), LONGEST_WAIT)):
                    await self._stir.wait()
            except TimeoutError:
                continue

    def _next(self) -> K | None:
        now = self._clock()
        while self._order and self._order[0][0] <= now:
            due, _, key = heapq.heappop(self._order)
            if self._due.get(key) != due or key in self._working:
                continue  # it has another place in the order, or gets one when it is done
            del self._due[key]
            self._working.add(key)
            if self._order and self._order[0][0] <= now:
                self._stir.set()  # whoever else waits here
            return key
        return None

    def done(self, key: K, again_at: float | None = None) -> None:
        """A key was worked on; `again_at` is when it is to be anyway."""
        self._failures.pop(key, None)
        self._end(key)
        if again_at is not None:
            self.add([key], again_at)

    def failed(self, key: K) -> float:
        """Working on a key failed; the seconds after which it is tried again."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = PAUSES[min(failures, len(PAUSES) - 1)]
        self._end(key)
        self.add([key], self._clock() + pause)
        return pause

    def _end(self, key: K) -> None:
        self._working.discard(key)
        due = self._due.get(key)
        if due is not None:
            self._numbers += 1
            heapq.heappush(self._order, (due, self._numbers, key))
            self._stir.set()
