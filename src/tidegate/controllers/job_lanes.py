"""Which lane is served next: the one with the least under way, then the one that waits longest.

A lane is what jobs compete for, such as an upstream. One that is busy enough, or has to rest, is
left out, so that it holds up no other. Knows no job's work.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tidegate.metastore import jobs
from tidegate.metastore.database import Database

ASK_AGAIN = 30.0
"""Seconds after which a lane that rests is asked again: it may be allowed more by then."""

Rest = Callable[[str], Awaitable[float]]
"""For how many seconds a lane has to rest before its next job is claimed."""


@dataclass(slots=True)
class Lanes:
    """The lanes of one kind of jobs, as one process sees them."""

    database: Database
    kind: str
    per_lane: int
    rest: Rest | None
    now: Callable[[], float]
    ask_again: float = ASK_AGAIN
    busy: Counter[str] = field(default_factory=Counter)
    resting: dict[str, float] = field(default_factory=dict)  # until when

    async def pick(self) -> tuple[str | None, float]:
        """The lane whose next job is to be done; without one, in how many seconds there may be."""
        pause = self.ask_again
        lanes = await jobs.due_lanes(self.database, self.kind, self.now())
        for lane, _ in sorted(lanes, key=lambda each: (self.busy[each[0]], each[1])):
            if self.busy[lane] >= self.per_lane:
                continue
            wait = await self._rest_of(lane)
            if wait <= 0:
                return lane, 0.0
            pause = min(pause, wait)
        return None, pause

    def room(self, lane: str) -> int:
        """How many jobs of a lane that was picked may be begun."""
        # where a lane may have to rest, each job may be the one after which it has to
        return 1 if self.rest is not None else self.per_lane - self.busy[lane]

    def let_rest(self, lane: str, seconds: float) -> None:
        self.resting[lane] = self.now() + seconds

    def begin(self, lane: str) -> None:
        self.busy[lane] += 1

    def end(self, lane: str) -> None:
        self.busy[lane] -= 1
        if self.busy[lane] <= 0:
            del self.busy[lane]

    async def _rest_of(self, lane: str) -> float:
        left = self.resting.get(lane, 0.0) - self.now()
        if left > 0:
            return left
        self.resting.pop(lane, None)
        wait = 0.0 if self.rest is None else min(await self.rest(lane), self.ask_again)
        if wait > 0:
            self.let_rest(lane, wait)
        return wait
