"""Times as RFC 3339 text, for logs, audit lines and wire formats."""

import time
from functools import lru_cache


def rfc3339(now: float) -> str:
    """`now` (seconds since the epoch) in UTC with milliseconds: `2026-01-02T03:04:05.678Z`."""
    milliseconds = round(now * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


def rfc3339_seconds(now: float) -> str:
    """`now` in UTC, the fraction cut off: `2026-01-02T03:04:05Z`, as Kubernetes and tokens say."""
    return _second(int(now)) + "Z"


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
