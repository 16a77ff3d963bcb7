"""The phases of a rollout, and how a status says them. No I/O, no clock."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from tidegate.delivery.rollouts.gates import PROGRESSING
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.rollout import PastRollout, RolloutStatus
from tidegate.observability.timestamp import rfc3339_seconds

IDLE, SUSPENDED = "Idle", "Suspended"
ROLLING_BACK = "RollingBack"
COMPLETE, ROLLED_BACK, HELD = "Complete", "RolledBack", "Held"
SUPERSEDED = "Superseded"

ACTIVE = frozenset({PROGRESSING, ROLLING_BACK})
"""Phases in which time alone changes something."""

FAILED_KEPT, HISTORY_KEPT = 20, 10

NOWHERE: Mapping[str, Any] = {
    "target": "",
    "step": 0,
    "step_name": "",
    "gates": [],
    "step_started": "",
    "step_updated": "",
}
"""At no step of no image."""


def past(status: RolloutStatus, outcome: str, why: str, now: float) -> RolloutStatus:
    """With the rollout that is over in the history."""
    over = PastRollout(
        image=status.target, outcome=outcome, message=why, ended=rfc3339_seconds(now)
    )
    return replace(status, history=[over, *status.history][:HISTORY_KEPT])


def said(status: RolloutStatus, phase: str, message: str, now: float) -> RolloutStatus:
    """In this phase, with the condition for it; an empty message leaves the one there was."""
    message = message or status.message
    done = "True" if phase == COMPLETE else "False"
    before = next(iter(status.conditions), StatusCondition())
    since = before.last_transition_time if before.status == done else ""
    condition = StatusCondition(
        type="Complete",
        status=done,
        last_transition_time=since or rfc3339_seconds(now),
        reason=phase,
        message=message,
    )
    return replace(status, phase=phase, message=message, conditions=[condition])
