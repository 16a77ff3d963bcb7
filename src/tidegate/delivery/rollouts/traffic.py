"""How much of the traffic goes where, as a function of what is seen. No I/O, no clock.

    nothing owed --a step wants weights--> under way --seen on the object--> written
         ^                                   ^  |                               |
         |   the object has its own again    |  +---- the next step's ----------+
         +-- returns <-- the rollout ends, fails, begins anew, or is deleted ---+

What is to be written is in the status first (`TrafficStatus`: under way), then on the object, then
seen there: whoever takes over finds the object as it was or as it is to be, and goes on.

Invariants: the weights that an object had before are remembered before the first write; an object
that has others than this rollout set, or that it had, was edited by somebody, and is hers: it is
written no more. Whatever is rolled out, nothing gets traffic before it is rolled out itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.delivery.rollouts.gates import PROGRESSING
from tidegate.delivery.rollouts.splits import Split, patch_of
from tidegate.kinds.rollout import Rollout, RolloutStatus
from tidegate.kinds.rollout_traffic import TrafficRule, TrafficStatus, object_of, shown_weights
from tidegate.observability.timestamp import rfc3339_seconds


@dataclass(frozen=True, slots=True)
class Balance:
    """What is seen of the object: `split` is None when it was not looked at.

    `trouble` is why it could not be read or written, `denied` that this is the cluster's last word.
    `reports` says that a policy leaves writing to somebody else.
    """

    split: Split | None = None
    trouble: str = ""
    denied: bool = False
    reports: bool = False


class Wait(NamedTuple):
    """Why a step has to wait for weights; `blocked` where that is nobody's fault."""

    why: str
    blocked: bool = False


def weights_at(rollout: Rollout, step: int) -> Mapping[str, int]:
    """What a step, from 1, wants: its weights or those of the last one before that has some."""
    if rollout.spec.traffic is None:
        return {}
    steps = rollout.spec.steps[:step]
    return next((each.weights for each in reversed(steps) if each.weights), {})


def object_at(rollout: Rollout) -> tuple[str, str] | None:
    """Kind and name of the object to look at: the one that is owed weights, or is to get some."""
    status = rollout.status
    if status.traffic is not None:
        return status.traffic.kind, status.traffic.name
    if status.phase == PROGRESSING and weights_at(rollout, status.step):
        return object_of(rollout.spec.traffic)
    return None


def services_at(rollout: Rollout) -> frozenset[str]:
    """The Services whose weights count in that object."""
    traffic = rollout.status.traffic
    if traffic is not None:
        return frozenset(each for rule in traffic.original for each in rule.weights)
    return frozenset(weights_at(rollout, rollout.status.step))


def is_settled(rollout: Rollout) -> bool:
    """Whether the object has what the step wants."""
    status, wanted = rollout.status, weights_at(rollout, rollout.status.step)
    traffic = status.traffic
    if traffic is None or not wanted:
        return traffic is None and not wanted
    same = (traffic.kind, traffic.name) == object_of(rollout.spec.traffic)
    return same and not traffic.returns and _are(traffic.weights, wanted) and bool(traffic.written)


def is_to_be_ready(rollout: Rollout) -> bool:
    """Whether what is rolled out has to be ready, for traffic is about to go elsewhere."""
    status = rollout.status
    if status.phase != PROGRESSING or not status.step or is_ending(rollout):
        return False
    last = status.step == len(rollout.spec.steps) and status.step_updated
    return not is_settled(rollout) or bool(last and status.traffic is not None)


def is_ending(rollout: Rollout) -> bool:
    """Whether all steps are over, and the object is about to get its own weights back."""
    status = rollout.status
    last = status.step == len(rollout.spec.steps) and status.step_updated
    return bool(last and status.traffic is not None and status.traffic.returns)


def edit_of(rollout: Rollout, split: Split | None) -> str:
    """Why the object is not this rollout's to write any more; "" where it is."""
    traffic = rollout.status.traffic
    if traffic is None or split is None:
        return ""
    if split.problem:
        return split.problem
    if split.uid != traffic.uid:
        return f"{split} was made anew"
    if traffic.reported or list(split.rules) == traffic.weights:
        return ""
    if not traffic.written and any(list(split.rules) == each for each in _ours(rollout, traffic)):
        return ""
    shown = shown_weights(split.rules) or "nothing"
    return f"somebody set {shown} in {split}, and this rollout {shown_weights(traffic.weights)}"


