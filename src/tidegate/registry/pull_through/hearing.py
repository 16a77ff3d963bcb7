"""How other registries answer, as this process hears them: how quickly, and whether at all.

Who has something stale to serve waits for an answer, and the longer the more that is worth:

    due for some minutes   as long as the registry usually takes, and a little
    due for longer         until it has said nothing at all for `longest` seconds

Nothing of this is shared: a process that has not asked a registry often enough waits `longest`.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

USUAL = 0.95
"""The part of a registry's last answers that came within what it usually takes."""

ANSWERS, ENOUGH = 100, 20
"""Answers of a registry that are remembered, and those that tell how long it usually takes."""

RECENT = 600.0
"""Seconds for which something is due and may be served although a registry is but slower than
usual; what is due for longer is worth waiting for."""

SILENT = 30.0
"""Seconds after which a registry that stayed silent is asked about the same again, and waited for
again if nothing was heard of it since."""


class Waits(NamedTuple):
    """Seconds: the longest that anybody waits who has something stale; and how much more than a
    registry usually takes, while it is due for some minutes only."""

    longest: float = 3.0
    slack: float = 0.075


class Hearing:
    """Registries by their hosts; `clock` gives epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time, waits: Waits | None = None) -> None:
        self._clock = clock
        self._waits = waits or Waits()
        self._took: dict[str, deque[float]] = {}
        self._silent: dict[str, tuple[float, float]] = {}  # since when, and when that was noticed

    def answered(self, host: str, seconds: float | None = None) -> None:
        """It answered; `seconds` are what it took to say what a tag is, if that was asked."""
        self._silent.pop(host, None)
        if seconds is not None:
            self._took.setdefault(host, deque(maxlen=ANSWERS)).append(seconds)

    def failed(self, host: str) -> None:
        """It cannot be reached, failed, or wants to be asked later: nobody has to wait for it."""
        self.unanswered(host, self._clock() - self._waits.longest)

    def unanswered(self, host: str, since: float) -> None:
        """It was asked then, and has not answered yet."""
        known = self._silence(host)
        began = since if known is None else min(since, known)
        self._silent[host] = (began, self._clock())

    def is_silent(self, host: str) -> bool:
        """Whether it has said nothing of late."""
        return self._silence(host) is not None

    def patience(self, host: str, overdue: float, asked: float | None = None) -> float:
        """Seconds to wait for an answer about what is due for `overdue` seconds.

        `asked` is when that was asked already, if that is under way.
        """
        moments = [each for each in (self._silence(host), asked) if each is not None]
        silent_for = self._clock() - min(moments) if moments else 0.0
        if overdue > RECENT:
            return max(0.0, self._waits.longest - silent_for)
        return 0.0 if moments else min(self._usual(host) + self._waits.slack, self.longest)

    @property
    def longest(self) -> float:
        """The longest that anybody waits."""
        return self._waits.longest

    def _silence(self, host: str) -> float | None:
        """Since when it has said nothing; None where it spoke, or nothing is known any more."""
        since, noticed = self._silent.get(host, (0.0, -math.inf))
        return since if self._clock() - noticed < SILENT else None

    def _usual(self, host: str) -> float:
        took = sorted(self._took.get(host, ()))
        if len(took) < ENOUGH:
            return math.inf
        return took[math.ceil(USUAL * len(took)) - 1]
