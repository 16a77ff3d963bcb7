"""How long ago, as kubectl's tables say it: two or three figures, never more."""

from datetime import datetime

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def epoch_seconds(timestamp: str) -> float:
    """An RFC 3339 time as seconds since the epoch; `ValueError` when it is none."""
    return datetime.fromisoformat(timestamp).timestamp()


def since(timestamp: str, now: float) -> str:
    """The age of an RFC 3339 time; `<unknown>` when it is empty or no time."""
    try:
        return human(now - epoch_seconds(timestamp))
    except ValueError:
        return "<unknown>"


def human(seconds: float) -> str:
    """`2m5s`, `26h`, `3d4h`: the figures that `kubectl get` prints.

    A clock may be a second or so ahead of ours; more than that is `<invalid>`.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 10 * MINUTE:
        return _two(whole, MINUTE, "m", 1, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return _two(whole, HOUR, "h", MINUTE, "m")
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return _two(whole, DAY, "d", HOUR, "h")
    return _long(whole)


def _long(whole: int) -> str:
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    return _two(whole, YEAR, "y", DAY, "d") if whole < 8 * YEAR else f"{whole // YEAR}y"


def _two(whole: int, unit: int, name: str, smaller: int, smaller_name: str) -> str:
    rest = whole % unit // smaller
    return f"{whole // unit}{name}" + (f"{rest}{smaller_name}" if rest else "")
