"""ImageStreamMapping: points a tag of a stream to an image, which it brings with it.

How a registry beside the API reports a push. Its name is the stream's.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, required
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.names import path_segment_faults
from tidegate.apimachinery.resource import Resource, Strategy
from tidegate.images.kinds.group import GROUP, VERSION
from tidegate.images.kinds.image import METADATA_VERSION, Image, image_faults


class ImageStreamMapping(Object):
    """ImageStreamMapping makes an image and points a tag of a stream to it.

    Its name is the stream's. The answer is only whether it worked.
    """

    image: Annotated[Image, doc("The image.")] = field(default_factory=Image)
    tag: Annotated[str, doc("The tag that is to point to it.")] = field(default_factory=str)


def _name_fault(name: str) -> str | None:
    return next(iter(path_segment_faults(name)), None)


def _prepare(new: ImageStreamMapping, _old: ImageStreamMapping | None) -> None:
    """Signatures have an endpoint of their own."""
    new.image.signatures = []
    version = new.image.docker_image_metadata_version
    new.image.docker_image_metadata_version = version or METADATA_VERSION


def mapping_faults(mapping: ImageStreamMapping) -> list[FieldError]:
    """What is wrong with a mapping whose image has its pull spec by now."""
    return [
        *(() if mapping.tag else (required("tag"),)),
        *image_faults(mapping.image, "image."),
    ]


def _validate(new: ImageStreamMapping, _old: ImageStreamMapping | None) -> Sequence[FieldError]:
    return () if new.tag else (required("tag"),)


IMAGE_STREAM_MAPPINGS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageStreamMapping",
    plural="imagestreammappings",
    type=ImageStreamMapping,
    namespaced=True,
    verbs=("create",),
    strategy=Strategy(name_fault=_name_fault, prepare=_prepare, validate=_validate),
)
