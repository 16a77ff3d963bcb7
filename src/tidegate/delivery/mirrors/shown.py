"""What a Mirror shows of its runs. Values only."""

from enum import StrEnum

from msgspec.structs import replace

from tidegate.delivery.mirrors.mirroring import Ran
from tidegate.delivery.mirrors.receipt import Outcome, totals
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.mirror import (
    ERRORS_SHOWN,
    Mirror,
    MirrorFailure,
    MirrorProgress,
    MirrorRun,
    MirrorStatus,
)
from tidegate.observability.timestamp import rfc3339_seconds

READY = "Ready"

_MESSAGE_LIMIT = 1024


class Reason(StrEnum):
    """Why a Mirror is ready, or is not."""

    COPIED = "Copied"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


def begun(mirror: Mirror) -> MirrorStatus:
    """A run begins."""
    return replace(mirror.status, progress=MirrorProgress(), next_run="")


def moved_on(mirror: Mirror, done: int, total: int) -> MirrorStatus:
    """A run is so far."""
    return replace(mirror.status, progress=MirrorProgress(done=done, total=total))


def suspended(mirror: Mirror, now: float) -> MirrorStatus:
    """Nothing runs for now."""
    said = "spec.suspend is set"
    return replace(
        mirror.status,
        observed_generation=mirror.metadata.generation,
        progress=None,
        next_run="",
        conditions=_conditions(mirror.status, Reason.SUSPENDED, said, now),
    )


def ended(
    mirror: Mirror, started: float, ran: Ran | None, error: str, again_at: float | None, now: float
) -> MirrorStatus:
    """A run has ended; without `ran` nothing could begin, and `error` says why."""
    run = MirrorRun(started=rfc3339_seconds(started), finished=rfc3339_seconds(now))
    if ran is not None:
        run = _run(ran, run)
        error = error or said(ran)
    is_good = ran is not None and not ran.failed
    reason = Reason.COPIED if is_good else Reason.FAILED
    return replace(
        mirror.status,
        observed_generation=mirror.metadata.generation,
        last_run=run,
        last_success=rfc3339_seconds(now) if is_good else mirror.status.last_success,
        next_run="" if again_at is None else rfc3339_seconds(again_at),
        progress=None,
        conditions=_conditions(mirror.status, reason, error[:_MESSAGE_LIMIT], now),
    )


def _run(ran: Ran, run: MirrorRun) -> MirrorRun:
    results = [each.result for each in ran.outcomes]
    sizes = totals(ran.outcomes)
    return replace(
        run,
        copied=results.count("copied"),
        unchanged=results.count("unchanged"),
        failed=results.count("failed"),
        deleted=ran.deleted,
        sent_bytes=sizes["copied"],
        present_bytes=sizes["present"] + sizes["mounted"],
        receipt=ran.receipt,
        failures=[_failure(each) for each in ran.failed[:ERRORS_SHOWN]],
    )


def _failure(outcome: Outcome) -> MirrorFailure:
    tag = outcome.origin.rpartition(":")[2]
    return MirrorFailure(tag=tag, message=outcome.error[:_MESSAGE_LIMIT])


def said(ran: Ran) -> str:
    """A sentence about a run."""
    failed = ran.failed
    if failed:
        return f"{len(failed)} of {len(ran.outcomes)} images failed, as {failed[0].error}"
    said = f"the target has all {len(ran.outcomes)} images"
    return f"{said}; {ran.warnings[0]}" if ran.warnings else said


def _conditions(
    before: MirrorStatus, reason: Reason, message: str, now: float
) -> list[StatusCondition]:
    status = "True" if reason is Reason.COPIED else "False"
    old = _ready(before)
    since = old.last_transition_time if old is not None and old.status == status else ""
    return [
        StatusCondition(
            type=READY,
            status=status,
            last_transition_time=since or rfc3339_seconds(now),
            reason=reason,
            message=message,
        )
    ]


def state_of(status: MirrorStatus) -> str:
    """The reason of what is shown; "" before the first run."""
    found = _ready(status)
    return "" if found is None else found.reason


def _ready(status: MirrorStatus) -> StatusCondition | None:
    return next((each for each in status.conditions if each.type == READY), None)
