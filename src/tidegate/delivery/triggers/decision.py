"""Whether a workload may get an image now: nothing but a decision, on values, at a time.

All that holds it back is told at once, so that nobody waits for one thing to learn of the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from tidegate.delivery.triggers.policies import Policy
from tidegate.delivery.triggers.workload import Source
from tidegate.kinds.durations import written
from tidegate.kinds.maintenance_windows import opening

PAUSED = "Paused"
NOT_APPROVED = "WaitsForApproval"
SOAKS = "Soaks"
OUTSIDE_WINDOW = "OutsideWindow"
NOT_ALLOWED = "NotAllowed"
AMBIGUOUS = "AmbiguousPolicies"
FAULTY = "FaultyTrigger"
REPORTED = "ReportOnly"


class Hold(NamedTuple):
    """One thing that holds a change back: a word for programs, a sentence for people.

    `until` is when it is over by itself, in seconds since the epoch; None where that is not known.
    """

    reason: str
    message: str
    until: float | None = None


class Candidate(NamedTuple):
    """What a tag names: the pull spec to write, and its digest.

    `digest` is empty for a tag that only refers to another registry.
    """

    image: str
    digest: str


class Presence(NamedTuple):
    """For how long an image was in a tag without a break.

    `longest` counts stays that are over, in seconds; `since` is when one began that is not.
    """

    longest: float = 0.0
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change that is asked for, with what is known of its image.

    `approved_by` is None without an approval; `presence` is by the tag to soak in.
    """

    source: Source
    candidate: Candidate
    approved_by: str | None = None
    presence: Mapping[Source, Presence] = field(default_factory=dict)


def holds(wanted: Wanted, policies: Sequence[Policy], now: float) -> list[Hold]:
    """What holds a change back; empty when it may be made."""
    found = []
    paused = [each.name for each in policies if each.paused]
    if paused:
        found.append(Hold(PAUSED, f"paused by policy {', '.join(paused)}"))
    if wanted.approved_by is None and any(each.requires_approval for each in policies):
        image = wanted.candidate.digest or wanted.candidate.image
        found.append(Hold(NOT_APPROVED, f"waits for an ImageApproval of {image}"))
    found += _soaking(wanted, policies, now)
    found += _closed(policies, now)
    return found


def _soaking(wanted: Wanted, policies: Sequence[Policy], now: float) -> list[Hold]:
    found = []
    for policy in policies:
        if not policy.soak:
            continue
        tag = policy.soaks_in(wanted.source)
        presence = wanted.presence.get(tag, Presence())
        if presence.longest >= policy.soak:
            continue
        length = written(policy.soak)
        if presence.since is None:
            found.append(Hold(SOAKS, f"waits until it has been in {tag} for {length}"))
        elif now < presence.since + policy.soak:
            until = presence.since + policy.soak
            found.append(Hold(SOAKS, f"soaks in {tag} for {length}, until {moment(until)}", until))
    return found


def _closed(policies: Sequence[Policy], now: float) -> list[Hold]:
    """Every policy with windows has to have one open; the latest of them says until when."""
    found = []
    for policy in policies:
        if not policy.windows:
            continue
        opens = opening(policy.windows, now)
        if opens > now:
            message = f"the maintenance window of policy {policy.name} opens at {moment(opens)}"
            found.append(Hold(OUTSIDE_WINDOW, message, opens))
    return found


def presence_of(stays: Iterable[tuple[str, float, float | None]], image: str) -> Presence:
    """For how long an image was in a tag; `stays` are (image, begin, end), the oldest first.

    Stays that follow one another are one: a tag that is pushed the same image again keeps it.
    """
    longest, begin = 0.0, None
    for named, start, end in stays:
        if named != image:
            begin = None
            continue
        begin = start if begin is None else begin
        if end is None:
            return Presence(longest, begin)
        longest = max(longest, end - begin)
    return Presence(longest)


def look_again(held: Sequence[Hold]) -> float | None:
    """When the first of these is over, so that the rest is to be told anew."""
    return min((each.until for each in held if each.until is not None), default=None)


def moment(time: float) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")
