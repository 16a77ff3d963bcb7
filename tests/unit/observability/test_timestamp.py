from datetime import UTC, datetime

import pytest

from tidegate.observability.timestamp import rfc3339, rfc3339_seconds


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1767323045.678, "2026-01-02T03:04:05.678Z"),
        (1767323045.9996, "2026-01-02T03:04:06.000Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds(now: float, text: str) -> None:
    assert rfc3339(now) == text


def test_whole_seconds_cut_the_fraction_off() -> None:
    assert rfc3339_seconds(1767323045.9996) == "2026-01-02T03:04:05Z"
    assert datetime.fromisoformat(rfc3339_seconds(1767323045)) == datetime(
        2026, 1, 2, 3, 4, 5, tzinfo=UTC
    )
