"""ImageStreamTag: one tag of a stream as an object, with the image that it points to.

Its name is `STREAM:TAG`. Nothing of it is stored as such.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.images.kinds.durations import ago
from tidegate.images.kinds.group import GROUP, VERSION
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream import ImageLookupPolicy, TagEventCondition
from tidegate.images.kinds.tag_history import TagHistory, TagRollback, TagUndelete
from tidegate.images.kinds.tag_reference import TagReference, default_tag, tag_faults

TAG_VERBS = ("create", "delete", "get", "list", "patch", "update")
"""What can be done with a tag; to watch, one watches its stream."""


class ImageStreamTag(Object):
    """ImageStreamTag is one tag of an image stream, with the image that it points to.

    Its name is the stream's, ':', and the tag. Writing it writes the stream.
    """

    tag: Annotated[
        TagReference | None, doc("What the tag is to point to; none if it was only pushed.")
    ] = None
    generation: Annotated[int, doc("The generation of what it points to.")] = field(
        default_factory=int
    )
    lookup_policy: Annotated[
        ImageLookupPolicy, doc("Where the stream's name means its images.")
    ] = field(default_factory=ImageLookupPolicy)
    conditions: Annotated[list[TagEventCondition], doc("What is to be said of the tag.")] = field(
        default_factory=list
    )
    image: Annotated[Image, doc("The image that the tag points to.")] = field(default_factory=Image)


def split_tag_name(name: str) -> tuple[str, str] | None:
    """The stream and the tag in `STREAM:TAG`; None for anything else."""
    stream, _, tag = name.partition(":")
    return (stream, tag) if stream and tag and ":" not in tag else None


def tag_name_fault(name: str) -> str | None:
    if split_tag_name(name) is None:
        return "must be of the form <stream_name>:<tag>"
    if "/" in name:
        return "may not contain '/'"
    return None if name.isprintable() else "may not contain control characters"


def _prepare(new: ImageStreamTag, _old: ImageStreamTag | None) -> None:
    if new.tag is not None:
        default_tag(new.tag)


def _validate(new: ImageStreamTag, _old: ImageStreamTag | None) -> Sequence[FieldError]:
    if new.tag is None:
        return ()
    faults = tag_faults(new.tag, "tag")
    if new.tag.annotations and new.tag.annotations != new.metadata.annotations:
        why = "tag annotations must not be provided or must be equal to the object meta annotations"
        faults.append(invalid("tag.annotations", "<map>", why))
    return faults


IMAGE_STREAM_TAGS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageStreamTag",
    plural="imagestreamtags",
    type=ImageStreamTag,
    namespaced=True,
    verbs=TAG_VERBS,
    short_names=("istag",),
    age=False,
    columns=(
        Column(
            "Image Reference",
            lambda each, _now: each.image.docker_image_reference,
            "The pull spec of the image.",
        ),
        Column(
            "Updated",
            lambda each, now: ago(each.metadata.creation_timestamp, now),
            "When the tag last changed.",
        ),
        Column(
            "Image Name",
            lambda each, _now: each.image.metadata.name,
            "The image that the tag points to.",
            priority=1,
        ),
    ),
    strategy=Strategy(
        name_fault=tag_name_fault, prepare=_prepare, validate=_validate, update_creates=True
    ),
    subresources={
        "history": Subresource(
            verbs=("get",),
            kind="TagHistory",
            type=TagHistory,
            group=GROUP,
            version=VERSION,
            paged=True,
        ),
        "rollback": Subresource(
            verbs=("create",), kind="TagRollback", type=TagRollback, group=GROUP, version=VERSION
        ),
        "undelete": Subresource(
            verbs=("create",), kind="TagUndelete", type=TagUndelete, group=GROUP, version=VERSION
        ),
    },
)
