"""ImageTag: one tag of a stream with its spec and its history side by side.

Unlike an ImageStreamTag it exists for every tag, also for one that points to no image yet.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.resource import Cell, Column, Resource, Strategy
from tidegate.images.kinds.durations import ago
from tidegate.images.kinds.group import GROUP, VERSION
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream import IMPORT_SUCCESS, NamedTagEventList, TagEvent
from tidegate.images.kinds.image_stream_tag import TAG_VERBS, split_tag_name, tag_name_fault
from tidegate.images.kinds.tag_reference import (
    DOCKER_IMAGE,
    STREAM_IMAGE,
    STREAM_TAG,
    TagReference,
    default_tag,
    tag_faults,
)


class ImageTag(Object):
    """ImageTag is one tag of an image stream: what it is to point to, and what it pointed to.

    Its name is the stream's, ':', and the tag. Writing its spec writes the stream.
    """

    spec: Annotated[
        TagReference | None, doc("What the tag is to point to; none if it was only pushed.")
    ] = None
    status: Annotated[
        NamedTagEventList | None, doc("What it has pointed to; set by the server.")
    ] = None
    image: Annotated[Image | None, doc("The image that it points to; not in lists.")] = None


class _Shown(NamedTuple):
    """The cells Spec and Status."""

    spec: str
    status: str


def shown(tag: ImageTag) -> _Shown:
    """What a table says of a tag: what sort it is, and where its image comes from or why not."""
    spec, source, fault = _of_spec(tag.spec)
    if tag.status is None:
        return _Shown(spec, fault or source)
    wanted = (tag.spec.generation if tag.spec is not None else None) or 0
    if tag.status.items:
        event = tag.status.items[0]
        if 0 < event.generation < wanted:
            fault = "Importing"
        else:
            source = _of_event(event) or source
        if (source and not spec) or (spec != "Track" and 0 < wanted < event.generation):
            spec = "Push"
    for each in tag.status.conditions:
        if each.type == IMPORT_SUCCESS and each.status == "False":
            fault = f"ImportFailed ({each.reason})"
    return _Shown(spec, fault or source)


def _of_event(event: TagEvent) -> str:
    return f"image/{event.image}" if event.image else event.docker_image_reference


def _of_spec(spec: TagReference | None) -> tuple[str, str, str]:
    """The sort of a tag, what it comes from, and what is wrong with that."""
    if spec is None or spec.from_ is None:
        return "", "", ""
    sort = "Ref" if spec.reference else "Tag"
    if spec.import_policy.scheduled:
        sort = "Scheduled"
    kind, namespace, name = spec.from_.kind, spec.from_.namespace, spec.from_.name
    if kind == DOCKER_IMAGE:
        return sort, name, ""
    if kind == STREAM_IMAGE:
        _, at, image = name.partition("@")
        return (sort, f"image/{image}", "") if at else (sort, "", "InvalidRefName")
    if kind == STREAM_TAG:
        source = f"istag {namespace}/{name}" if namespace else f"istag/{name}"
        return (sort if ":" in name else "Track"), source, ""
    return sort, "", "InvalidRefKind"


def _history(tag: ImageTag, _now: float) -> Cell:
    return (len(tag.status.items) if tag.status is not None else 0) or None


def _updated(tag: ImageTag, now: float) -> str:
    if tag.status is None:
        return ""
    times = [each.last_transition_time for each in tag.status.conditions]
    times += [each.created for each in tag.status.items[:1]]
    return ago(max(times, default=""), now)


def _prepare(new: ImageTag, _old: ImageTag | None) -> None:
    if new.spec is not None:
        default_tag(new.spec)


def _validate(new: ImageTag, old: ImageTag | None) -> Sequence[FieldError]:
    if new.spec is None:
        if old is None:
            return [required("spec", "spec is a required field during creation")]
        return ()
    faults = tag_faults(new.spec, "spec")
    split = split_tag_name(new.metadata.name)
    if split is not None and new.spec.name != split[1]:
        faults.append(invalid("spec.name", new.spec.name, "must match image tag name"))
    return faults


IMAGE_TAGS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageTag",
    plural="imagetags",
    type=ImageTag,
    namespaced=True,
    verbs=TAG_VERBS,
    short_names=("itag",),
    age=False,
    columns=(
        Column("Spec", lambda each, _now: shown(each).spec, "What sort of tag it is."),
        Column("Status", lambda each, _now: shown(each).status, "Where its image comes from."),
        Column("History", _history, "How many images it has pointed to.", type="number"),
        Column("Updated", _updated, "When the tag last changed."),
    ),
    strategy=Strategy(
        name_fault=tag_name_fault, prepare=_prepare, validate=_validate, update_creates=True
    ),
)
