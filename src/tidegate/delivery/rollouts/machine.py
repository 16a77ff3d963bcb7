"""The state of a rollout, as a function of what is seen. No I/O, no clock.

                 the tag names another image
    Idle, Complete, RolledBack, Held --------------> Progressing, step 1 <---+
                                                        |  |   |             | another image:
      workloads have it, gates good, pause over: next --+  |   +-------------+ begun anew
      of the last step: Complete, it is stable now <-------+
                                                           | too many bad looks, or too late
      RolledBack <-- the tag names the stable image <-- RollingBack    (or Held, where so specified)

A tag that names nothing any more ends what goes on (Idle). Weights that steps set (`traffic`) go
back to what they were when the last step is over, before another image begins (at no step yet), and
before a tag goes back.

Invariants: workloads of later steps get nothing before their step; the stable image is never held
back, so that a tag that goes back takes everything with it; an image that failed is not rolled out
again unless `spec.retry` names it, so that nothing flaps.
"""

from msgspec.structs import replace

from tidegate.delivery.rollouts.facts import Facts
from tidegate.delivery.rollouts.gates import PROGRESSING
from tidegate.delivery.rollouts.phases import (
    ACTIVE,
    COMPLETE,
    HELD,
    IDLE,
    NOWHERE,
    ROLLED_BACK,
    ROLLING_BACK,
    SUPERSEDED,
    SUSPENDED,
    past,
    said,
)
from tidegate.delivery.rollouts.progressing import entered, progressed
from tidegate.delivery.rollouts.traffic import Balance, returned, seen, waiting
from tidegate.kinds.rollout import HOLD, Rollout, RolloutStatus
from tidegate.observability.timestamp import rfc3339_seconds


def advance(rollout: Rollout, facts: Facts, now: float) -> RolloutStatus:
    """The status that follows; the same one when nothing has happened."""
    status = seen(rollout, _observed(rollout), facts.balance, now)
    if rollout.metadata.deletion_timestamp:
        return _leaving(status, facts.balance, now)
    status = _decided(rollout, status, facts, now)
    # Wherever no step goes on, and none is held as it is, weights are to be what they were.
    stays = status.phase in (PROGRESSING, SUSPENDED) or (status.phase == HELD and status.step)
    return status if stays else returned(status, facts.balance)


def _decided(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    if not facts.image:
        return _without_image(status, now)
    if not status.stable:
        status = replace(status, stable=facts.image)
        return said(status, COMPLETE, "what the tag names is what it is compared with", now)
    if rollout.spec.suspend:
        return _suspended(status, facts.image, now)
    if status.phase == SUSPENDED:
        status = _resumed(rollout, status, now)
    if facts.image == status.stable:
        return _at_stable(status, now)
    if facts.image in status.failed and status.phase != ROLLING_BACK:
        return _held_again(status, facts.image, now)
    if facts.image != status.target or status.phase not in ACTIVE or not status.step:
        return _begun(rollout, status, facts, now)
    if status.phase == ROLLING_BACK:
        return _going_back(status, facts, now)
    return progressed(rollout, status, facts, now)


def _without_image(status: RolloutStatus, now: float) -> RolloutStatus:
    why = "the tag names nothing"
    if status.target and status.phase in (*ACTIVE, SUSPENDED):
        status = past(status, SUPERSEDED, why, now)
    return said(replace(status, **NOWHERE), IDLE, why, now)


def _suspended(status: RolloutStatus, image: str, now: float) -> RolloutStatus:
    over = status.phase not in (*ACTIVE, SUSPENDED)
    if over and (image == status.stable or (status.phase == HELD and image == status.target)):
        return said(status, status.phase, "", now)
    return said(status, SUSPENDED, f"{image} waits: it is suspended" if over else "", now)


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
    return said(replace(status, **{**NOWHERE, "target": image}), HELD, message, now)


def _at_stable(status: RolloutStatus, now: float) -> RolloutStatus:
    """The tag names what did well: nothing is to be rolled out."""
    if status.phase in (COMPLETE, ROLLED_BACK) and not status.target:
        return status
    failed = status.target in status.failed
    phase = ROLLED_BACK if failed else COMPLETE
    why = status.message if failed else "the tag names the stable image"
    if status.target:
        status = past(status, phase if failed else SUPERSEDED, why, now)
    return said(replace(status, **NOWHERE), phase, why, now)


def _begun(rollout: Rollout, status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    """Another image at step 1, once no weights of the one before are left."""
    if status.target not in ("", facts.image) and status.phase in ACTIVE:
        status = past(status, SUPERSEDED, f"the tag names {facts.image} by now", now)
    status = replace(status, **{**NOWHERE, "target": facts.image})
    status = returned(status, facts.balance)
    if status.traffic is None:
        return entered(rollout, status, 1, now)
    wait = waiting(status, facts.balance)
    return said(status, PROGRESSING, f"begins when {wait.why}" if wait else "begins", now)


def _leaving(status: RolloutStatus, balance: Balance, now: float) -> RolloutStatus:
    """It is deleted, and goes when nothing is owed, or what is owed cannot be given back."""
    status = returned(status, balance)
    traffic = status.traffic
    if traffic is None or traffic.reported or balance.denied:
        return replace(status, traffic=None)
    wait = waiting(status, balance)
    return said(status, status.phase, f"is deleted when {wait.why}" if wait else "", now)


def _going_back(status: RolloutStatus, facts: Facts, now: float) -> RolloutStatus:
    if not facts.refused:
        return status
    message = f"{status.message}; the tag cannot go back: {facts.refused}"
    return said(past(status, HELD, message, now), HELD, message, now)


def refused(rollout: Rollout, why: str, balance: Balance, now: float) -> RolloutStatus:
    """The status of a rollout that is none, for it would contradict another."""
    status = replace(rollout.status, observed_generation=rollout.metadata.generation, **NOWHERE)
    status = returned(seen(rollout, status, balance, now), balance)
    return said(status, HELD, why, now)
