"""The Image of a manifest that this registry holds: what that and its configuration say.

Pure: bytes in, an Image out, whatever the bytes are. The manifest and the configuration stay
content; the Image carries neither as text.
"""

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.content import Described, described
from tidegate.images.kinds.group import (
    API_VERSION,
    ASCENDING,
    LAYERS_ORDER,
    MANAGED,
    MANIFEST_BLOB_STORED,
)
from tidegate.images.kinds.image import METADATA_VERSION, Image

__all__ = ["Described", "described", "image_of"]


def image_of(
    digest: str,
    media_type: str,
    content: bytes,
    config: bytes | None,
    reference: str,
    created: str = "",
    *,
    managed: bool = True,
) -> Image:
    """The Image of a manifest in this registry, which is pulled as `reference`.

    `created` is when it came, in RFC 3339: an index shows it as its age. One that is not `managed`
    has its blobs in another registry.
    """
    found = described(digest, media_type, content, config, created)
    annotations = {MANIFEST_BLOB_STORED: "true", LAYERS_ORDER: ASCENDING}
    return Image(
        api_version=API_VERSION,
        kind="Image",
        metadata=ObjectMeta(
            name=digest,
            annotations={MANAGED: "true", **annotations} if managed else annotations,
        ),
        docker_image_reference=reference,
        docker_image_metadata=found.metadata,
        docker_image_metadata_version=METADATA_VERSION,
        docker_image_layers=found.layers,
        docker_image_manifest_media_type=found.media_type,
        docker_image_manifests=found.manifests,
    )
