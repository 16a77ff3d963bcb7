"""Which workloads of a tag are of which step, and what holds one back. Decisions on values."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tidegate.delivery.rollouts.phases import COMPLETE, HELD, ROLLED_BACK
from tidegate.delivery.triggers.decision import Candidate, Hold
from tidegate.delivery.triggers.workload import Source, Workload
from tidegate.kinds.automaton import Pattern
from tidegate.kinds.pattern import glob_of
from tidegate.kinds.rollout import Rollout, RolloutStep
from tidegate.oci.name import RepositoryName

ROLLS_OUT, FAILED = "RollsOut", "FailedItsGate"


@dataclass(frozen=True)
class Steps:
    """A rollout with its patterns read."""

    rollout: Rollout

    @cached_property
    def source(self) -> Source:
        """The tag that is rolled out."""
        stream, _, tag = self.rollout.spec.tag.partition(":")
        return Source(RepositoryName(f"{self.rollout.metadata.namespace}/{stream}"), tag)

    @cached_property
    def _globs(self) -> Sequence[Sequence[Pattern]]:
        return [[glob_of(each) for each in step.workloads] for step in self.rollout.spec.steps]

    @property
    def revision(self) -> int:
        """The revision as of which it is known."""
        return int(self.rollout.metadata.resource_version or 0)

    @property
    def brake(self) -> tuple[object, ...]:
        """All that `holds` depends on."""
        spec, status = self.rollout.spec, self.rollout.status
        told = (status.phase, status.step, status.target, status.stable, status.failed)
        return (spec.tag, spec.steps, *told)

    def step_of(self, workload: Workload) -> int:
        """The step of a workload, from 1: the first that names it, or the last."""
        steps = self.rollout.spec.steps
        for number, (step, globs) in enumerate(zip(steps, self._globs, strict=True), 1):
            if _names(step, globs, workload):
                return number
        return len(steps)

    def holds(self, workload: Workload, candidate: Candidate) -> list[Hold]:
        """What holds an image back from a workload that follows the tag; see `machine`."""
        status = self.rollout.status
        image = identity(candidate)
        name = self.rollout.metadata.name
        if not status.stable or image == status.stable:
            return []
        if image in status.failed or status.phase == HELD:
            return [Hold(FAILED, f"rollout {name}: {status.message}")]
        if image != status.target or status.phase in (COMPLETE, ROLLED_BACK):
            return [Hold(ROLLS_OUT, f"rollout {name} begins")]
        step = self.step_of(workload)
        if step <= status.step:
            return []
        if not status.step:
            return [Hold(ROLLS_OUT, f"rollout {name} {status.message}")]
        return [Hold(ROLLS_OUT, f"rollout {name} is at step {status.step}, this is of step {step}")]

    def pending(self, workloads: Sequence[Workload], image: str) -> list[Workload]:
        """Workloads of the steps so far that follow the tag and have another image."""
        step = self.rollout.status.step
        return [
            each for each in workloads if self.step_of(each) <= step and not self.has(each, image)
        ]

    def has(self, workload: Workload, image: str) -> bool:
        """Whether all of a workload that follows the tag has the image."""
        places = (
            place.image
            for trigger in workload.triggers
            if trigger.source == self.source
            for place in trigger.places
        )
        builds = (each.last for each in workload.builds if each.source == self.source)
        return all(
            each == image or each.endswith(f"@{image}") for each in itertools.chain(places, builds)
        )


def identity(candidate: Candidate) -> str:
    """What tells images of a tag apart: the digest, or the whole pull spec where there is none."""
    return candidate.digest or candidate.image


def _names(step: RolloutStep, globs: Sequence[Pattern], workload: Workload) -> bool:
    if not globs and not step.match_labels:
        return False
    if any(workload.labels.get(key) != value for key, value in step.match_labels.items()):
        return False
    return not globs or any(each.matches(workload.name) for each in globs)