def _ours(rollout: Rollout, traffic: TrafficStatus) -> Iterator[list[TrafficRule]]:
    """What the object may have while it is not known to have what it is to get."""
    yield traffic.original
    yield traffic.before
    for each in rollout.spec.steps:  # a write that another process had begun may come late
        if each.weights:
            yield [TrafficRule(weights=each.weights)] * len(traffic.original)


def seen(rollout: Rollout, status: RolloutStatus, balance: Balance, now: float) -> RolloutStatus:
    """With what the object shows: it has what it was to get, or is somebody else's."""
    traffic, split = status.traffic, balance.split
    if traffic is None or split is None:
        return status
    if edit_of(rollout, split):
        return replace(status, traffic=None)
    if list(split.rules) == traffic.weights:
        if traffic.returns:
            return replace(status, traffic=None)
        written = traffic.written or rfc3339_seconds(now)
        return replace(status, traffic=replace(traffic, written=written, before=[], patch=""))
    if traffic.written:
        return status
    fits = len(split.rules) == len(traffic.weights)
    patch = patch_of(split, traffic.weights) if balance.reports and fits else ""
    return replace(status, traffic=replace(traffic, reported=balance.reports, patch=patch))


def returned(status: RolloutStatus, balance: Balance) -> RolloutStatus:
    """With the object about to get back what it had, if it is owed that."""
    traffic = status.traffic
    if traffic is None or traffic.returns:
        return status
    changed = replace(_under_way(traffic, traffic.original, balance), returns=True)
    return replace(status, traffic=changed)


def weighed(
    rollout: Rollout, status: RolloutStatus, balance: Balance, *, ends: bool = False
) -> tuple[RolloutStatus, Wait | None]:
    """On the way to what the step wants, or back at its end; what is to be waited for meanwhile.

    Whoever calls has seen to it that what gets traffic is rolled out.
    """
    wanted = {} if ends else weights_at(rollout, status.step)
    traffic, found = status.traffic, object_of(rollout.spec.traffic)
    if traffic is None:
        return _taken_on(status, wanted, found, balance) if wanted and found else (status, None)
    if not wanted or (traffic.kind, traffic.name) != found:
        status = returned(status, balance)
    elif traffic.returns or not _are(traffic.weights, wanted):
        rules = [TrafficRule(weights=dict(wanted))] * len(traffic.original)
        changed = replace(_under_way(traffic, rules, balance), returns=False)
        status = replace(status, traffic=changed)
    elif traffic.written:
        return status, None
    return status, waiting(status, balance)


def _taken_on(
    status: RolloutStatus, wanted: Mapping[str, int], found: tuple[str, str], balance: Balance
) -> tuple[RolloutStatus, Wait]:
    """The first weights of an object, with what it has in the status from now on."""
    split = balance.split
    if split is None or split.problem or (split.kind, split.name) != found:
        known = balance.trouble if split is None else split.problem
        return status, Wait(known or f"{' '.join(found)} is looked at")
    traffic = TrafficStatus(
        kind=split.kind, name=split.name, uid=split.uid, original=list(split.rules)
    )
    rules = [TrafficRule(weights=dict(wanted))] * len(split.rules)
    status = replace(status, traffic=_under_way(traffic, rules, balance))
    return status, waiting(status, balance) or Wait("")


def _under_way(
    traffic: TrafficStatus, rules: Sequence[TrafficRule], balance: Balance
) -> TrafficStatus:
    split = balance.split
    known = split is not None and not split.problem
    return replace(
        traffic,
        before=list(split.rules) if split is not None and known else traffic.weights,
        weights=list(rules),
        written="",
        reported=balance.reports,
        patch="",
    )


def waiting(status: RolloutStatus, balance: Balance) -> Wait | None:
    """What is to be waited for until the object has its weights."""
    traffic = status.traffic
    if traffic is None or traffic.written:
        return None
    what = f"{traffic.kind} {traffic.name}"
    if traffic.reported:
        shown = shown_weights(traffic.weights)
        return Wait(f"{what} is to have {shown}, which a policy leaves to you", blocked=True)
    gets = "gets back what it had" if traffic.returns else "gets"
    why = f"{what} {gets}: {shown_weights(traffic.weights)}"
    return Wait(f"{why}; {balance.trouble}" if balance.trouble else why)


def _are(rules: Sequence[TrafficRule], weights: Mapping[str, int]) -> bool:
    return all(each.weights == weights for each in rules)
