"""Rollout: workloads that follow a tag get its next image in steps, as long as it does well.

Only the declaration and what makes one valid; `delivery.rollouts` decides. It is a brake on image
triggers, no engine of its own: the workloads have their `image.openshift.io/triggers`.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid, not_supported, required
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.kinds.automaton import PatternInvalid
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.pattern import glob_of
from tidegate.kinds.rollout_gates import (
    RolloutGate,
    duration_faults,
    fill_in,
    gates_faults,
    too_many,
)
from tidegate.kinds.rollout_traffic import (
    RolloutTraffic,
    TrafficStatus,
    shown_weights,
    traffic_faults,
)
from tidegate.oci.errors import NameInvalid, TagInvalid
from tidegate.oci.name import RepositoryName, Tag

ROLL_BACK, HOLD = "RollBack", "Hold"

PHASES = (
    "Idle",
    "Progressing",
    "RollingBack",
    "Complete",
    "RolledBack",
    "Held",
    "Suspended",
)
"""What `status.phase` can be, once a server has seen the Rollout."""

STEPS = 16
ENTRIES = 32
MOST = 100
"""Rollouts of one project, each of which may call URLs every second."""


class RolloutStep(Wire):
    """Workloads that get the image together."""

    name: Annotated[str, doc("What the status calls it.")]
    workloads: Annotated[
        list[str], doc("Globs of names of workloads: web-canary.", list_type="set")
    ] = field(default_factory=list)
    match_labels: Annotated[
        dict[str, str], doc("Labels that the workloads have: all of them count, with the names.")
    ] = field(default_factory=dict)
    weights: Annotated[
        dict[str, int],
        doc(
            "How much of the traffic goes to which Service from this step on, once its workloads "
            "are rolled out. Takes `traffic`; the same Services in all steps that have weights."
        ),
    ] = field(default_factory=dict)
    pause: Annotated[
        str, doc("How long the step lasts at least, once its workloads have the image: 10m.")
    ] = ""
    gates: Annotated[
        list[RolloutGate], doc("What has to be good; without any those of the rollout.")
    ] = field(default_factory=list)


class RolloutSpec(Wire):
    """Which tag, in which steps, and what has to be good."""

    tag: Annotated[str, doc("The tag of this project that the workloads follow: STREAM:TAG.")] = ""
    steps: Annotated[
        list[RolloutStep],
        doc("In this order. Workloads of the tag that no step names are of the last."),
    ] = field(default_factory=list)
    gates: Annotated[
        list[RolloutGate], doc("What has to be good in each step that names no gates.")
    ] = field(default_factory=list)
    traffic: Annotated[
        RolloutTraffic | None,
        doc(
            "What has the weights that steps set. It has the annotation tidegate.io/rollout with "
            "the name of this Rollout, and gets its own weights back when the rollout is over."
        ),
    ] = None
    on_failure: Annotated[
        str,
        doc(
            "RollBack (the default) lets the tag name again what it named before, whereupon the "
            "workloads get that. Hold leaves everything as it is."
        ),
    ] = ""
    deadline: Annotated[
        str,
        doc(
            "How long a step may take beyond its pause before it has failed: 10m by default. Time "
            "in which policies hold a workload back does not count."
        ),
    ] = ""
    retry: Annotated[str, doc("Digest of an image that failed and is to be tried once more.")] = ""
    suspend: Annotated[bool, doc("Whether the rollout stays where it is for now.")] = False


class GateStatus(Wire):
    """How one gate of the step goes."""

    name: Annotated[str, doc("The gate.")] = ""
    successes: Annotated[int, doc("Good looks in a row.")] = 0
    failures: Annotated[int, doc("Bad looks in this step.")] = 0
    last: Annotated[Time, doc("When it was last looked at.")] = ""
    message: Annotated[str, doc("What was seen.")] = ""


class PastRollout(Wire):
    """A rollout that is over."""

    image: Annotated[str, doc("The image.")] = ""
    outcome: Annotated[str, doc("Complete, RolledBack, Held or Superseded.")] = ""
    message: Annotated[str, doc("Why.")] = ""
    ended: Annotated[Time, doc("When it was over.")] = ""


class RolloutStatus(Wire):
    """How far it is. Images are the digest where there is one."""

    observed_generation: Annotated[int, doc("The generation that this is about.")] = 0
    phase: Annotated[str, doc(f"{', '.join(PHASES[:-1])} or {PHASES[-1]}.")] = ""
    step: Annotated[int, doc("The step that it is at, from 1.")] = 0
    step_name: Annotated[str, doc("Its name.")] = ""
    stable: Annotated[str, doc("The image that did well last.")] = ""
    target: Annotated[str, doc("The image that is rolled out.")] = ""
    step_started: Annotated[Time, doc("When the step began.")] = ""
    step_updated: Annotated[Time, doc("When all of its workloads had the image.")] = ""
    gates: Annotated[list[GateStatus], doc("The gates of the step.", list_type="atomic")] = field(
        default_factory=list
    )
    failed: Annotated[
        list[str],
        doc("Images that failed, which are not tried again by themselves.", list_type="atomic"),
    ] = field(default_factory=list)
    traffic: Annotated[
        TrafficStatus | None, doc("Weights that this rollout has set, and what they were.")
    ] = None
    message: Annotated[str, doc("How it goes, for people.")] = ""
    conditions: Annotated[list[StatusCondition], doc("How it goes.", merge_key="type")] = field(
        default_factory=list
    )
    history: Annotated[
        list[PastRollout], doc("Rollouts that are over, the newest first.", list_type="atomic")
    ] = field(default_factory=list)


class Rollout(Object):
    """Rollout gives the next image of a tag to the workloads that follow it in steps.

    After each step its gates have to be good: then the next one follows, else the tag goes back.
    """

    spec: Annotated[RolloutSpec, doc("Which tag, in which steps.")] = field(
        default_factory=RolloutSpec
    )
    status: Annotated[RolloutStatus, doc("How far it is; set by the server.")] = field(
        default_factory=RolloutStatus
    )


def _prepare(new: Rollout, old: Rollout | None) -> None:
    same = old is not None and old.spec.tag == new.spec.tag
    new.status = old.status if old is not None and same else RolloutStatus()
    if old is not None:  # weights are owed whatever the tag is
        new.status.traffic = old.status.traffic
    new.spec.on_failure = new.spec.on_failure or ROLL_BACK
    new.spec.deadline = new.spec.deadline or "10m"
    for gate in (*new.spec.gates, *(each for step in new.spec.steps for each in step.gates)):
        fill_in(gate)


def _validate(new: Rollout, _old: Rollout | None) -> Sequence[FieldError]:
    spec = new.spec
    faults = _tag_faults(new)
    if spec.on_failure not in (ROLL_BACK, HOLD):
        faults.append(not_supported("spec.onFailure", spec.on_failure, (ROLL_BACK, HOLD)))
    faults += duration_faults("spec.deadline", spec.deadline)
    if not spec.steps:
        faults.append(required("spec.steps"))
    if len(spec.steps) > STEPS:
        faults.append(too_many("spec.steps", len(spec.steps), STEPS))
    for index, step in enumerate(spec.steps[:STEPS]):
        faults += _step_faults(f"spec.steps[{index}]", step)
    faults += traffic_faults(spec.traffic, [each.weights for each in spec.steps[:STEPS]])
    return [*faults, *gates_faults("spec.gates", spec.gates)]


def _tag_faults(rollout: Rollout) -> list[FieldError]:
    tag = rollout.spec.tag
    if not tag:
        return [required("spec.tag")]
    stream, colon, name = tag.partition(":")
    if not colon:
        return [invalid("spec.tag", tag, "must be STREAM:TAG, of this project")]
    try:
        RepositoryName.parse(f"{rollout.metadata.namespace or 'project'}/{stream}")
        Tag.parse(name)
    except (NameInvalid, TagInvalid) as error:
        return [invalid("spec.tag", tag, str(error))]
    return []


def _step_faults(path: str, step: RolloutStep) -> list[FieldError]:
    faults = [] if step.name else [required(f"{path}.name")]
    if len(step.workloads) > ENTRIES:
        faults.append(too_many(f"{path}.workloads", len(step.workloads), ENTRIES))
    for index, each in enumerate(step.workloads[:ENTRIES]):
        where = f"{path}.workloads[{index}]"
        try:
            if not each:
                faults.append(required(where))
            else:
                glob_of(each)
        except PatternInvalid as error:
            faults.append(invalid(where, each, str(error)))
    if step.pause:
        faults += duration_faults(f"{path}.pause", step.pause)
    return [*faults, *gates_faults(f"{path}.gates", step.gates)]


def _weights(rollout: Rollout) -> str:
    """What the object has by now, as its first rule: `web 90, web-canary 10`."""
    traffic = rollout.status.traffic
    if traffic is None or not traffic.written:
        return ""
    return shown_weights(traffic.weights)


def _step(rollout: Rollout) -> str:
    status = rollout.status
    if not status.step:
        return ""
    return f"{status.step}/{len(rollout.spec.steps)} {status.step_name}"


ROLLOUTS = Resource(
    group="tidegate.io",
    version="v1",
    kind="Rollout",
    plural="rollouts",
    type=Rollout,
    namespaced=True,
    columns=(
        Column("Tag", lambda each, _now: each.spec.tag, "The tag that is followed."),
        Column("Phase", lambda each, _now: each.status.phase, "How it goes."),
        Column("Step", lambda each, _now: _step(each), "How far it is."),
        Column("Message", lambda each, _now: each.status.message, "How it goes, for people."),
        Column("Stable", lambda each, _now: each.status.stable, "What did well.", priority=1),
        Column("Weights", lambda each, _now: _weights(each), "Of the traffic.", priority=1),
        Column("Target", lambda each, _now: each.status.target, "What is next.", priority=1),
    ),
    strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
)
