"""Values of docker/go-units' HumanDuration, by its own tests."""

import pytest

from tidegate.images.kinds.durations import ago, human

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.45, "Less than a second"),
        (-5, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (3 * MINUTE + 40, "3 minutes"),
        (35 * MINUTE + 40, "35 minutes"),
        (59 * MINUTE + 59, "59 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 20 * MINUTE, "About an hour"),
        (HOUR + 35 * MINUTE, "2 hours"),
        (3 * HOUR, "3 hours"),
        (24 * HOUR, "24 hours"),
        (36 * HOUR, "36 hours"),
        (2.5 * DAY, "2 days"),
        (6 * DAY, "6 days"),
        (13.75 * DAY, "13 days"),
        (15 * DAY, "2 weeks"),
        (46.5 * DAY, "6 weeks"),
        (2.1 * 30 * DAY, "2 months"),
        (13 * 30 * DAY, "13 months"),
        (23 * 30 * DAY, "23 months"),
        (24.3 * 30 * DAY, "24 months"),
        (2 * 365 * DAY, "2 years"),
        (3 * 365 * DAY + 60 * DAY, "3 years"),
    ],
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert human(seconds) == text


def test_an_age_is_from_a_time_to_now() -> None:
    assert ago("1970-01-01T00:00:05Z", 7) == "2 seconds ago"
    assert ago("", 7) == ""
