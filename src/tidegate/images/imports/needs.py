"""Which tags of a stream are to be imported now, and which again and again: decisions on values.

A tag that comes from another registry is imported once for each generation that it was wanted as
(image-api 9.1). That it failed counts too: it is not tried again until somebody changes the tag,
asks for an import, takes the stream's mark away, or has it scheduled.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tidegate.images.imports.planning import of_tag
from tidegate.images.kinds.group import REPOSITORY_CHECK
from tidegate.images.kinds.image_stream import (
    IMPORT_SUCCESS,
    ImageStream,
    TagEventCondition,
    TagReference,
)
from tidegate.kinds.durations import DurationInvalid, seconds_of
from tidegate.metastore.wanted_tags import WantedTag
from tidegate.oci.pull_spec import is_digest
from tidegate.remote.location import Location

IMPORT_INTERVAL = "tidegate.io/import-interval"
"""Annotation of a tag in the spec of a stream, or of a namespace for all of its scheduled tags:
seconds between looks, as `30s` or `1h`."""

_SPEC = msgspec.json.Decoder(TagReference)
_CONDITIONS = msgspec.json.Decoder(list[TagEventCondition])


@dataclass(frozen=True, slots=True)
class Need:
    """What of a stream is to be imported: some tags, and of a full import its repository."""

    tags: Sequence[str] = ()
    full: bool = False

    def __bool__(self) -> bool:
        return self.full or bool(self.tags)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A tag that is looked at again and again: where, and every how many seconds."""

    tag: str
    location: Location
    interval: float


def need(header: ImageStream, tags: Iterable[WantedTag]) -> Need:
    """What of a stream is to be imported now; `tags` are all of it, or those that changed."""
    importable = [each for each in tags if _importable(each) is not None]
    if not is_unseen(header):
        return Need(tuple(each.name for each in importable if _is_behind(each)))
    if header.spec.docker_image_repository:
        return Need(tuple(each.name for each in importable), full=True)
    again = [each.name for each in importable if _is_behind(each) or each.conditions is not None]
    return Need(tuple(again))


def is_unseen(header: ImageStream) -> bool:
    """Whether the stream was never imported, or somebody wants to have all of it looked at."""
    return not header.metadata.annotations.get(REPOSITORY_CHECK)


def schedule(
    tag: WantedTag, project: Mapping[str, str], usual: float, shortest: float
) -> Schedule | None:
    """When a tag is to be looked at; None for one that is not scheduled, or names its digest.

    `project` are the annotations of the namespace, `usual` what holds without any.
    """
    spec = _importable(tag)
    if spec is None or not spec.import_policy.scheduled:
        return None
    wanted = of_tag(spec)
    sought = None if wanted is None else wanted.sought
    if sought is None or is_digest(sought.reference):
        return None
    interval = interval_of(spec.annotations, project, usual, shortest)
    return Schedule(tag.name, sought.location, interval)


def interval_of(
    tag: Mapping[str, str], project: Mapping[str, str], usual: float, shortest: float
) -> float:
    """Seconds between looks: as the tag says, else its project, else as usual."""
    for annotations in (tag, project):
        try:
            return max(float(seconds_of(annotations.get(IMPORT_INTERVAL, ""))), shortest)
        except DurationInvalid:
            continue
    return max(usual, shortest)


def _importable(tag: WantedTag) -> TagReference | None:
    """What is wanted of a tag that comes from another registry; None of any other."""
    if tag.spec is None:
        return None
    spec = _SPEC.decode(tag.spec)
    return spec if of_tag(spec) is not None else None


def _is_behind(tag: WantedTag) -> bool:
    """Whether a tag was wanted otherwise since it was last seen to."""
    spec = _importable(tag)
    if spec is None:
        return False
    return spec.generation is None or spec.generation > _observed(tag)


def _observed(tag: WantedTag) -> int:
    """The generation that a tag was last seen to as, whatever came of it."""
    conditions = [] if tag.conditions is None else _CONDITIONS.decode(tag.conditions)
    said = next((each.generation for each in conditions if each.type == IMPORT_SUCCESS), 0)
    return max(tag.generation or 0, said)
