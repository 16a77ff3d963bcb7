from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.remote.rate_limits import (
    LONGEST_PERIOD,
    LONGEST_WAIT,
    Allowance,
    read_allowance,
    read_retry_after,
)

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def read(headers: Mapping[str, str]) -> Allowance | None:
    lower = {name.lower(): value for name, value in headers.items()}
    return read_allowance(lambda name: lower.get(name.lower(), ""), NOW)


@pytest.mark.parametrize(
    ("headers", "allowance"),
    [
        (
            {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"},
            Allowance(100, 21600.0, 76),
        ),
        (
            {
                "ratelimit-limit": "100, 100;w=60",
                "ratelimit-remaining": "4",
                "ratelimit-reset": "30",
            },
            Allowance(100, 30.0, 4),
        ),
        (
            {
                "X-RateLimit-Limit": "5000",
                "X-RateLimit-Remaining": "4999",
                "X-RateLimit-Reset": str(int(NOW) + 1200),
            },
            Allowance(5000, 1200.0, 4999),
        ),
        ({"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0"}, Allowance(60, 3600.0, 0)),
        ({"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "90"}, Allowance(60, 3600.0, 60)),
        (
            {"RateLimit-Limit": "9;w=999999999999", "RateLimit-Remaining": "1"},
            Allowance(9, LONGEST_PERIOD, 1),
        ),
        ({"RateLimit-Limit": "9;w=0", "RateLimit-Remaining": "1"}, Allowance(9, 1.0, 1)),
        (
            {"X-RateLimit-Limit": "9", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "nan"},
            Allowance(9, 3600.0, 1),
        ),
        (
            {
                "X-RateLimit-Limit": "9",
                "X-RateLimit-Remaining": "1",
                "X-RateLimit-Reset": "1000000001",
            },
            Allowance(9, 3600.0, 1),  # long over
        ),
    ],
)
def test_what_registries_say_is_read(headers: Mapping[str, str], allowance: Allowance) -> None:
    assert read(headers) == allowance


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"RateLimit-Limit": "100;w=21600"},
        {"RateLimit-Remaining": "100;w=21600"},
        {"RateLimit-Limit": "0;w=1", "RateLimit-Remaining": "0"},
        {"RateLimit-Limit": "-1", "RateLimit-Remaining": "0"},
        {"RateLimit-Limit": "many", "RateLimit-Remaining": "0"},
        {"RateLimit-Limit": "10", "RateLimit-Remaining": "few"},
    ],
)
def test_what_makes_no_sense_is_no_limit(headers: Mapping[str, str]) -> None:
    assert read(headers) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999999999999", LONGEST_WAIT),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        ("Mon, 13 Nov 2023 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    for prefix in ("RateLimit", "X-RateLimit"):
        found = read(
            {f"{prefix}-Limit": text, f"{prefix}-Remaining": text, f"{prefix}-Reset": text}
        )
        assert found is None or found.period >= 1
    wait = read_retry_after(text, NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT
