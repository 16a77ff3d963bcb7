"""Which lane is served next: the one with the least under way, then the one served longest ago.

A lane is what jobs compete for, such as an upstream. One that is busy enough, or has to rest, is
left out, so that it holds up no other; nor does one in which very many wait, where all lanes
together have to keep a pace. Knows no job's work.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tidegate.metastore import job_queue
from tidegate.metastore.database import Database

ASK_AGAIN = 30.0
"""Seconds after which a lane that rests is asked again: it may be allowed more by then."""

OPENING = 0.25
"""By how much each job that was done widens a lane which had to rest."""

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
    windows: dict[str, float] = field(default_factory=dict)
    """How many jobs at once may be begun of lanes that had to rest lately."""
    turns: dict[str, int] = field(default_factory=dict)
    """When lanes were served last, counted in turns."""
    turn: int = 0

    async def pick(self) -> tuple[str | None, float]:
        """The lane whose next job is to be done; without one, in how many seconds there may be."""
        pause = math.inf
        lanes, now = await job_queue.lanes(self.database, self.kind), self.now()
        self._forget({lane for lane, _ in lanes})
        for lane, due in sorted(lanes, key=self._place):
            if due > now:
                pause = min(pause, due - now)
                continue
            if self.room(lane) <= 0:
                continue  # its next end stirs
            wait = await self._rest_of(lane)
            if wait <= 0:
                return lane, 0.0
            pause = min(pause, wait)
        return None, pause

    def _place(self, lane: tuple[str, float]) -> tuple[int, int, float]:
        name, due = lane
        return self.busy[name], self.turns.get(name, 0), due

    def room(self, lane: str) -> int:
        """How many more jobs of a lane may be begun."""
        room = int(self.windows.get(lane, self.per_lane)) - self.busy[lane]
        # where it is asked whether a lane has to rest, it is for each job
        return room if self.rest is None else min(room, 1)

    def let_rest(self, lane: str, seconds: float) -> None:
        """A job of the lane could not be done: what comes next is one of them alone."""
        self.resting[lane] = self.now() + seconds
        self.windows[lane] = 1.0

    def succeed(self, lane: str) -> None:
        """A job of the lane was done; after some of them there may be more at once again."""
        if lane in self.windows:
            self.windows[lane] += OPENING
            if self.windows[lane] >= self.per_lane:
                del self.windows[lane]

    def begin(self, lane: str) -> None:
        self.turn += 1
        self.turns[lane] = self.turn
        self.busy[lane] += 1

    def end(self, lane: str) -> None:
        self.busy[lane] -= 1
        if self.busy[lane] <= 0:
            del self.busy[lane]

    def _forget(self, due: set[str]) -> None:
        """Let go of what is known of lanes in which nothing waits: tenants name them."""
        gone = (self.resting.keys() | self.windows.keys() | self.turns.keys()) - due
        for lane in gone - self.busy.keys():
            self.resting.pop(lane, None)
            self.windows.pop(lane, None)
            self.turns.pop(lane, None)

    async def _rest_of(self, lane: str) -> float:
        left = self.resting.get(lane, 0.0) - self.now()
        if left > 0:
            return left
        self.resting.pop(lane, None)
        wait = 0.0 if self.rest is None else min(await self.rest(lane), self.ask_again)
        if wait > 0:
            self.resting[lane] = self.now() + wait
        return wait
