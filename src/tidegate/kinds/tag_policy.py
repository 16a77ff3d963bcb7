"""TagPolicy: how a project's streams and tags are named, what images carry, which tags stay.

Only the declaration and what makes one valid: pushes, tags and imports are judged where they are
written. All patterns are of `pattern`, and a project has only so many of them, so that all together
cannot hold up a push either: pushes of all projects wait for one another.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid, not_supported, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.kinds.automaton import Pattern, PatternInvalid
from tidegate.kinds.pattern import glob_of, pattern_of
from tidegate.oci.errors import TagInvalid
from tidegate.oci.name import Tag

ENFORCE, WARN = "Enforce", "Warn"

ENTRIES = 32
"""Entries of one list: each costs every push a little."""

POLICIES = 8
"""TagPolicies of one project, of which every push asks all."""

POLICY_PLACES = 1024
"""Characters of all patterns of one policy, with their repeats written out."""


class StreamNaming(Wire):
    """How streams are named."""

    pattern: Annotated[
        str, doc("Regular expression that the whole name of a stream has to match.")
    ] = ""


class TagNaming(Wire):
    """How tags are named. A tag is good when it is as any of these says; without one, always."""

    pattern: Annotated[str, doc("Regular expression that the whole tag may match.")] = ""
    semver: Annotated[
        bool, doc("A tag may be a version, semver 2.0.0, with or without a `v` before it.")
    ] = False
    channels: Annotated[
        list[str], doc("Tags that are good as they are: stable, latest.", list_type="set")
    ] = field(default_factory=list)


class Naming(Wire):
    """How streams and tags are named."""

    streams: Annotated[StreamNaming | None, doc("Rule for names of streams.")] = None
    tags: Annotated[TagNaming | None, doc("Rule for tags.")] = None


class RequiredKeys(Wire):
    """What an image has to carry to be tagged."""

    labels: Annotated[
        list[str],
        doc(
            "Labels of the image's config, and of each image of an index: a KEY, or KEY=REGEX "
            "when the whole value has to match too.",
            list_type="set",
        ),
    ] = field(default_factory=list)
    annotations: Annotated[
        list[str], doc("Annotations of the manifest: KEY or KEY=REGEX.", list_type="set")
    ] = field(default_factory=list)


class TagPolicySpec(Wire):
    """The rules, and for which streams of the project they are."""

    mode: Annotated[
        str,
        doc(
            "Enforce (the default) refuses what breaks a rule; Warn lets it pass with a warning, "
            "immutable tags too."
        ),
    ] = ""
    streams: Annotated[
        list[str],
        doc("Globs of the streams that this is for; none is all of the project.", list_type="set"),
    ] = field(default_factory=list)
    immutable: Annotated[
        list[str],
        doc(
            "Globs of tags that, once set, can neither be moved nor deleted: `v*`, or `*` for all.",
            list_type="set",
        ),
    ] = field(default_factory=list)
    naming: Annotated[Naming | None, doc("How streams and tags are named.")] = None
    required: Annotated[RequiredKeys | None, doc("What an image has to carry to be tagged.")] = None

    def rules(self) -> tuple[StreamNaming, TagNaming, RequiredKeys]:
        """The rules on streams, on tags and on images; one that is not given asks for nothing."""
        naming = self.naming or Naming()
        return (
            naming.streams or StreamNaming(),
            naming.tags or TagNaming(),
            self.required or RequiredKeys(),
        )


class TagPolicy(Object):
    """TagPolicy says how the streams and tags of a project are named, and which tags stay."""

    spec: Annotated[TagPolicySpec, doc("The rules.")] = field(default_factory=TagPolicySpec)


def _prepare(new: TagPolicy, _old: TagPolicy | None) -> None:
    new.spec.mode = new.spec.mode or ENFORCE


def _validate(new: TagPolicy, _old: TagPolicy | None) -> Sequence[FieldError]:
    spec = new.spec
    streams, tags, keys = spec.rules()
    faults = []
    if spec.mode not in (ENFORCE, WARN):
        faults.append(not_supported("spec.mode", spec.mode, (ENFORCE, WARN)))
    reading = _Reading()
    for path, entries, read in (
        ("spec.streams", spec.streams, glob_of),
        ("spec.immutable", spec.immutable, glob_of),
        ("spec.naming.tags.channels", tags.channels, _read_tag),
        ("spec.required.labels", keys.labels, _requirement_of),
        ("spec.required.annotations", keys.annotations, _requirement_of),
    ):
        faults += reading.list_faults(path, entries, read)
    for path, pattern in (
        ("spec.naming.streams.pattern", streams.pattern),
        ("spec.naming.tags.pattern", tags.pattern),
    ):
        faults += reading.faults(path, pattern, pattern_of)
    return faults


class _Reading:
    """Reads the patterns of one policy, until they are too much altogether."""

    def __init__(self) -> None:
        self._left = POLICY_PLACES

    def list_faults(
        self, path: str, entries: Sequence[str], read: Callable[[str], Pattern | None]
    ) -> list[FieldError]:
        if len(entries) > ENTRIES:
            return [invalid(path, len(entries), f"may not have more than {ENTRIES} entries")]
        faults: list[FieldError] = []
        for index, entry in enumerate(entries):
            where = f"{path}[{index}]"
            faults += self.faults(where, entry, read) if entry else [required(where)]
        return faults

    def faults(
        self, path: str, text: str, read: Callable[[str], Pattern | None]
    ) -> list[FieldError]:
        if self._left < 0:
            return []  # said already
        try:
            pattern = read(text)
        except (PatternInvalid, TagInvalid) as error:
            return [invalid(path, text, str(error))]
        self._left -= 0 if pattern is None else len(pattern.symbols)
        if self._left >= 0:
            return []
        why = (
            "up to here the patterns of this policy are too large: altogether they may have "
            f"{POLICY_PLACES} characters with repeats in full"
        )
        return [invalid(path, text, why)]


def _read_tag(text: str) -> None:
    Tag.parse(text)


def _requirement_of(text: str) -> Pattern:
    key, _, pattern = text.partition("=")
    if not key:
        raise PatternInvalid("begins with '='; write KEY or KEY=REGEX")
    return pattern_of(pattern)


def _listed(entries: Sequence[str], none: str) -> str:
    return ",".join(entries) or none


TAG_POLICIES = Resource(
    group="tidegate.io",
    version="v1",
    kind="TagPolicy",
    plural="tagpolicies",
    singular="tagpolicy",
    type=TagPolicy,
    namespaced=True,
    short_names=("tagpol",),
    columns=(
        Column("Mode", lambda each, _now: each.spec.mode, "Enforce or Warn."),
        Column(
            "Streams",
            lambda each, _now: _listed(each.spec.streams, "<all>"),
            "Globs of the streams that it is for.",
        ),
        Column(
            "Immutable",
            lambda each, _now: _listed(each.spec.immutable, "<none>"),
            "Globs of the tags that stay.",
        ),
    ),
    strategy=Strategy(prepare=_prepare, validate=_validate),
)
