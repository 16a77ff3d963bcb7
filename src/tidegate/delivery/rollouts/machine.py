"""The state of a rollout, as a function of what is seen. No I/O, no clock.

                 the tag names another image
    Idle, Complete, RolledBack, Held --------------> Progressing, step 1 <---+
                                                        |  |   |             | another image:
      workloads have it, gates good, pause over: next --+  |   +-------------+ begun anew
      of the last step: Complete, it is stable now <-------+
                                                           | too many bad looks, or too late
      RolledBack <-- the tag names the stable image <-- RollingBack    (or Held, where so specified)

A tag that names nothing any more ends what goes on (Idle).

Invariants: workloads of later steps get nothing before their step; the stable image is never held
back, so that a tag that goes back takes everything with it; an image that failed is not rolled out
again unless `spec.retry` names it, so that nothing flaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.delivery.rollouts.gates import PROGRESSING, edited_to, gates_of
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.rollout import (
    HOLD,
    GateStatus,
    PastRollout,
    Rollout,
    RolloutGate,
    RolloutStatus,
    RolloutStep,
)
from tidegate.observability.timestamp import rfc3339_seconds

IDLE, SUSPENDED = "Idle", "Suspended"
ROLLING_BACK = "RollingBack"
COMPLETE, ROLLED_BACK, HELD = "Complete", "RolledBack", "Held"
SUPERSEDED = "Superseded"

ACTIVE = frozenset({PROGRESSING, ROLLING_BACK})
"""Phases in which time alone changes something."""

FAILED_KEPT, HISTORY_KEPT = 20, 10


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a gate showed: good, bad, or (None) nothing yet."""

    good: bool | None
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen: `image` is what the tag names, "" for nothing.

    `pending` are workloads of the steps so far that have not got it; `blocked` says that others
    than this rollout hold one of them back. `looks` are by gate. `refused` is why the tag cannot go
    back. `since` is from when on somebody looks: no deadline is over for that nobody did.
    """

    image: str
    pending: Sequence[str] = ()
    blocked: bool = False
    looks: Mapping[str, Look] = field(default_factory=dict)
    refused: str = ""
    since: float = 0.0


def advance(rollout: Rollout, facts: Facts, now: float) -> RolloutStatus:
    """The status that follows; the same one when nothing has happened."""
    status = _observed(rollout)
    if not facts.image:
        return _without_image(status, now)
    if not status.stable:
        status = replace(status, stable=facts.image)
        return _said(status, COMPLETE, "what the tag names is what it is compared with", now)
    if rollout.spec.suspend:
        return _suspended(status, facts.image, now)
    if status.phase == SUSPENDED:
        status = _resumed(rollout, status, now)
    if facts.image == status.stable:
        return _at_stable(status, now)
    if facts.image in status.failed and status.phase != ROLLING_BACK:
        return _held_again(status, facts.image, now)
    if facts.image != status.target or status.phase not in ACTIVE or not status.step:
        return _begun(rollout, status, facts.image, now)
    if status.phase == ROLLING_BACK:
        return _going_back(status, facts, now)
    return _progressed(rollout, status, facts, now)


def _without_image(status: RolloutStatus, now: float) -> RolloutStatus:
    why = "the tag names nothing"
    if status.target and status.phase in (*ACTIVE, SUSPENDED):
        status = _past(status, SUPERSEDED, why, now)
    return _said(replace(status, **_NOWHERE), IDLE, why, now)


def _suspended(status: RolloutStatus, image: str, now: float) -> RolloutStatus:
    over = status.phase not in (*ACTIVE, SUSPENDED)
    if over and (image == status.stable or (status.phase == HELD and image == status.target)):
        return _said(status, status.phase, "", now)
    return _said(status, SUSPENDED, f"{image} waits: it is suspended" if over else "", now)


def _resumed(rollout: Rollout, status: RolloutStatus, now: float) -> RolloutStatus:
    """Where it was; neither deadline nor pause has seen the time in between."""
    failed = status.target in status.failed and status.step
    back = failed and rollout.spec.on_failure != HOLD
    phase = ROLLING_BACK if back else PROGRESSING
    return replace(status, phase=phase, step_started=rfc3339_seconds(now), step_updated="")


def _observed(rollout: Rollout) -> RolloutStatus:
    """As of the spec there is: without the image to try again, once for each time it is said."""
    status, retry = rollout.status, rollout.spec.retry
    if rollout.metadata.generation == status.observed_generation:
        return status
    failed = [each for each in status.failed if each != retry]
    return replace(status, failed=failed, observed_generation=rollout.metadata.generation)


def _held_again(status: RolloutStatus, image: str, now: float) -> RolloutStatus:
    """An image that failed is named again, or still: then what is said already says why."""
    if (status.phase, status.target) == (HELD, image):
        return status
    message = f"{image} failed before; spec.retry has it tried once more"
    return _said(replace(status, **{**_NOWHERE, "target": image}), HELD, message, now)


def _at_stable(status: RolloutStatus, now: float) -> RolloutStatus:
    """The tag names what did well: nothing is to be rolled out."""
    if status.phase in (COMPLETE, ROLLED_BACK) and not status.target:
        return status
    failed = status.target in status.failed
    phase = ROLLED_BACK if failed else COMPLETE
    why = status.message if failed else "the tag names the stable image"
    if status.target:
        status = _past(status, phase if failed else SUPERSEDED, why, now)
    return _said(replace(status, **_NOWHERE), phase, why, now)


_NOWHERE = {"target": "", "step": 0, "step_name": "", "gates": [], "step_started": "",
            "step_updated": ""}  # fmt: skip


def _begun(rollout: Rollout, status: RolloutStatus, image: str, now: float) -> RolloutStatus:
    if status.target and status.phase in ACTIVE:
        status = _past(status, SUPERSEDED, f"the tag names {image} by now", now)
    return _entered(rollout, replace(status, target=image), 1, now)


def _entered(rollout: Rollout, status: RolloutStatus, step: int, now: float) -> RolloutStatus:
    name = rollout.spec.steps[step - 1].name
    status = replace(
        status,
        step=step,
        step_name=name,
        gates=[],
        step_started=rfc3339_seconds(now),
        step_updated="",
    )
    return _said(status, PROGRESSING, f"step {name}: its workloads get the image", now)


def _progressed(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    edited = edited_to(rollout)
    if edited is not None:
        return _entered(rollout, status, edited, now)
    step = rollout.spec.steps[status.step - 1]
    if facts.pending:
        return _updating(rollout, status, facts, now)
    if not status.step_updated:
        status = replace(status, step_updated=rfc3339_seconds(now))
    gates = gates_of(rollout, status.step)
    status = replace(status, gates=[_seen(each, status, facts.looks, now) for each in gates])
    return _judged(rollout, status, step, facts.since, now)


def _updating(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    named = ", ".join(facts.pending[:3]) + (", ..." if len(facts.pending) > 3 else "")
    if facts.blocked:
        status = replace(status, step_started=rfc3339_seconds(now))
        message = f"step {status.step_name}: policies hold {named} back"
        return _said(status, PROGRESSING, message, now)
    begun = max(epoch_seconds(status.step_started), facts.since)
    if now > begun + seconds_of(rollout.spec.deadline):
        return _failed(rollout, status, f"{named} did not get the image in time", now)
    message = f"step {status.step_name}: {named} gets the image"
    return _said(replace(status, step_updated=""), PROGRESSING, message, now)


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


def _judged(
    rollout: Rollout, status: RolloutStatus, step: RolloutStep, since: float, now: float
) -> RolloutStatus:
    gates = gates_of(rollout, status.step)
    by_name = {each.name: each for each in status.gates}
    for gate in gates:
        if by_name[gate.name].failures >= gate.failures:
            return _failed(rollout, status, f"gate {gate.name}: {by_name[gate.name].message}", now)
    open_ = [each.name for each in gates if by_name[each.name].successes < each.successes]
    pause = epoch_seconds(status.step_updated) + (seconds_of(step.pause) if step.pause else 0)
    if open_:
        if now > max(pause, since) + seconds_of(rollout.spec.deadline):
            return _failed(rollout, status, f"gate {open_[0]} was not good in time", now)
        message = f"step {step.name}: waits for gate {', '.join(open_)}"
        return _said(status, PROGRESSING, message, now)
    if now < pause:
        message = f"step {step.name}: pauses until {rfc3339_seconds(pause)}"
        return _said(status, PROGRESSING, message, now)
    if status.step < len(rollout.spec.steps):
        return _entered(rollout, status, status.step + 1, now)
    status = _past(status, COMPLETE, "", now)
    status = replace(status, stable=status.target, **_NOWHERE)
    return _said(status, COMPLETE, "everything runs what the tag names", now)


def _failed(rollout: Rollout, status: RolloutStatus, why: str, now: float) -> RolloutStatus:
    failed = [status.target, *(each for each in status.failed if each != status.target)]
    status = replace(status, failed=failed[:FAILED_KEPT])
    message = f"step {status.step_name} failed: {why}"
    if rollout.spec.on_failure == HOLD:
        return _said(_past(status, HELD, message, now), HELD, message, now)
    return _said(status, ROLLING_BACK, message, now)


def _going_back(status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    if not facts.refused:
        return status
    message = f"{status.message}; the tag cannot go back: {facts.refused}"
    return _said(_past(status, HELD, message, now), HELD, message, now)


def _past(status: RolloutStatus, outcome: str, why: str, now: float) -> RolloutStatus:
    """With the rollout that is over in the history."""
    past = PastRollout(
        image=status.target, outcome=outcome, message=why, ended=rfc3339_seconds(now)
    )
    return replace(status, history=[past, *status.history][:HISTORY_KEPT])


def _said(status: RolloutStatus, phase: str, message: str, now: float) -> RolloutStatus:
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


def refused(rollout: Rollout, why: str, now: float) -> RolloutStatus:
    """The status of a rollout that is none, for it would contradict another."""
    status = replace(rollout.status, observed_generation=rollout.metadata.generation, **_NOWHERE)
    return _said(status, HELD, why, now)
