"""Images of what was fetched: what the API says of manifests of another registry.

Bytes in, values out. A reference is the pull spec as it was written, with the digest in place of a
tag: `docker.io/x:1` becomes `docker.io/x@sha256:…`.
"""

from collections.abc import Mapping

import msgspec

from tidegate.images.docker_image import image_of
from tidegate.images.imports.fetched import Fetched
from tidegate.images.kinds.image import Image
from tidegate.oci.digest import Digest
from tidegate.oci.pull_spec import PullSpec

Images = Mapping[Digest, Image]


def pull_spec(source: PullSpec, digest: str) -> str:
    """How an image is pulled that was found where `source` says."""
    return source.repository().with_id(digest).exact()


def images_of(fetched: Fetched, source: PullSpec, created: str) -> Images:
    """An Image of every manifest; `created` is now, in RFC 3339."""
    return {each.digest: image_for(each, source, created) for each in fetched.members()}


def image_for(fetched: Fetched, source: PullSpec, created: str) -> Image:
    """The Image of one manifest."""
    image = image_of(
        str(fetched.digest),
        fetched.media_type,
        fetched.content,
        fetched.config,
        pull_spec(source, fetched.digest),
        created,
        managed=False,
    )
    image.metadata.creation_timestamp = created
    if fetched.sizes:
        _complete(image, fetched.sizes)
    return image


def _complete(image: Image, sizes: Mapping[Digest, int]) -> None:
    """Add the sizes of layers that the manifest does not tell."""
    image.docker_image_layers = [
        msgspec.structs.replace(each, size=each.size or sizes.get(Digest(each.name), 0))
        for each in image.docker_image_layers
    ]
    said = image.docker_image_metadata.get("Size", 0)
    image.docker_image_metadata["Size"] = said + sum(sizes.values())


def with_texts(image: Image, fetched: Fetched) -> Image:
    """The image with its manifest and configuration, for who asked for them."""
    config = fetched.config or b""
    return msgspec.structs.replace(
        image,
        docker_image_manifest=fetched.content.decode("utf-8", "replace"),
        docker_image_config=config.decode("utf-8", "replace"),
    )
