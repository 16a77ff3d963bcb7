"""TriggerPolicy: when workloads of a project get the images of the tags that they follow.

Only the declaration and what makes one valid. The annotation `image.openshift.io/triggers` says
what a workload follows; policies say when it may. What decides is `delivery.triggers`.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid, not_supported, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.kinds.automaton import PatternInvalid
from tidegate.kinds.durations import DurationInvalid, seconds_of
from tidegate.kinds.maintenance_windows import (
    DAYS,
    LONGEST,
    WindowInvalid,
    day_of,
    minute_of,
    zone_of,
)
from tidegate.kinds.pattern import glob_of, pattern_of
from tidegate.kinds.urls import url_faults
from tidegate.kinds.versions import Range, RangeInvalid
from tidegate.oci.errors import NameInvalid, TagInvalid
from tidegate.oci.name import RepositoryName, Tag

APPLY, REPORT = "Apply", "Report"

ENTRIES = 32
"""Entries of one list."""

POLICIES = 32
"""TriggerPolicies of one project, of which every change asks all."""

LONGEST_SOAK = 366 * 86400


class Soak(Wire):
    """How long an image has to have been in a tag before workloads get it."""

    duration: Annotated[str, doc("How long: 30m, 24h, 7d.")]
    tag: Annotated[
        str,
        doc(
            "Another tag in which it has to have been, for so long without a break: `staging` of "
            "the same stream, `STREAM:TAG` of the same project, or `PROJECT/STREAM:TAG`. Without "
            "one it is the tag that is followed."
        ),
    ] = ""


class MaintenanceWindow(Wire):
    """Hours of the week in which images may change."""

    start: Annotated[str, doc("Time of day at which it opens: 22:30.")]
    duration: Annotated[str, doc("How long it is open, at most 7d: 2h.")]
    days: Annotated[
        list[str], doc("Days on which it opens: Mon to Sun; none is every day.", list_type="set")
    ] = field(default_factory=list)
    time_zone: Annotated[str, doc("Time zone of the start, such as Europe/Berlin; else UTC.")] = ""


class Follow(Wire):
    """Which tags of the stream count, of which the newest is followed."""

    versions: Annotated[
        str,
        doc(
            "A range as npm writes it: ^1.4, ~1.4.2, >=1.2 <2. The highest version in it is "
            "followed; tags that are no whole version do not count."
        ),
    ] = ""
    pattern: Annotated[
        str,
        doc(
            "Regular expression that the whole tag has to match. Without a range, the tag that "
            "changed last is followed."
        ),
    ] = ""


class TriggerWebhook(Wire):
    """Where changes are reported to."""

    url: Annotated[str, doc("URL to which each change is posted as JSON, once.")]
    secret: Annotated[
        str,
        doc(
            "Secret of the project whose key `secret` signs the body: X-Tidegate-Signature-256 is "
            "then `sha256=` and its HMAC in hex."
        ),
    ] = ""


class TriggerPolicySpec(Wire):
    """For which workloads it is, and what holds for them. All policies of a workload hold."""

    workloads: Annotated[
        list[str],
        doc("Globs of names of workloads: web, web-*; none is all.", list_type="set"),
    ] = field(default_factory=list)
    match_labels: Annotated[
        dict[str, str], doc("Labels that the workloads have; none is all of them.")
    ] = field(default_factory=dict)
    containers: Annotated[
        list[str], doc("Names of containers; none is all that have triggers.", list_type="set")
    ] = field(default_factory=list)
    paused: Annotated[bool, doc("Whether nothing is changed for now.")] = False
    mode: Annotated[
        str,
        doc(
            "Apply (the default) changes the workload. Report leaves it as it is, and says what is "
            "to be changed: in an ImageChange, by an event, and to the webhook."
        ),
    ] = ""
    requires_approval: Annotated[
        bool, doc("Whether an image waits until there is an ImageApproval of it.")
    ] = False
    soak: Annotated[Soak | None, doc("How long an image waits.")] = None
    windows: Annotated[
        list[MaintenanceWindow],
        doc("Hours in which images change; none is always.", list_type="atomic"),
    ] = field(default_factory=list)
    follow: Annotated[
        Follow | None,
        doc("Follow the newest of several tags, instead of the one that the trigger names."),
    ] = None
    webhook: Annotated[
        TriggerWebhook | None, doc("Where changes are reported to that are not applied.")
    ] = None


class TriggerPolicy(Object):
    """TriggerPolicy says when workloads of a project get the images that their triggers name."""

    spec: Annotated[TriggerPolicySpec, doc("The rules.")] = field(default_factory=TriggerPolicySpec)


def soak_tag(project: str, stream: str, tag: str) -> tuple[RepositoryName, str]:
    """The tag that `Soak.tag` means for a workload that follows `stream` of `project`."""
    path, colon, last = tag.rpartition(":")
    if not colon:
        path = f"{project}/{stream}"
    elif "/" not in path:
        path = f"{project}/{path}"
    return RepositoryName.parse(path), Tag.parse(last)


def _prepare(new: TriggerPolicy, _old: TriggerPolicy | None) -> None:
    new.spec.mode = new.spec.mode or APPLY


def _validate(new: TriggerPolicy, _old: TriggerPolicy | None) -> Sequence[FieldError]:
    spec = new.spec
    faults = []
    if spec.mode not in (APPLY, REPORT):
        faults.append(not_supported("spec.mode", spec.mode, (APPLY, REPORT)))
    faults += _list_faults("spec.workloads", spec.workloads)
    faults += _list_faults("spec.containers", spec.containers)
    for index, each in enumerate(spec.workloads[:ENTRIES]):
        faults += _faults(f"spec.workloads[{index}]", each, glob_of)
    if spec.soak is not None:
        faults += _soak_faults(spec.soak)
    if len(spec.windows) > ENTRIES:
        faults.append(_too_many("spec.windows", len(spec.windows)))
    for index, window in enumerate(spec.windows[:ENTRIES]):
        faults += _window_faults(f"spec.windows[{index}]", window)
    if spec.follow is not None:
        faults += _follow_faults(spec.follow)
    if spec.webhook is not None:
        faults += url_faults("spec.webhook.url", spec.webhook.url)
    return faults


def _too_many(path: str, count: int) -> FieldError:
    return invalid(path, count, f"may not have more than {ENTRIES} entries")


def _list_faults(path: str, entries: Sequence[str]) -> list[FieldError]:
    if len(entries) > ENTRIES:
        return [_too_many(path, len(entries))]
    return [required(f"{path}[{index}]") for index, each in enumerate(entries) if not each]


def _soak_faults(soak: Soak) -> list[FieldError]:
    faults = _faults("spec.soak.duration", soak.duration, seconds_of)
    if not faults and seconds_of(soak.duration) > LONGEST_SOAK:
        faults = [invalid("spec.soak.duration", soak.duration, "may not be more than 366d")]
    if soak.tag:
        try:
            soak_tag("project", "stream", soak.tag)
        except (NameInvalid, TagInvalid) as error:
            why = f"must be TAG, STREAM:TAG or PROJECT/STREAM:TAG: {error}"
            faults.append(invalid("spec.soak.tag", soak.tag, why))
    return faults


def _window_faults(path: str, window: MaintenanceWindow) -> list[FieldError]:
    faults = []
    if len(window.days) > len(DAYS):
        faults.append(invalid(f"{path}.days", len(window.days), "a week has seven days"))
    for index, day in enumerate(window.days[: len(DAYS)]):
        faults += _faults(f"{path}.days[{index}]", day, day_of)
    faults += _faults(f"{path}.start", window.start, minute_of)
    faults += _faults(f"{path}.timeZone", window.time_zone, zone_of)
    length = _faults(f"{path}.duration", window.duration, seconds_of)
    if not length and not 0 < seconds_of(window.duration) <= LONGEST:
        length = [invalid(f"{path}.duration", window.duration, "must be more than 0, at most 7d")]
    return faults + length


def _follow_faults(follow: Follow) -> list[FieldError]:
    if not (follow.versions or follow.pattern):
        return [required("spec.follow", "say versions, a pattern or both")]
    faults = []
    if follow.versions:
        faults += _faults("spec.follow.versions", follow.versions, Range.parse)
    if follow.pattern:
        faults += _faults("spec.follow.pattern", follow.pattern, pattern_of)
    return faults


def _faults(path: str, text: str, read: Callable[[str], object]) -> list[FieldError]:
    try:
        read(text)
    except (DurationInvalid, PatternInvalid, RangeInvalid, WindowInvalid) as error:
        return [invalid(path, text, str(error))]
    return []


def _asks(policy: TriggerPolicy) -> str:
    """What it asks for, in short."""
    spec = policy.spec
    parts = {
        "paused": spec.paused,
        "approval": spec.requires_approval,
        f"soak {spec.soak.duration}" if spec.soak else "": bool(spec.soak),
        "windows": bool(spec.windows),
        f"versions {spec.follow.versions}" if spec.follow else "": bool(
            spec.follow and spec.follow.versions
        ),
        "pattern": bool(spec.follow and spec.follow.pattern),
    }
    return ",".join(name for name, there in parts.items() if there) or "<nothing>"


TRIGGER_POLICIES = Resource(
    group="tidegate.io",
    version="v1",
    kind="TriggerPolicy",
    plural="triggerpolicies",
    singular="triggerpolicy",
    type=TriggerPolicy,
    namespaced=True,
    short_names=("trigpol",),
    columns=(
        Column("Mode", lambda each, _now: each.spec.mode, "Apply or Report."),
        Column("Asks", lambda each, _now: _asks(each), "What it asks for."),
        Column(
            "Workloads",
            lambda each, _now: ",".join(each.spec.workloads) or "<all>",
            "Globs of the workloads that it is for.",
        ),
    ),
    strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
)
