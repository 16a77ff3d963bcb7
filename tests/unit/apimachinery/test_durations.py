"""Expected texts from k8s.io/apimachinery/pkg/util/duration."""

import pytest

from tidegate.apimachinery.durations import human, since

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 60, "3h1m"),
        (8 * HOUR, "8h"),
        (47 * HOUR, "47h"),
        (48 * HOUR, "2d"),
        (49 * HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (729 * DAY, "729d"),
        (730 * DAY, "2y"),
        (731 * DAY, "2y1d"),
        (8 * 365 * DAY + DAY, "8y"),
    ],
)
def test_a_duration_has_two_or_three_figures(seconds: int, text: str) -> None:
    assert human(seconds) == text


def test_a_missing_time_is_unknown() -> None:
    assert since("", 0.0) == "<unknown>"
    assert since("yesterday", 0.0) == "<unknown>"


def test_an_age_is_counted_from_a_time() -> None:
    assert since("1970-01-01T00:01:00Z", 150.0) == "90s"
    assert since("1970-01-01T00:01:00.500000Z", 150.0) == "89s"
