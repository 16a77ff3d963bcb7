"""What a project's TagPolicies say about a stream, a tag and an image: decisions on values alone.

Push, tag and import ask the same functions. They reach no store and know no HTTP; who asks has read
the policies in the transaction that writes. Tags that clients keep for what is attached to an image
(`sha256-….sig` of cosign, `sha256-…` of the referrers fallback) are of no release: no rule is about
them, or signing an image a second time would be refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from tidegate.kinds.automaton import Pattern, PatternInvalid
from tidegate.kinds.pattern import glob_of, pattern_of
from tidegate.kinds.tag_policy import ENFORCE, ENTRIES, POLICY_PLACES, TagPolicy

IMMUTABLE_TAGS = "tidegate.io/immutable-tags"
"""Annotation of a stream: "true" for all of its tags, or globs of tags separated by commas."""

_NUMBER = r"(0|[1-9]\d*)"
_MARK = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_MARKS = rf"{_MARK}(\.{_MARK})*"
_SEMVER = pattern_of(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_MARKS})?([+_][0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
"""Semantic Versioning 2.0.0, sections 2, 9 and 10. A tag cannot have a `+`: Helm writes `_`."""

_VALUES = 16
"""Different values of one label among the images of an index: each is matched in the push."""

_ATTACHED = re.compile(r"sha256-[0-9a-f]{64}(\.[a-z]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A key that an image has to carry, and what its value has to be like."""

    key: str
    value: Pattern | None


