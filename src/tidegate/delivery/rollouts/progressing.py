"""A rollout at a step: its workloads, its weights, its gates, its pause. No I/O, no clock.

    workloads get the image --> its weights are written --> gates and pause --> the next step, or
                                 (once they are rolled out)                     its own weights back

Too many bad looks, or too late, and the step has failed.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.delivery.rollouts.facts import Facts, Look
from tidegate.delivery.rollouts.gates import PROGRESSING, READY, edited_to, gates_of
from tidegate.delivery.rollouts.phases import (
    COMPLETE,
    FAILED_KEPT,
    HELD,
    NOWHERE,
    ROLLING_BACK,
    past,
    said,
)
from tidegate.delivery.rollouts.traffic import edit_of, is_ending, waiting, weighed
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.rollout import HOLD, GateStatus, Rollout, RolloutStatus
from tidegate.kinds.rollout_gates import RolloutGate
from tidegate.observability.timestamp import rfc3339_seconds

UNCOUNTED = 60.0
"""Seconds after which time that does not count is taken off the deadline."""


def entered(rollout: Rollout, status: RolloutStatus, step: int, now: float) -> RolloutStatus:
    """At the beginning of a step, from 1."""
    name = rollout.spec.steps[step - 1].name
    status = replace(
        status,
        step=step,
        step_name=name,
        gates=[],
        step_started=rfc3339_seconds(now),
        step_updated="",
    )
    return said(status, PROGRESSING, f"step {name}: its workloads get the image", now)


def progressed(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    """One further, as far as what is seen lets it."""
    edited = edited_to(rollout)
    if edited is not None:
        return entered(rollout, status, edited, now)
    if is_ending(rollout):
        return _ended(status, facts, now)
    stopped = edit_of(rollout, facts.balance.split)
    if stopped:
        return _failed(rollout, status, stopped, now, hold=True)
    if facts.pending:
        return _updating(rollout, status, facts, now)
    changed = _weighing(rollout, status, facts, now)
    if changed is not None:
        return changed
    if not status.step_updated:
        status = replace(status, step_updated=rfc3339_seconds(now))
    gates = gates_of(rollout, status.step)
    status = replace(status, gates=[_seen(each, status, facts.looks, now) for each in gates])
    return _judged(rollout, status, facts, now)


def _weighing(
    rollout: Rollout, status: RolloutStatus, facts: Facts, now: float, *, ends: bool = False
) -> RolloutStatus | None:
    """On the way to the weights of the step, or at its end back; None where they are there."""
    changed, wait = weighed(rollout, status, facts.balance, ends=ends)
    if wait is None:
        return None
    why, blocked, look = wait.why, wait.blocked, facts.looks.get(READY.name)
    if changed.traffic == status.traffic or (look is not None and look.good):
        status = changed
    elif look is not None and look.good is False:
        return _failed(rollout, status, look.message, now)
    else:  # nothing gets traffic before it is rolled out
        why, blocked = "" if look is None else look.message, False
    if not ends:
        status = _reopened(status, now)
    if blocked:
        status = _not_counted(rollout, status, now)
    elif _is_late(rollout, status, facts, now):
        why = why or "its workloads were not rolled out"
        return _failed(rollout, status, f"not in time: {why}", now)
    return said(status, PROGRESSING, why and f"step {status.step_name}: {why}", now)


def _ended(status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    """All steps are over; complete once the traffic goes where it did."""
    if status.traffic is None:
        return _complete(status, now)
    wait = waiting(status, facts.balance)
    return said(status, PROGRESSING, wait.why if wait else "", now)


def _not_counted(rollout: Rollout, status: RolloutStatus, now: float) -> RolloutStatus:
    """With a deadline that time like this does not count for, up to a fourth of it.

    Not at each look: what waits for somebody for days is not to be written every second.
    """
    passed = now - epoch_seconds(status.step_started)
    if passed < min(UNCOUNTED, seconds_of(rollout.spec.deadline) / 4):
        return status
    return replace(status, step_started=rfc3339_seconds(now))


def _reopened(status: RolloutStatus, now: float) -> RolloutStatus:
    """Where a step that was as wanted is not any more: deadline and pause begin anew."""
    if not status.step_updated:
        return status
    return replace(status, step_updated="", step_started=rfc3339_seconds(now))


def _is_late(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> bool:
    begun = epoch_seconds(status.step_started)
    if status.step_updated:
        pause = rollout.spec.steps[status.step - 1].pause
        begun = epoch_seconds(status.step_updated) + (seconds_of(pause) if pause else 0)
    return now > max(begun, facts.since) + seconds_of(rollout.spec.deadline)


def _updating(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    named = ", ".join(facts.pending[:3]) + (", ..." if len(facts.pending) > 3 else "")
    if facts.blocked:
        status = _not_counted(rollout, status, now)
        message = f"step {status.step_name}: policies hold {named} back"
        return said(status, PROGRESSING, message, now)
    status = _reopened(status, now)
    if _is_late(rollout, status, facts, now):
        return _failed(rollout, status, f"{named} did not get the image in time", now)
    message = f"step {status.step_name}: {named} gets the image"
    return said(status, PROGRESSING, message, now)


def _seen(
    gate: RolloutGate, status: RolloutStatus, looks: Mapping[str, Look], now: float
) -> GateStatus:
    known = next((each for each in status.gates if each.name == gate.name), None)
    known = known or GateStatus(name=gate.name)
    look = looks.get(gate.name)
    if look is None:
        return known
    return GateStatus(
        name=gate.name,
        successes=known.successes + 1 if look.good else 0,
        failures=known.failures + (look.good is False),
        last=rfc3339_seconds(now),
        message=look.message,
    )


def _judged(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    step, gates = rollout.spec.steps[status.step - 1], gates_of(rollout, status.step)
    by_name = {each.name: each for each in status.gates}
    for gate in gates:
        if by_name[gate.name].failures >= gate.failures:
            why = f"gate {gate.name}: {by_name[gate.name].message}"
            return _failed(rollout, status, why, now)
    open_ = [each.name for each in gates if by_name[each.name].successes < each.successes]
    pause = epoch_seconds(status.step_updated) + (seconds_of(step.pause) if step.pause else 0)
    if open_:
        if _is_late(rollout, status, facts, now):
            return _failed(rollout, status, f"gate {open_[0]} was not good in time", now)
        message = f"step {step.name}: waits for gate {', '.join(open_)}"
        return said(status, PROGRESSING, message, now)
    if now < pause:
        message = f"step {step.name}: pauses until {rfc3339_seconds(pause)}"
        return said(status, PROGRESSING, message, now)
    if status.step < len(rollout.spec.steps):
        return entered(rollout, status, status.step + 1, now)
    return _weighing(rollout, status, facts, now, ends=True) or _complete(status, now)


def _complete(status: RolloutStatus, now: float) -> RolloutStatus:
    status = past(status, COMPLETE, "", now)
    status = replace(status, stable=status.target, **NOWHERE)
    return said(status, COMPLETE, "everything runs what the tag names", now)


def _failed(
    rollout: Rollout, status: RolloutStatus, why: str, now: float, *, hold: bool = False
) -> RolloutStatus:
    failed = [status.target, *(each for each in status.failed if each != status.target)]
    status = replace(status, failed=failed[:FAILED_KEPT])
    message = f"step {status.step_name} failed: {why}"
    if hold or rollout.spec.on_failure == HOLD:
        return said(past(status, HELD, message, now), HELD, message, now)
    return said(status, ROLLING_BACK, message, now)
