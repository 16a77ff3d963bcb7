"""What may be asked of another registry, and when: decided on values.

A registry that says how much it allows gets no more: requests are taken from what remains, which
refills evenly over its period. What nobody waits for leaves a part of it to who does, and comes
spread out over the period rather than at its start, so that it is as fresh at the end of it. A
registry that fails again and again is left alone for a while, then tried by one request.

    working -- failures in a row --> left alone -- time --> tried by one -- answer --> working
                                          ^                      |
                                          +------- failure ------+
"""

from collections.abc import Callable
from typing import NamedTuple

NOW, ASKED, BACKGROUND = range(3)
"""Who waits: a client, somebody who asked for an import, nobody."""

RESERVED = (0.0, 0.05, 0.2)
"""The part of what is allowed that a request leaves to more urgent ones."""

BURST = 0.05
"""The part of what is allowed that may come at once though nobody waits."""

FAILURES = 5
"""Failures in a row after which a registry is left alone."""
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
"""Seconds for which it is; twice as long each time."""
TRIAL = 60.0
"""Seconds in which the one request that tries it has to have succeeded or failed."""

PLENTY_PART, PLENTY_RATE = 0.5, 1.0
"""When this part of what is allowed remains, and so many requests a second come back, nobody has to
count."""


class Budget(NamedTuple):
    """What one account may ask of a registry; times are in epoch seconds.

    `allowance` requests in `period` seconds, if it ever said so, of which `remaining` were left at
    `measured_at`; those for which nobody waits have come up to `paced_until`; none is made before
    `closed_until`.
    """

    allowance: int | None = None
    period: float = 0.0
    remaining: float = 0.0
    measured_at: float = 0.0
    paced_until: float = 0.0
    closed_until: float = 0.0

    def left(self, now: float) -> float:
        """How many requests are left, counting those that came back since."""
        if self.allowance is None:
            return 0.0
        back = max(now - self.measured_at, 0.0) * self.allowance / self.period
        return min(float(self.allowance), self.remaining + back)

    def is_plenty(self, now: float) -> bool:
        """Whether there is so much that nobody has to count."""
        if self.allowance is None:
            return True
        rate = self.allowance / self.period
        return rate >= PLENTY_RATE and self.left(now) >= self.allowance * PLENTY_PART


class Health(NamedTuple):
    """How a registry works: `failures` in a row, the last one's `error`, not asked before then."""

    failures: int = 0
    left_until: float = 0.0
    error: str = ""

    @property
    def is_left_alone(self) -> bool:
        """Whether it failed so often that it is, or was until now and has to be tried."""
        return self.failures >= FAILURES


def taken(budget: Budget, urgency: int, now: float) -> tuple[float, Budget]:
    """Seconds to wait for a request, or 0 and what is left after it."""
    if budget.closed_until > now:
        return budget.closed_until - now, budget
    if budget.allowance is None:
        return 0.0, budget
    left, paced = budget.left(now), budget.paced_until
    needed = min(budget.allowance * RESERVED[urgency] + 1, float(budget.allowance))
    wait = max((needed - left) * budget.period / budget.allowance, 0.0)
    if urgency == BACKGROUND:
        step = _step(budget.allowance, budget.period)
        burst = max(int(budget.allowance * BURST), 1)
        wait = max(wait, paced - (burst - 1) * step - now)
        paced = max(paced, now) + step
    if wait > 0:
        return wait, budget
    return 0.0, budget._replace(remaining=left - 1, measured_at=now, paced_until=paced)


def told(budget: Budget, allowance: int, period: float, remaining: float, now: float) -> Budget:
    """A budget after the registry said what it allows, and what is left of it.

    Where it did not count the request, as Docker Hub does not count a HEAD, nor does the pace.
    """
    paced = budget.paced_until
    if budget.allowance == allowance and remaining - budget.left(now) >= 0.5:
        paced = max(paced - _step(allowance, period), 0.0)
    return budget._replace(
        allowance=allowance,
        period=period,
        remaining=float(remaining),
        measured_at=now,
        paced_until=paced,
    )


def refused(budget: Budget, retry_after: float, now: float) -> Budget:
    """A budget after the registry asked to be left alone."""
    closed = max(budget.closed_until, now + retry_after)
    return budget._replace(closed_until=closed, remaining=0.0, measured_at=now)


def failed(health: Health, error: str, now: float, jitter: Callable[[], float]) -> Health:
    """After a failure; `jitter` is a number from 0 to 1, so that processes do not come together."""
    failures = health.failures + 1
    if failures < FAILURES:
        return Health(failures, 0.0, error)
    pause = min(FIRST_PAUSE * 2.0 ** min(failures - FAILURES, 16), LONGEST_PAUSE)
    return Health(failures, now + pause * (0.8 + 0.4 * jitter()), error)


def _step(allowance: int, period: float) -> float:
    """Seconds between requests for which nobody waits, when they come evenly."""
    return period / (allowance * (1 - RESERVED[BACKGROUND]))
