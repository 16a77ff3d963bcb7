"""What a subscription shows of its deliveries, and when that is worth a write."""

from enum import StrEnum

from msgspec.structs import replace

from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.event_subscription import (
    EventSubscriptionStatus,
    Subscription,
)
from tidegate.metastore.outbox import Listener
from tidegate.observability.timestamp import rfc3339_seconds

EVERY = 5.0
"""Seconds between two writes for the sake of numbers alone."""

READY = "Ready"


class Reason(StrEnum):
    """Why a subscription is ready, or is not."""

    DELIVERING = "Delivering"
    FAILING = "Failing"
    SUSPENDED = "Suspended"
    GONE = "Gone"
    SECRET = "SecretMissing"  # noqa: S105  a reason


_WORDS = {
    Reason.DELIVERING: "events are delivered",
    Reason.FAILING: "the next event is tried again",
    Reason.SUSPENDED: "spec.suspend is set",
    Reason.GONE: "the receiver says that nobody listens there; it is asked again with later events",
    Reason.SECRET: "the messages cannot be signed",
}


def shown(
    subscription: Subscription,
    listener: Listener,
    pending: int,
    dead: int,
    reason: Reason,
    error: str,
    now: float,
) -> EventSubscriptionStatus:
    """The status as of now."""
    before = subscription.status
    said = f"{_WORDS[reason]}: {error}" if error else _WORDS[reason]
    is_ready = "True" if reason is Reason.DELIVERING else "False"
    old = next((each for each in before.conditions if each.type == READY), None)
    since = old.last_transition_time if old is not None and old.status == is_ready else ""
    told_at = listener.told_at
    kept = before.last_error if reason is Reason.DELIVERING and pending else ""
    return EventSubscriptionStatus(
        observed_generation=subscription.metadata.generation,
        delivered=listener.delivered,
        pending=pending,
        dead_letters=dead,
        lost=listener.lost,
        last_delivered="" if told_at is None else rfc3339_seconds(told_at),
        last_error=error or kept,
        conditions=[
            StatusCondition(
                type=READY,
                status=is_ready,
                last_transition_time=since or rfc3339_seconds(now),
                reason=reason,
                message=said,
            )
        ],
    )


def due(
    before: EventSubscriptionStatus, after: EventSubscriptionStatus, written: float, now: float
) -> float | None:
    """When to write, if the last write was at `written`: None for never, as nothing changed."""
    if before == after:
        return None
    numbers = replace(
        after,
        delivered=before.delivered,
        pending=before.pending,
        last_delivered=before.last_delivered,
    )
    return now if numbers != before else max(now, written + EVERY)
