"""What a registry's answers say of how much may be asked: read from their headers.

`RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining` are Docker Hub's (an early draft of the
IETF), `X-RateLimit-*` those of GitHub, Quay and others, `Retry-After` everybody's (RFC 9110 section
10.2.3). A server can write anything: what makes no sense is no limit.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LONGEST_PERIOD = 7 * 86400.0
LONGEST_WAIT = 86400.0
"""Seconds that a server is believed at most."""

_DEFAULT_PERIOD = 3600.0
"""Seconds, where a server says how many requests it allows and not in what time."""

_EPOCH = 1e9
"""A reset beyond it is a moment, before it a number of seconds."""

_QUOTA = re.compile(r"\s*(\d{1,12})\s*(?:;[^,]*?\bw\s*=\s*\"?(\d{1,12}))?", re.ASCII)

Header = Callable[[str], str]
"""A header's value by its name; empty without one."""


class Allowance(NamedTuple):
    """So many requests in so many seconds, of which so many remain."""

    allowance: int
    period: float
    remaining: float


def read_allowance(header: Header, now: float) -> Allowance | None:
    """What the headers of an answer say is left, at `now` (seconds since the epoch)."""
    for prefix in ("RateLimit-", "X-RateLimit-"):
        limit = _QUOTA.match(header(f"{prefix}Limit"))
        remaining = _QUOTA.match(header(f"{prefix}Remaining"))
        if limit is None or remaining is None or int(limit[1]) == 0:
            continue
        period = float(limit[2] or remaining[2] or _until(header(f"{prefix}Reset"), now))
        allowance = int(limit[1])
        return Allowance(
            allowance, min(max(period, 1.0), LONGEST_PERIOD), min(int(remaining[1]), allowance)
        )
    return None


def read_retry_after(value: str, now: float) -> float | None:
    """Seconds to wait, of a number or a date; None where there is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return min(max(moment.timestamp() - now, 0.0), LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None


def _until(reset: str, now: float) -> float:
    try:
        value = float(reset)
    except ValueError:
        return _DEFAULT_PERIOD
    if not math.isfinite(value):
        return _DEFAULT_PERIOD
    left = value - now if value > _EPOCH else value
    return left if left > 0 else _DEFAULT_PERIOD
