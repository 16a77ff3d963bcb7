"""What a write of a whole ImageStream does to it: decisions on values, before the unit of work.

A plan is the difference between what was shown to the writer and what she wrote, so that what the
rendering left out stays as it is. Users write what is wanted, whoever may write the status writes
what happened.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.images.kinds.image_stream import (
    ImageStream,
    ImageStreamStatus,
    NamedTagEventList,
    TagEvent,
    TagEventCondition,
    TagReference,
    prepare_stream,
)
from tidegate.images.kinds.tag_reference import LEGACY, STREAM_IMAGE, STREAM_TAG
from tidegate.images.streams.generations import is_moved, kept, settled
from tidegate.images.streams.refusals import FORM
from tidegate.images.streams.rendering import OMITTED
from tidegate.images.streams.resolving import foreign
from tidegate.images.tag_names import tag_faults
from tidegate.oci.errors import OciError
from tidegate.oci.name import RepositoryName

MANAGERS_LIMIT = 256 * 1024
"""Bytes that say who manages which field. They are in the header, which every push writes anew;
of a stream with more tags than some thousand nobody is the manager."""


CHANGES = 10_000
"""Tags of which a write may want something else: they change in one unit, for which others wait."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a tag from now on; `moved` when its source is to be looked at."""

    tag: str
    spec: TagReference | None
    moved: bool = False
    is_new: bool = False

    @property
    def source(self) -> str:
        """What the tag is to come from, as it was written."""
        return "" if self.spec is None or self.spec.from_ is None else self.spec.from_.name


class Happened(NamedTuple):
    """An event as clients see it, and so as they name it."""

    image: str
    reference: str
    created: str


@dataclass(frozen=True, slots=True)
class Past:
    """What becomes of a tag's history: taken out of it, put before it (oldest first)."""

    tag: str
    removed: Counter[Happened]
    added: Sequence[TagEvent]
    conditions: list[TagEventCondition] | None  # None: as they are


@dataclass(frozen=True, slots=True)
class Plan:
    """The header as it is to be, and what becomes of tags."""

    header: ImageStream
    new: bool
    wishes: list[Wish] = field(default_factory=list)
    pasts: list[Past] = field(default_factory=list)

    @property
    def name(self) -> RepositoryName:
        """The stream's repository."""
        return name_of(self.header)


def name_of(stream: ImageStream) -> RepositoryName:
    """The repository of a stream."""
    return RepositoryName(f"{stream.metadata.namespace}/{stream.metadata.name}")


def prepare_spec(new: ImageStream, old: ImageStream | None, mode: str = LEGACY) -> None:
    """Put back what users may not write: the status, generations of tags, what we annotate.

    `mode` is the import mode of new tags that say none.
    """
    prepare_stream(new, old, mode)
    if old is None:
        new.status = ImageStreamStatus()
        _settle(new, {}, 1)
    else:
        new.status = old.status
        before = {each.name: each for each in old.spec.tags}
        new.spec.tags = [kept(before.get(each.name), each) for each in new.spec.tags]
        grown = new.spec != old.spec
        _settle(new, before, old.metadata.generation + grown)
    _annotate_as(new, old)


def _settle(new: ImageStream, before: dict[str, TagReference], generation: int) -> None:
    namespace = new.metadata.namespace
    new.spec.tags = [
        settled(before.get(each.name), each, namespace, generation) for each in new.spec.tags
    ]


def prepare_status(new: ImageStream, old: ImageStream | None) -> None:
    """Put back what is not for writers of the status; a new event without generation gets one."""
    if old is None:
        return
    new.spec = old.spec
    new.metadata.generation = old.metadata.generation
    new.status.docker_image_repository = old.status.docker_image_repository
    public = old.status.public_docker_image_repository
    new.status.public_docker_image_repository = public
    by_tag = {each.tag: each for each in new.status.tags if each.items or each.conditions}
    new.status.tags = [by_tag[tag] for tag in sorted(by_tag)]
    before = {each.tag: each for each in old.status.tags}
    specs = {each.name: each for each in old.spec.tags}
    for history in new.status.tags:
        if history.items and not history.items[0].generation:
            changed = _is_changed(before.get(history.tag), history.items[0])
            spec = specs.get(history.tag) if changed else None
            generation = old.metadata.generation
            if spec is not None and spec.generation is not None:
                generation = spec.generation
            history.items[0].generation = generation
    _annotate_as(new, old)


def _is_changed(before: NamedTagEventList | None, event: TagEvent) -> bool:
    """Whether a tag names something else than it did; one that named nothing does not count."""
    if before is None or not before.items:
        return False
    return happened(before.items[0]) != happened(event)


