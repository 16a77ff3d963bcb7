"""ImageStreamImage: an image as one of a stream. Its name is `STREAM@DIGEST`; it is only read."""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.images.kinds.durations import ago
from tidegate.images.kinds.group import GROUP, VERSION
from tidegate.images.kinds.image import Image


class ImageStreamImage(Object):
    """ImageStreamImage is an image that a stream refers to or referred to.

    Its name is the stream's, '@', and the name of the image or how that begins.
    """

    image: Annotated[Image, doc("The image.")] = field(default_factory=Image)


def split_image_name(name: str) -> tuple[str, str] | None:
    """The stream and the image in `STREAM@IMAGE`; None for anything else."""
    stream, _, image = name.partition("@")
    return (stream, image) if stream and image and "@" not in image else None


IMAGE_STREAM_IMAGES = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageStreamImage",
    plural="imagestreamimages",
    type=ImageStreamImage,
    namespaced=True,
    verbs=("get",),
    short_names=("isimage",),
    age=False,
    columns=(
        Column(
            "Updated",
            lambda each, now: ago(each.metadata.creation_timestamp, now),
            "When the image was made.",
        ),
        Column(
            "Image Reference",
            lambda each, _now: each.image.docker_image_reference,
            "The pull spec of the image.",
            priority=1,
        ),
        Column(
            "Image Name",
            lambda each, _now: each.image.metadata.name,
            "The image.",
            priority=1,
        ),
    ),
    strategy=Strategy(name_fault=lambda _name: None),
)