@dataclass(frozen=True, slots=True)
class TagRules:
    """What makes a tag good: any of these; without one every tag is."""

    pattern: Pattern | None
    semver: bool
    channels: frozenset[str]

    def allow(self, tag: str) -> bool:
        """Whether a tag is as one of these says."""
        if self.pattern is None and not self.semver and not self.channels:
            return True
        return (
            tag in self.channels
            or (self.pattern is not None and self.pattern.matches(tag))
            or (self.semver and _SEMVER.matches(tag))
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A TagPolicy, compiled; make it with `policy_of`."""

    name: str
    enforced: bool
    streams: tuple[Pattern, ...]  # none: every one
    immutable: tuple[Pattern, ...]
    stream_pattern: Pattern | None
    tags: TagRules
    labels: tuple[Requirement, ...]
    annotations: tuple[Requirement, ...]
    places: int = 0  # of the patterns that each tag is matched with

    def covers(self, stream: str) -> bool:
        """Whether this is about a stream of the project."""
        return not self.streams or _any(self.streams, stream)

    def __str__(self) -> str:
        return f'TagPolicy "{self.name}"'


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be pushed or tagged, in a project.

    Without a tag (a push by digest) only the stream's name is judged. `labels` are of the image's
    config; None is unknown (an image that is not fetched yet) or nothing that has any (a chart, an
    SBOM), and is not judged. For an index `children` are the labels of its images. `annotations`
    are of the manifest or index itself; None is unknown.
    """

    stream: str
    tag: str = ""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    children: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say, in sentences: who enforces refuses, who warns lets it pass."""

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@lru_cache(maxsize=256)  # every push asks, and policies change rarely
def policy_of(body: bytes) -> Policy:
    """Read a stored TagPolicy, compiled once for each version of it.

    `PatternInvalid` is for one that came past validation: what it meant is not known, so nobody
    may take it for a policy without rules.
    """
    policy = msgspec.json.decode(body, type=TagPolicy)
    spec = policy.spec
    streams, tags, required = spec.rules()
    of_streams, immutable = map(glob_of, spec.streams), map(glob_of, spec.immutable)
    of_stream, of_tag = _pattern(streams.pattern), _pattern(tags.pattern)
    found = Policy(
        name=policy.metadata.name,
        enforced=spec.mode in ("", ENFORCE),
        streams=tuple(of_streams),
        immutable=tuple(immutable),
        stream_pattern=of_stream,
        tags=TagRules(of_tag, tags.semver, frozenset(tags.channels)),
        labels=tuple(map(_requirement, required.labels)),
        annotations=tuple(map(_requirement, required.annotations)),
    )
    matched = (*found.streams, *found.immutable, of_stream, of_tag)
    return replace(found, places=sum(len(each.symbols) for each in matched if each is not None))


def _pattern(text: str) -> Pattern | None:
    return pattern_of(text) if text else None


def _requirement(text: str) -> Requirement:
    key, _, pattern = text.partition("=")
    return Requirement(key, _pattern(pattern))


def faults(
    policies: Sequence[Policy], asked: Asked, lacks: Sequence[Sequence[str]] | None = None
) -> Verdict:
    """What breaks the rules, each as a sentence that names the policy and how to mend it.

    `lacks` is what `lacking` said of the image, for who asks about many tags of one.
    """
    refusals: list[str] = []
    warnings: list[str] = []
    if is_attached(asked.tag):
        return Verdict()
    if lacks is None:
        lacks = lacking(policies, asked)
    for policy, lack in zip(policies, lacks, strict=True):
        if policy.covers(asked.stream):
            said = [*_misnamed(policy, asked), *(lack if asked.tag else ())]
            found = [f"{policy}: {each}" for each in said]
            (refusals if policy.enforced else warnings).extend(found)
    return Verdict(tuple(refusals), tuple(warnings))


def lacking(policies: Sequence[Policy], asked: Asked) -> list[list[str]]:
    """What the image lacks for each of the policies, whatever the tag is that is to name it."""
    labels = asked.children or ([] if asked.labels is None else [asked.labels])
    annotations = [] if asked.annotations is None else [asked.annotations]
    found: list[list[str]] = []
    for policy in policies:
        lacks: list[str] = []
        for each in policy.labels:
            lacks += _lacking(each, labels, "label", "build it with --label")
        for each in policy.annotations:
            lacks += _lacking(each, annotations, "annotation", "add it with --annotation")
        found.append(lacks)
    return found


def is_attached(tag: str) -> bool:
    """Whether a tag is one that clients keep for what is attached to an image."""
    return _ATTACHED.fullmatch(tag) is not None


def _misnamed(policy: Policy, asked: Asked) -> list[str]:
    found = []
    if policy.stream_pattern is not None and not policy.stream_pattern.matches(asked.stream):
        found.append(
            f"stream {asked.stream} is not named as {policy.stream_pattern.text} says; "
            "use a name that is"
        )
    if asked.tag and not policy.tags.allow(asked.tag):
        found.append(f"tag {asked.tag} is not allowed; use {_allowed(policy.tags)}")
    return found


def _allowed(rules: TagRules) -> str:
    ways = []
    if rules.semver:
        ways.append("a version (1.2.3, v1.2.3-rc.1)")
    if rules.channels:
        ways.append("one of " + ", ".join(sorted(rules.channels)))
    if rules.pattern is not None:
        ways.append(f"a tag as {rules.pattern.text} says")
    return ", or ".join(ways)


def _lacking(
    requirement: Requirement, carried: Sequence[Mapping[str, str]], what: str, advice: str
) -> list[str]:
    """What is wrong with one key of the image, or of the images of an index."""
    key, pattern = requirement.key, requirement.value
    values = {each.get(key) for each in carried}
    if None in values:
        which = "the image" if len(carried) == 1 else "an image of the index"
        return [f"{which} has no {what} {key}; {advice} {key}=…"]
    present = sorted(each for each in values if each is not None)
    if pattern is None:
        return []
    if len(present) > _VALUES:
        return [f"the images of the index have more than {_VALUES} values of the {what} {key}"]
    return [
        f"the image's {what} {key} is {_short(each)!r}, not as {pattern.text} says; "
        f"{advice} {key}=…"
        for each in present
        if not pattern.matches(each)
    ]


def _short(value: str) -> str:
    return value if len(value) <= 64 else value[:63] + "…"


def immutable_rule(
    policies: Sequence[Policy], stream_annotations: Mapping[str, str], stream: str, tag: str
) -> str | None:
    """Which rule keeps a tag from being moved and deleted, once it is set.

    Setting a tag to the very image that it has moves nothing: who asks looks at that first.
    """
    if is_attached(tag):
        return None
    for policy in policies:
        if policy.enforced and _keeps(policy, stream, tag):
            return str(policy)
    if _any(_annotated(stream_annotations.get(IMMUTABLE_TAGS, "")), tag):
        return f"annotation {IMMUTABLE_TAGS} of the stream"
    return None


def immutable_warnings(policies: Sequence[Policy], stream: str, tag: str) -> tuple[str, ...]:
    """What to tell who moves or deletes a tag that policies would keep if they were enforced."""
    if is_attached(tag):
        return ()
    return tuple(
        f"{policy}: tag {tag} is to be immutable; use another tag"
        for policy in policies
        if not policy.enforced and _keeps(policy, stream, tag)
    )


def annotation_fault(text: str) -> str | None:
    """What is wrong with a value of `IMMUTABLE_TAGS`, for the validation of streams."""
    try:
        _globs(text)
    except PatternInvalid as error:
        return f'must be "true", or globs of tags separated by commas: {error}'
    return None


def _keeps(policy: Policy, stream: str, tag: str) -> bool:
    return policy.covers(stream) and _any(policy.immutable, tag)


def _any(patterns: Sequence[Pattern], text: str) -> bool:
    return any(each.matches(text) for each in patterns)


@lru_cache(maxsize=256)
def _annotated(text: str) -> tuple[Pattern, ...]:
    """What cannot be read, having come past validation, keeps every tag rather than none."""
    try:
        return _globs(text)
    except PatternInvalid:
        return (glob_of("*"),)


def _globs(text: str) -> tuple[Pattern, ...]:
    if text in ("", "false"):
        return ()
    if text == "true":
        return (glob_of("*"),)
    globs = [each.strip() for each in text.split(",") if each.strip()]
    if len(globs) > ENTRIES:
        raise PatternInvalid(f"may not have more than {ENTRIES} entries")
    found = tuple(map(glob_of, globs))
    if sum(len(each.symbols) for each in found) > POLICY_PLACES:
        raise PatternInvalid(f"may not have more than {POLICY_PLACES} characters altogether")
    return found
