"""TriggerPolicies as values to decide with: their patterns read, their times in seconds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.delivery.triggers.workload import Source, Workload
from tidegate.kinds.automaton import Pattern
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.image_approval import ImageApproval
from tidegate.kinds.maintenance_windows import DAYS, Window, day_of, minute_of, zone_of
from tidegate.kinds.pattern import glob_of, pattern_of
from tidegate.kinds.trigger_policy import (
    REPORT,
    Follow,
    MaintenanceWindow,
    TriggerPolicy,
    TriggerWebhook,
    soak_tag,
)
from tidegate.kinds.versions import Range
from tidegate.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tags of a stream count: those in a range of versions, that match a pattern, or both."""

    text: str  # tells selections apart
    versions: Range | None = field(default=None, compare=False)
    pattern: Pattern | None = field(default=None, compare=False)

    @classmethod
    def of(cls, follow: Follow) -> "Selection":
        return cls(
            f"{follow.versions} {follow.pattern!r}" if follow.pattern else follow.versions,
            Range.parse(follow.versions) if follow.versions else None,
            pattern_of(follow.pattern) if follow.pattern else None,
        )

    def __str__(self) -> str:
        return self.text.strip()


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; see `kinds.trigger_policy` for what each part means."""

    name: str
    workloads: tuple[Pattern, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: frozenset[str] = frozenset()
    paused: bool = False
    reports: bool = False
    requires_approval: bool = False
    soak: float = 0.0
    soak_tag: str = ""
    windows: tuple[Window, ...] = ()
    selection: Selection | None = None
    webhook: TriggerWebhook | None = None

    @classmethod
    def of(cls, policy: TriggerPolicy) -> "Policy":
        """A stored policy, which has been validated."""
        spec = policy.spec
        return cls(
            name=policy.metadata.name,
            workloads=tuple(glob_of(each) for each in spec.workloads),
            labels=spec.match_labels,
            containers=frozenset(spec.containers),
            paused=spec.paused,
            reports=spec.mode == REPORT,
            requires_approval=spec.requires_approval,
            soak=seconds_of(spec.soak.duration) if spec.soak else 0.0,
            soak_tag=spec.soak.tag if spec.soak else "",
            windows=tuple(_window(each) for each in spec.windows),
            selection=Selection.of(spec.follow) if spec.follow else None,
            webhook=spec.webhook,
        )

    def covers(self, workload: Workload) -> bool:
        """Whether the policy is for a workload."""
        labels = workload.labels
        if any(labels.get(name) != value for name, value in self.labels.items()):
            return False
        return not self.workloads or any(each.matches(workload.name) for each in self.workloads)

    def covers_containers(self, names: Iterable[str]) -> bool:
        """Whether it is for one of these containers of such a workload."""
        return not self.containers or any(each in self.containers for each in names)

    def soaks_in(self, source: Source) -> Source:
        """The tag in which an image of the followed tag has to have been."""
        if not self.soak_tag:
            return source
        stream = source.stream
        name, tag = soak_tag(stream.project, stream.stream, self.soak_tag)
        return Source(RepositoryName(name), tag)


def _window(window: MaintenanceWindow) -> Window:
    days = window.days or DAYS
    return Window(
        frozenset(day_of(each) for each in days),
        minute_of(window.start),
        seconds_of(window.duration),
        zone_of(window.time_zone),
    )


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval of an image, by whom, for which workloads."""

    image: str
    by: str
    workloads: tuple[Pattern, ...] = ()

    @classmethod
    def of(cls, approval: ImageApproval) -> "Approval":
        spec = approval.spec
        globs = tuple(glob_of(each) for each in spec.workloads)
        return cls(spec.image, approval.status.approved_by, globs)

    def covers(self, workload: Workload) -> bool:
        return not self.workloads or any(each.matches(workload.name) for each in self.workloads)
