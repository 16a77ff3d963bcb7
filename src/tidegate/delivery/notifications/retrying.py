"""What an answer of a receiver means, and when an event is tried again. Decisions on values."""

import email.utils
import random
from dataclasses import dataclass
from typing import NamedTuple

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 600.0
LONGEST_RETRY_AFTER = 3600.0

REFUSED_ATTEMPTS = 3
"""Tries of an event that the receiver refuses: it will hardly take it later."""

_LATER = frozenset({408, 425, 429})
"""Refusals that say: not now."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a call; `error` is empty when the event was taken."""

    error: str = ""
    retry_after: float | None = None
    is_refused: bool = False
    is_gone: bool = False

    @property
    def is_good(self) -> bool:
        return not self.error

    def most(self, attempts: int) -> int:
        """How often the event may be tried."""
        return min(attempts, REFUSED_ATTEMPTS) if self.is_refused else attempts


class Tries(NamedTuple):
    """How often an event was tried in vain; kept as text."""

    event: int = 0
    times: int = 0

    @classmethod
    def of(cls, text: str) -> "Tries":
        """What `text` was made of; what is no such text is none."""
        event, _, times = text.partition(" ")
        return cls(int(event), int(times)) if event.isdecimal() and times.isdecimal() else cls()

    @property
    def text(self) -> str:
        return f"{self.event} {self.times}"

    def and_one(self, event: int) -> "Tries":
        """After one more of `event`, which may be another one."""
        return Tries(event, self.times + 1 if event == self.event else 1)


def judge(status: int, retry_after: str, now: float) -> Verdict:
    """What an answer means: 2xx is taken, 410 means that nobody listens any more."""
    if 200 <= status < 300:
        return Verdict()
    return Verdict(
        error=f"the receiver answered {status}",
        retry_after=seconds_until(retry_after, now),
        is_refused=300 <= status < 500 and status not in _LATER,
        is_gone=status == 410,
    )


def seconds_until(retry_after: str, now: float) -> float | None:
    """Retry-After in seconds, a number or a date; None where it says nothing that can be read."""
    text = retry_after.strip()
    if text.isdecimal() and text.isascii() and len(text) < 10:
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(moment - now, 0.0), LONGEST_RETRY_AFTER)


def pause(attempts: int, retry_after: float | None) -> float:
    """Seconds until the next try after `attempts` failures in a row, not less than was asked."""
    delay = min(FIRST_PAUSE * 2.0 ** min(max(attempts - 1, 0), 30), LONGEST_PAUSE)
    delay *= random.uniform(0.75, 1.25)  # noqa: S311  no secret
    return max(delay, retry_after or 0.0)
