"""Maintenance windows: the hours of a week in which something may change.

Pure: the time is an argument. A window begins at a time of day of its time zone and lasts as long
as it says by any clock, so that one that is open while clocks change is neither longer nor shorter.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

DAY = 86400
LONGEST = 7 * DAY
"""Seconds of a window; a longer one would be open always."""

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


class WindowInvalid(ValueError):
    """A part of a window that cannot be read; the message says how it is written."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window that opens on these days (0 is Monday) at a minute of the day."""

    days: frozenset[int]
    minute: int
    seconds: int
    zone: tzinfo

    def starts(self, now: float) -> Iterator[float]:
        """When it opens, from before `now` to a week after it, in order."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for offset in range(-(self.seconds // DAY) - 2, 9):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days:
                yield self._opens(day)

    def _opens(self, day: date) -> float:
        hour, minute = divmod(self.minute, 60)
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).timestamp()


def opening(windows: Iterable[Window], now: float) -> float:
    """When the first of these windows opens: not after `now` where one is open."""
    return min(
        start for each in windows for start in each.starts(now) if now < start + each.seconds
    )


def day_of(text: str) -> int:
    """A day of the week, `Mon` or `Monday`."""
    for number, name in enumerate(DAYS):
        if text[:3].capitalize() == name and text.capitalize() in (name, _LONG[number]):
            return number
    raise WindowInvalid(f"must be one of {', '.join(DAYS)}")


_LONG = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def minute_of(text: str) -> int:
    """A time of day, `22:30`, as minutes since midnight."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise WindowInvalid("must be a time of day from 00:00 to 23:59")
    return int(match[1]) * 60 + int(match[2])


def zone_of(text: str) -> tzinfo:
    """A time zone by its name in the tz database; UTC where none is named."""
    if text in ("", "UTC", "Etc/UTC"):
        return UTC
    if _ZONE.fullmatch(text) is None:
        raise WindowInvalid("must be the name of a time zone, such as Europe/Berlin")
    try:
        return ZoneInfo(text)
    except (LookupError, ValueError, OSError) as error:
        raise WindowInvalid(
            "is no time zone that this server knows (its names come with the package tzdata)"
        ) from error
