"""`1.0.at-20261123T101500Z`: the read-only form of a tag that means it as it was at a time.

The whole is a legal tag, so every client can pull it. A tag that has this very name goes first,
hence what is pushed or set may not have the form.
"""

import re
from calendar import timegm
from dataclasses import dataclass
from datetime import datetime
from time import gmtime, strftime

from tidegate.oci.errors import TagInvalid
from tidegate.oci.name import Tag

_FORM = re.compile(r"(.+)\.at-([0-9]{8}T[0-9]{6}Z)", re.ASCII)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class PointInTime:
    """A tag as it was at a time, in epoch seconds."""

    tag: str
    time: int


def parse(tag: str) -> PointInTime | None:
    """What a tag of the form means; None for one that is not of it, or whose time is no time."""
    match = _FORM.fullmatch(tag)
    if match is None or not _is_tag(tag):
        return None
    try:
        time = datetime.strptime(match[2], _TIME)
    except ValueError:
        return None
    return PointInTime(match[1], timegm(time.timetuple()))


def form(tag: str, time: float) -> str:
    """The form that means a tag as it was at a time; `TagInvalid` when that is no legal tag."""
    return Tag.parse(f"{tag}.at-{strftime(_TIME, gmtime(time))}")


def is_reserved(tag: str) -> bool:
    """Whether a tag may not be pushed or set, since it would be read as a time."""
    return parse(tag) is not None


def _is_tag(text: str) -> bool:
    try:
        Tag.parse(text)
    except TagInvalid:
        return False
    return True
