"""Mirror: images of a repository that are copied to another one again and again.

One side at least is usually a stream of the Mirror's own project; the other one is a repository of
any registry. Only the declaration and what makes one valid; `delivery.mirrors` copies, as a job.
Invariant: no Mirror names a stream of another project.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, forbidden, invalid, required
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.kinds.automaton import PatternInvalid
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.durations import DurationInvalid, seconds_of
from tidegate.kinds.pattern import glob_of
from tidegate.kinds.versions import Range, RangeInvalid
from tidegate.oci.errors import NameInvalid
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

ENTRIES = 32
"""Entries of one list."""

MIRRORS = 100
"""Mirrors of one project."""

SHORTEST, LONGEST = 60, 366 * 86400
"""Seconds between two runs."""

RUN = "tidegate.io/run"
"""Annotation: another value asks for a run now."""

ERRORS_SHOWN = 10
"""Failures of the last run that its status tells one by one."""

PULL, PUSH, RELAY = "Pull", "Push", "Relay"


class MirrorSide(Wire):
    """Where images come from, or go to: a stream or a repository."""

    stream: Annotated[str, doc("An image stream of this project.")] = ""
    repository: Annotated[
        str, doc("A repository of another registry: quay.io/org/app, docker.io/library/nginx.")
    ] = ""
    secret: Annotated[
        str,
        doc(
            "Secret of this project with the login for the repository, of type "
            "kubernetes.io/dockerconfigjson or dockercfg. Without one all pull secrets of the "
            "project count."
        ),
    ] = ""
    insecure: Annotated[
        bool,
        doc("Whether the repository is spoken to without TLS, or with whoever answers."),
    ] = False


class MirrorSpec(Wire):
    """What is copied, where to, and how often."""

    source: Annotated[MirrorSide, doc("Where the images come from.")] = field(
        default_factory=MirrorSide
    )
    target: Annotated[MirrorSide, doc("Where they go.")] = field(default_factory=MirrorSide)
    tags: Annotated[
        list[str],
        doc(
            "Globs of the tags that are copied: latest, v1.*; with versions too, what either "
            "names. Neither is all tags.",
            list_type="set",
        ),
    ] = field(default_factory=list)
    versions: Annotated[
        str, doc("A range of versions as npm writes it; tags in it are copied: >=1.4 <2.")
    ] = ""
    platforms: Annotated[
        list[str],
        doc(
            "Platforms of which images are copied: linux/amd64. One is copied as that image, "
            "several as the index with these alone. None is all.",
            list_type="set",
        ),
    ] = field(default_factory=list)
    without_referrers: Annotated[
        bool, doc("Whether signatures, SBOMs and the like stay behind.")
    ] = False
    every: Annotated[
        str, doc("How long from one run to the next: 6h, 1d. Empty is one run for each change.")
    ] = ""
    delete_extra: Annotated[
        bool,
        doc(
            "Whether tags of the target stream are deleted that match, and that the source does "
            "not have; only where every image could be copied."
        ),
    ] = False
    suspend: Annotated[bool, doc("Whether nothing is copied for now.")] = False


class MirrorProgress(Wire):
    """How far a run is."""

    done: Annotated[int, doc("Bytes that are at the target.")] = 0
    total: Annotated[int, doc("Bytes of what was found so far to be copied.")] = 0


class MirrorFailure(Wire):
    """An image that was not copied."""

    tag: Annotated[str, doc("Its tag at the source.")] = ""
    message: Annotated[str, doc("Why.")] = ""


class MirrorRun(Wire):
    """What a run came to."""

    started: Annotated[Time, doc("When it began.")] = ""
    finished: Annotated[Time, doc("When it ended.")] = ""
    copied: Annotated[int, doc("Images of which something was copied.")] = 0
    unchanged: Annotated[int, doc("Images that were there as they are.")] = 0
    failed: Annotated[int, doc("Images that were not copied.")] = 0
    deleted: Annotated[int, doc("Tags that were deleted, as the source has them no more.")] = 0
    sent_bytes: Annotated[int, doc("Bytes that were copied.")] = 0
    present_bytes: Annotated[int, doc("Bytes that were there, or mounted.")] = 0
    receipt: Annotated[str, doc("Digest of the run's receipt.")] = ""
    failures: Annotated[
        list[MirrorFailure],
        doc(f"What was not copied, at most {ERRORS_SHOWN}.", list_type="atomic"),
    ] = field(default_factory=list)


class MirrorStatus(Wire):
    """How the copying goes; set by the server."""

    observed_generation: Annotated[int, doc("The generation that this is about.")] = 0
    last_run: Annotated[MirrorRun | None, doc("The last run that ended.")] = None
    last_success: Annotated[Time, doc("When a run last copied everything.")] = ""
    next_run: Annotated[Time, doc("When the next run is to begin.")] = ""
    progress: Annotated[MirrorProgress | None, doc("How far the present run is.")] = None
    conditions: Annotated[
        list[StatusCondition],
        doc("How the copying goes.", keys=("type",)),
    ] = field(default_factory=list)


class Mirror(Object):
    """Mirror copies images of one repository to another, with all that belongs to them."""

    spec: Annotated[MirrorSpec, doc("What is copied, where to, and how often.")] = field(
        default_factory=MirrorSpec
    )
    status: Annotated[MirrorStatus, doc("How it goes; set by the server.")] = field(
        default_factory=MirrorStatus
    )

    @property
    def direction(self) -> str:
        """Pull into this registry, Push out of it, or Relay between two others."""
        if self.spec.target.stream:
            return PULL
        return PUSH if self.spec.source.stream else RELAY


def _prepare(new: Mirror, old: Mirror | None) -> None:
    new.status = MirrorStatus() if old is None else old.status


def _validate(new: Mirror, _old: Mirror | None) -> Sequence[FieldError]:
    spec = new.spec
    project = new.metadata.namespace
    faults = [
        *_side_faults("spec.source", spec.source, project),
        *_side_faults("spec.target", spec.target, project),
        *_list_faults("spec.tags", spec.tags),
        *_platform_faults(spec.platforms),
        *_every_faults(spec.every),
    ]
    if spec.source.stream and spec.source.stream == spec.target.stream:
        faults.append(invalid("spec.target.stream", spec.target.stream, "is the source, too"))
    if spec.delete_extra and not spec.target.stream:
        faults.append(forbidden("spec.deleteExtra", "goes with a target that is a stream"))
    if spec.versions:
        try:
            Range.parse(spec.versions)
        except RangeInvalid as error:
            faults.append(invalid("spec.versions", spec.versions, str(error)))
    return faults


def _side_faults(path: str, side: MirrorSide, project: str) -> list[FieldError]:
    if bool(side.stream) == bool(side.repository):
        if side.stream:
            return [forbidden(f"{path}.repository", "goes without stream")]
        return [required(f"{path}.stream")]
    if side.repository:
        return _repository_faults(f"{path}.repository", side.repository)
    faults = [
        forbidden(f"{path}.{name}", "goes with repository")
        for name, given in (("secret", side.secret), ("insecure", side.insecure))
        if given
    ]
    try:
        RepositoryName.parse(f"{project or 'project'}/{side.stream}")
    except NameInvalid as error:
        faults.append(invalid(f"{path}.stream", side.stream, str(error)))
    return faults


def _repository_faults(path: str, text: str) -> list[FieldError]:
    try:
        spec = PullSpec.parse(text)
    except PullSpecInvalid as error:
        return [invalid(path, text, str(error))]
    if not spec.registry or not spec.name or spec.tag or spec.id:
        why = "must be REGISTRY/REPOSITORY, without tag or digest: quay.io/org/app"
        return [invalid(path, text, why)]
    return []


def _list_faults(path: str, entries: Sequence[str]) -> list[FieldError]:
    if len(entries) > ENTRIES:
        return [invalid(path, len(entries), f"may not have more than {ENTRIES} entries")]
    faults = []
    for index, each in enumerate(entries):
        where = f"{path}[{index}]"
        try:
            if not each:
                faults.append(required(where))
            else:
                glob_of(each)
        except PatternInvalid as error:
            faults.append(invalid(where, each, str(error)))
    return faults


def _platform_faults(platforms: Sequence[str]) -> list[FieldError]:
    if len(platforms) > ENTRIES:
        why = f"may not have more than {ENTRIES} entries"
        return [invalid("spec.platforms", len(platforms), why)]
    return [
        invalid(f"spec.platforms[{index}]", each, "must be OS/ARCHITECTURE, as linux/amd64")
        for index, each in enumerate(platforms)
        if len(each.split("/")) not in (2, 3) or not all(each.split("/"))
    ]


def _every_faults(every: str) -> list[FieldError]:
    if not every:
        return []
    try:
        seconds = seconds_of(every)
    except DurationInvalid as error:
        return [invalid("spec.every", every, str(error))]
    if SHORTEST <= seconds <= LONGEST:
        return []
    return [invalid("spec.every", every, "must be from 1m to 366d")]


STATES = ("Waiting", "Running", "Copied", "Failed", "Suspended")
"""How a Mirror goes, in a word."""


def state(each: Mirror) -> str:
    """One of `STATES`."""
    if each.spec.suspend:
        return "Suspended"
    if each.status.progress is not None:
        return "Running"
    found = next((one for one in each.status.conditions if one.type == "Ready"), None)
    return "Waiting" if found is None else found.reason


def _state(each: Mirror) -> str:
    found, progress = state(each), each.status.progress
    if found != "Running" or progress is None or not progress.total:
        return found
    percent = min(100, 100 * progress.done // progress.total)
    return f"Running {percent}%" if percent else found


def _shown(side: MirrorSide) -> str:
    return side.repository or side.stream


MIRROR = Resource(
    group="tidegate.io",
    version="v1",
    kind="Mirror",
    plural="mirrors",
    singular="mirror",
    type=Mirror,
    namespaced=True,
    columns=(
        Column("Direction", lambda each, _now: each.direction, "Pull, Push or Relay."),
        Column("Source", lambda each, _now: _shown(each.spec.source), "Where images come from."),
        Column("Target", lambda each, _now: _shown(each.spec.target), "Where they go."),
        Column("State", lambda each, _now: _state(each), "How it goes."),
        Column("Last Success", lambda each, _now: each.status.last_success, "All was copied."),
        Column("Next", lambda each, _now: each.status.next_run, "When it runs again.", priority=1),
    ),
    strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
)
