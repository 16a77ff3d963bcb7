"""What is to be done to a workload: which fields to write now, what waits, and for what.

A plain function on what was read. Each trigger is judged by the policies of its own containers, so
that one container may get its image while another waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tidegate.delivery.triggers.decision import (
    AMBIGUOUS,
    FAULTY,
    NOT_ALLOWED,
    REPORTED,
    Candidate,
    Hold,
    Presence,
    Wanted,
    holds,
    look_again,
)
from tidegate.delivery.triggers.policies import Policy, Selection
from tidegate.delivery.triggers.workload import BuildTrigger, Place, Source, Trigger, Workload

REFUSALS = frozenset({AMBIGUOUS, FAULTY, NOT_ALLOWED})
"""Reasons that only a change of the workload, a policy or a right does away with."""


class Edit(NamedTuple):
    """A field to write: `there` says whether it is to be replaced or added."""

    pointer: str
    value: str
    there: bool


class Change(NamedTuple):
    """A field that names another image than it should; `container` is empty for a build's."""

    container: str
    pointer: str
    source: Source
    running: str
    wanted: str
    approved_by: str | None = None


class Chosen(NamedTuple):
    """The tag that is followed, which a policy may have chosen, and what it names."""

    source: Source
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Facts:
    """What planning needs to know.

    `chosen` is by the tags that triggers name, without those that name nothing. `refused` are tags
    whose images the workload may not pull. `approvals` says who approved a digest. `presence` is by
    tag and digest, `gates` what others hold the image of a tag back for, whatever policies say.
    """

    policies: Sequence[Policy] = ()
    chosen: Mapping[tuple[Source, Selection | None], Chosen] = field(default_factory=dict)
    refused: frozenset[Source] = frozenset()
    approvals: Mapping[str, str] = field(default_factory=dict)
    presence: Mapping[tuple[Source, str], Presence] = field(default_factory=dict)
    gates: Mapping[Source, Sequence[Hold]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """`made` are the changes that `edits`, or the build, come to; `waiting` those that are held."""

    edits: tuple[Edit, ...] = ()
    made: tuple[Change, ...] = ()
    build: tuple[BuildTrigger, ...] = ()
    waiting: tuple[Change, ...] = ()
    held: tuple[Hold, ...] = ()

    @property
    def again_at(self) -> float | None:
        """When to look again, though nothing happens."""
        return look_again(self.held)


def policies_of(policies: Sequence[Policy], containers: Sequence[str]) -> list[Policy]:
    """Those of a workload's policies that are for one of these containers."""
    return [each for each in policies if each.covers_containers(containers)]


def selections(
    workload: Workload, policies: Sequence[Policy]
) -> Iterator[tuple[Source, Selection | None]]:
    """Which tags planning will ask for: those that triggers name, or what policies choose."""
    for trigger in workload.triggers:
        yield trigger.source, _selection(_judging(trigger, policies))
    for build in workload.builds:
        yield build.source, _selection(policies_of(policies, ()))


def plan(workload: Workload, facts: Facts, now: float) -> Plan:
    """What to do to a workload."""
    if workload.fault:
        return Plan(held=(Hold(FAULTY, workload.fault),))
    judged = [_judged(each, facts, now) for each in _settled(workload.triggers, facts)]
    judged += [_judged_build(each, facts, now) for each in workload.builds]
    if any(each is None for each in judged):
        return Plan()
    found = [each for each in judged if each is not None]
    return Plan(
        edits=tuple(edit for each in found for edit in each.edits),
        made=tuple(change for each in found for change in each.made),
        build=tuple(build for each in found for build in each.build),
        waiting=tuple(change for each in found for change in each.waiting),
        held=_distinct(hold for each in found for hold in each.held),
    )


def _settled(triggers: Sequence[Trigger], facts: Facts) -> Iterator[Trigger]:
    """Each without the fields that a later trigger is about, which has the last word on them.

    Two triggers that set a field in turn would never come to an end.
    """
    claimed: set[str] = set()
    settled = []
    for trigger in reversed(triggers):
        places = tuple(each for each in trigger.places if each.pointer not in claimed)
        if (trigger.source, _selection(_judging(trigger, facts.policies))) in facts.chosen:
            claimed |= {each.pointer for each in places}
        settled.append(replace(trigger, places=places))
    return reversed(settled)


def _judged(trigger: Trigger, facts: Facts, now: float) -> Plan | None:
    """What one trigger comes to; None where it holds up the whole object."""
    policies = _judging(trigger, facts.policies)
    chosen = facts.chosen.get((trigger.source, _selection(policies)))
    if chosen is None and trigger.gates_all:
        return None
    if chosen is None and trigger.remembered is not None:
        last = trigger.remembered.image
        chosen = Chosen(trigger.source, Candidate(last, last.partition("@")[2]))
    if chosen is None:
        return Plan()
    wanted, image = _wanted(chosen, facts), chosen.candidate.image
    places = [each for each in (*trigger.places, trigger.remembered) if each is not None]
    wrong = [each for each in places if each.image != image]
    changes = tuple(_change(each, wanted) for each in wrong if each.container or len(wrong) == 1)
    if not wrong:
        return Plan()
    held = _holds(trigger.source, wanted, policies, facts, now)
    if held:
        return Plan(waiting=changes, held=tuple(held))
    return Plan(tuple(Edit(each.pointer, image, each.there) for each in wrong), changes)


def _judged_build(build: BuildTrigger, facts: Facts, now: float) -> Plan:
    policies = policies_of(facts.policies, ())
    chosen = facts.chosen.get((build.source, _selection(policies)))
    if chosen is None or chosen.candidate.image == build.last:
        return Plan()
    wanted = _wanted(chosen, facts)
    change = _change(Place("", "", build.last), wanted)
    held = _holds(build.source, wanted, policies, facts, now)
    if held:
        return Plan(waiting=(change,), held=tuple(held))
    return Plan(made=(change,), build=(build._replace(last=chosen.candidate.image),))


def _judging(trigger: Trigger, policies: Sequence[Policy]) -> list[Policy]:
    return policies_of(policies, [each.container for each in trigger.places])


def _selection(policies: Sequence[Policy]) -> Selection | None:
    """Which tags count, as the first policy that says so has it; `_ambiguous` tells of more."""
    return next((each.selection for each in policies if each.selection is not None), None)


def _wanted(chosen: Chosen, facts: Facts) -> Wanted:
    digest = chosen.candidate.digest
    presence = {tag: known for (tag, image), known in facts.presence.items() if image == digest}
    return Wanted(*chosen, approved_by=facts.approvals.get(digest), presence=presence)


def _change(place: Place, wanted: Wanted) -> Change:
    return Change(
        place.container,
        place.pointer,
        wanted.source,
        place.image,
        wanted.candidate.image,
        wanted.approved_by,
    )


def _holds(
    source: Source, wanted: Wanted, policies: Sequence[Policy], facts: Facts, now: float
) -> list[Hold]:
    if source in facts.refused:
        why = (
            f"its pods may not pull from {source.stream}: that takes `get imagestreams/layers` in "
            f"{source.stream.project}"
        )
        return [Hold(NOT_ALLOWED, why)]
    chosen = {each.selection for each in policies if each.selection is not None}
    if len(chosen) > 1:
        names = ", ".join(each.name for each in policies if each.selection is not None)
        return [Hold(AMBIGUOUS, f"policies {names} follow different tags")]
    held = [*facts.gates.get(source, ()), *holds(wanted, policies, now)]
    if not held and any(each.reports for each in policies):
        return [Hold(REPORTED, "is only reported, as its policy says")]
    return held


def _distinct(held: Iterator[Hold]) -> tuple[Hold, ...]:
    return tuple(dict.fromkeys(held))
