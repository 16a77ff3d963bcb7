import pytest

from tidegate.kinds.durations import DurationInvalid, seconds_of, written


def test_durations_add_up_their_units() -> None:
    assert [seconds_of(each) for each in ("90s", "30m", "24h", "7d", "1d12h", "0s", "1h0m1s")] == [
        90,
        1800,
        86400,
        604800,
        129600,
        0,
        3601,
    ]


@pytest.mark.parametrize("text", ["", "1", "h", "1w", "-1h", "1.5h", "1h 2m", "2m1h", "99999d"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DurationInvalid, match="1d12h30m"):
        seconds_of(text)


def test_a_duration_is_written_in_two_units() -> None:
    assert [written(each) for each in (0, 59, 330, 3600, 129600, 90061)] == [
        "0s",
        "59s",
        "5m30s",
        "1h",
        "1d12h",
        "1d1h",
    ]
