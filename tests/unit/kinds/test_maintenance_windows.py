from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tidegate.kinds.maintenance_windows import (
    DAYS,
    Window,
    WindowInvalid,
    day_of,
    minute_of,
    opening,
    zone_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def opens(window: Window, now: str) -> str:
    """When, in UTC; `open` while it is."""
    start = opening([window], utc(now))
    if start <= utc(now):
        return "open"
    return datetime.fromtimestamp(start, UTC).isoformat(" ", "minutes")[:16]


def test_a_window_over_midnight_is_open_until_its_end() -> None:
    nightly = Window(EVERY_DAY, minute_of("22:00"), 4 * 3600, UTC)
    assert opens(nightly, "2026-11-25 21:59:59") == "2026-11-25 22:00"
    assert opens(nightly, "2026-11-25 22:00:00") == "open"
    assert opens(nightly, "2026-11-26 01:59:59") == "open"
    assert opens(nightly, "2026-11-26 02:00:00") == "2026-11-26 22:00"


def test_a_window_of_some_days_waits_for_the_next_of_them() -> None:
    weekend = Window(frozenset({5, 6}), 0, 86400, UTC)
    assert opens(weekend, "2026-11-25 12:00:00") == "2026-11-28 00:00"  # a Wednesday
    assert opens(weekend, "2026-11-29 23:59:00") == "open"
    assert opens(weekend, "2026-11-30 00:00:00") == "2026-12-05 00:00"


def test_the_time_of_day_is_that_of_the_zone_in_summer_and_winter() -> None:
    evening = Window(EVERY_DAY, minute_of("22:00"), 3600, BERLIN)
    assert opens(evening, "2026-07-01 12:00:00") == "2026-07-01 20:00"
    assert opens(evening, "2026-12-01 12:00:00") == "2026-12-01 21:00"


def test_a_window_is_as_long_while_clocks_change() -> None:
    # Germany's clocks go from 03:00 back to 02:00 on 25 October 2026, at 01:00 UTC
    night = Window(EVERY_DAY, minute_of("01:30"), 2 * 3600, BERLIN)
    assert opens(night, "2026-10-25 01:29:00") == "open"  # began at 23:30 UTC
    assert opens(night, "2026-10-25 01:31:00") == "2026-10-26 00:30"


def test_a_window_at_a_time_that_a_day_does_not_have_opens_all_the_same() -> None:
    # and from 02:00 on to 03:00 on 29 March 2026
    night = Window(frozenset({6}), minute_of("02:30"), 3600, BERLIN)
    assert opens(night, "2026-03-28 12:00:00") == "2026-03-29 01:30"


def test_of_several_windows_the_first_to_open_counts() -> None:
    windows = [
        Window(frozenset({0}), minute_of("06:00"), 3600, UTC),
        Window(frozenset({4}), minute_of("06:00"), 3600, UTC),
    ]
    assert opening(windows, utc("2026-11-25 12:00:00")) == utc("2026-11-27 06:00:00")


def test_a_window_of_a_week_is_never_closed() -> None:
    always = Window(frozenset({2}), 0, 7 * 86400, UTC)
    assert opens(always, "2026-11-24 23:59:59") == "open"
    assert opens(always, "2026-11-25 00:00:00") == "open"


def test_days_are_known_by_either_name() -> None:
    assert [day_of(each) for each in DAYS] == list(range(7))
    assert [day_of(each) for each in ("monday", "Sunday", "fri")] == [0, 6, 4]
    for wrong in ("Mo", "", "Tues", "Monda", "7"):
        with pytest.raises(WindowInvalid, match="Mon, Tue"):
            day_of(wrong)


def test_times_of_day_and_zones_that_there_are_not() -> None:
    for wrong in ("24:00", "9:00", "12:60", "noon", ""):
        with pytest.raises(WindowInvalid, match="time of day"):
            minute_of(wrong)
    assert zone_of("") is zone_of("UTC") is UTC
    for wrong in ("Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "Europe", "a" * 300):
        with pytest.raises(WindowInvalid, match="time zone"):
            zone_of(wrong)
