"""Durations as users write them: `90s`, `30m`, `24h`, `7d`, `1d12h`."""

import re

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?", re.ASCII
)


class DurationInvalid(ValueError):
    """Text that is no duration; the message says what one looks like."""


def seconds_of(text: str) -> int:
    """A duration in seconds."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise DurationInvalid("must be a duration: days, hours, minutes and seconds as in 1d12h30m")
    return sum(
        int(number or 0) * unit
        for number, unit in zip(match.groups(), _UNITS.values(), strict=True)
    )


def written(seconds: float) -> str:
    """A duration in at most two units: `1d12h`, `5m30s`."""
    left = int(seconds)
    parts: list[str] = []
    for name, unit in _UNITS.items():
        if left >= unit and len(parts) < 2:
            parts.append(f"{left // unit}{name}")
            left %= unit
    return "".join(parts) or "0s"
