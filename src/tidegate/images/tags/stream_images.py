"""imagestreamimages: an image as one of a stream, by its digest or how that begins."""

import re

import msgspec

from tidegate.apimachinery.errors import UpdateConflict, missing
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import Call
from tidegate.images.kinds.group import API_VERSION, MANAGED
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream_image import IMAGE_STREAM_IMAGES, ImageStreamImage
from tidegate.images.referrers import show_referrers
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.resolving import ALGORITHM
from tidegate.images.tags.names import image_name
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.rendering import blank
from tidegate.metastore import origins, tag_past
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid
from tidegate.remote.location import Location

_PART = re.compile(r"([a-z0-9+._-]+:)?[a-zA-Z0-9=_-]+", re.ASCII)


class ImageStreamImageStorage:
    """Reads alone: images that tags of the stream name or named, and those pushed without a tag."""

    def __init__(self, reads: Reads, hosts: Hosts) -> None:
        self._reads = reads
        self._hosts = hosts

    async def get(self, call: Call, name: str) -> bytes:
        """See `storage.Getter`; `Conflict` where several images begin so."""
        resource = IMAGE_STREAM_IMAGES.qualified
        stream, part = image_name(call.namespace, name)
        header = await self._reads.header(stream)
        if header is None:
            raise missing(resource, stream.stream)
        image = await self._reads.image(await self._digest(stream, part, name))
        if image is None:
            raise missing(resource, name)
        blank(image)
        image.docker_image_reference = await self._reference(stream, image)
        await show_referrers(self._reads.db, stream, image)
        found = ImageStreamImage(
            api_version=API_VERSION,
            kind="ImageStreamImage",
            metadata=ObjectMeta(
                name=name,
                namespace=call.namespace,
                annotations=header.metadata.annotations,
                creation_timestamp=image.metadata.creation_timestamp,
            ),
            image=image,
        )
        return msgspec.json.encode(found)

    async def _reference(self, stream: RepositoryName, image: Image) -> str:
        """How to pull an image of the stream.

        The Image itself names where it was found first, which others may not know of.
        """
        name, said = image.metadata.name, image.docker_image_reference
        if image.metadata.annotations.get(MANAGED) == "true":
            return self._hosts.shown(f"/{stream}@{name}")
        origin = await origins.of_manifest(self._reads.db, stream, name)
        if origin is None or _repository(said) == origin.repository:
            return said
        return f"{origin.repository}@{name}"

    async def _digest(self, stream: RepositoryName, part: str, name: str) -> str:
        resource = IMAGE_STREAM_IMAGES.qualified
        if _PART.fullmatch(part) is None:
            raise missing(resource, name)
        number = await self._reads.number(stream)
        if number is None:
            raise missing(resource, name)
        start = part if ":" in part else ALGORITHM + part
        found = await tag_past.images_beginning(self._reads.db, number, start, 2)
        if not found:
            raise missing(resource, name)
        if len(found) > 1 and found[0] != start:
            text = f'{resource} "{name}": multiple images match the prefix "{part}"'
            raise UpdateConflict(text, resource=resource, name=name)
        return found[0]


def _repository(reference: str) -> str:
    try:
        return str(Location.of(PullSpec.parse(reference)))
    except PullSpecInvalid:
        return ""
