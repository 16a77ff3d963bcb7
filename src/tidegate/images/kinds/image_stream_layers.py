"""ImageStreamLayers: what content a stream refers to, for pruners and the registry's own checks."""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import Object, Wire, doc


class ImageLayerData(Wire, omit_defaults=False):
    """A blob of a stream."""

    size: Annotated[int | None, doc("Bytes of the blob; null when that is not known.")] = None
    media_type: Annotated[str, doc("Media type of the blob.")] = ""


class ImageBlobReferences(Wire, omit_defaults=False):
    """The blobs of an image."""

    image_missing: Annotated[
        bool, doc("Whether the Image has gone; then nothing else is known.")
    ] = False
    layers: Annotated[list[str], doc("Digests of its layers, the base first.")] = field(
        default_factory=list
    )
    config: Annotated[str | None, doc("Digest of its configuration.")] = None
    manifests: Annotated[list[str], doc("Digests of the manifests of an index.")] = field(
        default_factory=list
    )


class ImageStreamLayers(Object, omit_defaults=False):
    """ImageStreamLayers lists the blobs and the images that a stream refers to."""

    blobs: Annotated[dict[str, ImageLayerData], doc("The blobs, by digest.")] = field(
        default_factory=dict
    )
    images: Annotated[dict[str, ImageBlobReferences], doc("The images, by name.")] = field(
        default_factory=dict
    )