def _annotate_as(new: ImageStream, old: ImageStream | None) -> None:
    """What is said of omissions is the server's to say: it changes nothing."""
    said = {} if old is None else old.metadata.annotations
    annotations = {
        key: value for key, value in new.metadata.annotations.items() if key not in OMITTED
    }
    annotations |= {key: said[key] for key in OMITTED if key in said}
    new.metadata.annotations = annotations
    if len(msgspec.json.encode(new.metadata.managed_fields)) > MANAGERS_LIMIT:
        new.metadata.managed_fields = []


def plan_spec(new: ImageStream, old: ImageStream | None) -> Plan:
    """What a prepared write by a user does; of the past nothing changes."""
    before = {} if old is None else {each.name: each for each in old.spec.tags}
    after = {each.name: each for each in new.spec.tags}
    namespace = new.metadata.namespace
    wishes = [Wish(tag, None) for tag in before if tag not in after]
    for tag, spec in after.items():
        if spec != before.get(tag):
            moved = is_moved(before.get(tag), spec, namespace)
            wishes.append(Wish(tag, spec, moved, is_new=tag not in before))
    return Plan(_header(new), old is None, wishes)


def plan_status(new: ImageStream, old: ImageStream) -> Plan:
    """What a prepared write of the status does; what is wanted stays."""
    before = {each.tag: each for each in old.status.tags}
    after = {each.tag: each for each in new.status.tags}
    pasts = []
    for tag in sorted(before.keys() | after.keys()):
        nothing = NamedTagEventList(tag=tag)
        was, is_ = before.get(tag, nothing), after.get(tag, nothing)
        if was != is_:
            pasts.append(_past(was, is_))
    return Plan(_header(new), False, pasts=pasts)


def _past(was: NamedTagEventList, is_: NamedTagEventList) -> Past:
    old = Counter(map(happened, was.items))
    left = old.copy()
    added: list[TagEvent] = []
    for event in is_.items:
        if left[happened(event)]:
            left[happened(event)] -= 1
        else:
            added.append(event)
    if not added and is_.items and was.items:
        newest, before = is_.items[0], was.items[0]
        if happened(newest) == happened(before) and newest.generation != before.generation:
            added.append(newest)  # the same event: its generation is changed in its place
    conditions = None if is_.conditions == was.conditions else is_.conditions
    return Past(is_.tag, +left, added[::-1], conditions)


def happened(event: TagEvent) -> Happened:
    """What an event is told apart by."""
    return Happened(event.image, event.docker_image_reference, event.created)


def _header(stream: ImageStream) -> ImageStream:
    """What is stored of a stream as a document."""
    replace = msgspec.structs.replace
    annotations = {
        key: value for key, value in stream.metadata.annotations.items() if key not in OMITTED
    }
    return replace(
        stream,
        metadata=replace(stream.metadata, annotations=annotations),
        spec=replace(stream.spec, tags=[]),
        status=ImageStreamStatus(),
    )


def malformed(plan: Plan) -> list[FieldError]:
    """Tags whose name or source cannot be one, or that are too many at once."""
    if len(plan.wishes) > CHANGES:
        why = f"a write may change {CHANGES} tags: do it in several, or tag by tag"
        return [invalid("spec.tags", len(plan.wishes), why)]
    faults: list[FieldError] = []
    for wish in plan.wishes:
        if wish.is_new:
            faults += tag_faults(wish.tag, "spec.tags.name")
        if wish.moved and wish.spec is not None and not _is_formed(plan.name, wish.spec):
            faults.append(invalid(f"spec.tags[{wish.tag}].from.name", wish.source, FORM))
    return faults


def _is_formed(name: RepositoryName, spec: TagReference) -> bool:
    origin = spec.from_
    separator = {STREAM_TAG: ":", STREAM_IMAGE: "@"}.get(origin.kind) if origin else None
    if origin is None or separator is None:
        return True
    parts = origin.name.split(separator)
    stream = parts[0] if len(parts) == 2 else name.stream
    try:
        RepositoryName.parse(f"{origin.namespace or name.project}/{stream}")
    except OciError:
        return False
    return len(parts) <= 2 and all(parts)


def foreign_sources(plan: Plan) -> dict[RepositoryName, list[str]]:
    """Streams of other namespaces that moved tags come from, each with those tags."""
    found: dict[RepositoryName, list[str]] = {}
    for wish in plan.wishes:
        source = foreign(plan.name, wish.spec) if wish.moved and wish.spec is not None else None
        if source is not None:
            found.setdefault(source, []).append(wish.tag)
    return found
