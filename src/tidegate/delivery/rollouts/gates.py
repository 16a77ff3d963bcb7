"""Which gates of a step are to be looked at, and when. Decisions on values."""

from collections.abc import Sequence

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.rollout import GateStatus, Rollout
from tidegate.kinds.rollout_gates import RolloutGate, RolloutStatusGate

PROGRESSING = "Progressing"

READY = RolloutGate(name="", rollout_status=RolloutStatusGate())
"""What is looked at before traffic is sent elsewhere; gates of users have names."""


def gates_of(rollout: Rollout, step: int) -> Sequence[RolloutGate]:
    """The gates of a step, from 1."""
    spec = rollout.spec
    return spec.steps[step - 1].gates or spec.gates


def edited_to(rollout: Rollout) -> int | None:
    """The step to begin anew with because the spec has others by now; None where it has not.

    Never a later one than it is at: a step is not passed because others were put before it.
    """
    steps, at = rollout.spec.steps, rollout.status.step
    if at <= len(steps) and steps[at - 1].name == rollout.status.step_name:
        return None
    known = (n for n, each in enumerate(steps, 1) if each.name == rollout.status.step_name)
    return min(next(known, at), at, len(steps))


def due_gates(rollout: Rollout, now: float) -> list[RolloutGate]:
    """The gates that are to be looked at now."""
    status = rollout.status
    if status.phase != PROGRESSING or not status.step_updated or rollout.spec.suspend:
        return []
    if edited_to(rollout) is not None:
        return []
    known = {each.name: each for each in status.gates}
    return [
        gate
        for gate in gates_of(rollout, status.step)
        if now >= _due(gate, known.get(gate.name), epoch_seconds(status.step_updated))
    ]


def _due(gate: RolloutGate, known: GateStatus | None, updated: float) -> float:
    if known is None or not known.last:
        return updated + (seconds_of(gate.initial_delay) if gate.initial_delay else 0)
    return epoch_seconds(known.last) + seconds_of(gate.interval)
