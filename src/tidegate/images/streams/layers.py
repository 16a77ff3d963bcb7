"""imagestreams/layers: the blobs and the images of a stream (image-api 8.3).

The images are those of the shown histories and all that the repository holds, so that also what
was pushed without a tag is there, and the children of an index.
"""

from collections.abc import Sequence

import msgspec

from tidegate.apimachinery.documents.beside import Beside
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_stream_layers import (
    ImageBlobReferences,
    ImageLayerData,
    ImageStreamLayers,
)
from tidegate.images.streams.rendering import SHOWN_BYTES
from tidegate.images.streams.storage import Streams
from tidegate.metastore import holdings
from tidegate.metastore.document_rows import find
from tidegate.metastore.holdings import Held
from tidegate.oci.errors import OciError
from tidegate.oci.manifest import Manifest, parse_manifest
from tidegate.oci.name import RepositoryName

IMAGES_OMITTED = "tidegate.io/images-omitted"
"""Annotation: how many images the object leaves out."""

_REFERENCE_BYTES = 90  # a digest in quotes, and what stands around it
_BLOB_BYTES = 200
_WAITING = 256 * 1024 * 1024


class Layers:
    """The object as it grows; `is_full` when it has all that is shown."""

    def __init__(self) -> None:
        self.blobs: dict[str, ImageLayerData] = {}
        self.images: dict[str, ImageBlobReferences] = {}
        self._room = SHOWN_BYTES

    @property
    def is_full(self) -> bool:
        return self._room <= 0

    def add(self, digest: str, manifest: Manifest) -> None:
        """Add what a manifest says."""
        references = ImageBlobReferences(
            layers=[str(each.digest) for each in manifest.layers],
            config=None if manifest.config is None else str(manifest.config.digest),
            manifests=[str(each.digest) for each in manifest.manifests],
        )
        self._image(digest, references)
        self._blob(digest, None, manifest.media_type)
        for each in (*manifest.layers, *((manifest.config,) if manifest.config else ())):
            self._blob(each.digest, each.size, each.media_type)

    def add_image(self, image: Image) -> None:
        """Add what an Image says of content that is in another registry."""
        references = ImageBlobReferences(
            layers=[each.name for each in image.docker_image_layers],
            manifests=[each.digest for each in image.docker_image_manifests],
        )
        self._image(image.metadata.name, references)
        self._blob(image.metadata.name, None, image.docker_image_manifest_media_type)
        for each in image.docker_image_layers:
            self._blob(each.name, each.size, each.media_type)

    def add_missing(self, digest: str) -> None:
        """Add an image of which nothing is known."""
        self._image(digest, ImageBlobReferences(image_missing=True))

    def add_all(self, held: Sequence[Held]) -> list[str]:
        """Add images as long as there is room; those whose manifest is not here are given back."""
        unknown = []
        for each in held:
            if self.is_full:
                break
            manifest = _manifest(each)
            if manifest is None:
                unknown.append(each.digest)
            else:
                self.add(each.digest, manifest)
        return unknown

    def _image(self, digest: str, references: ImageBlobReferences) -> None:
        self.images[digest] = references
        listed = len(references.layers) + len(references.manifests) + 2
        self._room -= listed * _REFERENCE_BYTES

    def _blob(self, digest: str, size: int | None, media_type: str) -> None:
        if digest not in self.blobs or self.blobs[digest].size is None:
            self.blobs[digest] = ImageLayerData(size=size, media_type=media_type)
            self._room -= _BLOB_BYTES


def _manifest(held: Held) -> Manifest | None:
    if held.content is None:
        return None
    try:
        return parse_manifest(held.content, held.media_type)
    except OciError:
        return None


class LayersStorage:
    """Serves the subresource."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._beside = Beside(1, _WAITING)

    async def get(self, call: Call, name: str) -> bytes:
        """See `storage.Getter`."""
        stream = await self._streams.headers.get(call, name)
        repository = RepositoryName(f"{call.namespace}/{name}")
        layers, read, after = Layers(), 0, ""
        while not layers.is_full:
            held = await holdings.read(self._streams.database, repository, after)
            if not held:
                break
            after = held[-1].digest
            weight = sum(len(each.content or b"") for each in held)
            for digest in await self._beside.do(weight, layers.add_all, held):
                await self._add_unknown(layers, digest)
            read = len(layers.images)
        metadata = msgspec.convert(msgspec.json.decode(stream)["metadata"], ObjectMeta)
        metadata.managed_fields = []
        if layers.is_full:
            total = await holdings.count(self._streams.database, repository)
            if total > read:
                metadata.annotations = {
                    **metadata.annotations,
                    IMAGES_OMITTED: str(total - read),
                }
        answer = ImageStreamLayers(
            api_version=IMAGES.api_version,
            kind="ImageStreamLayers",
            metadata=metadata,
            blobs=layers.blobs,
            images=layers.images,
        )
        return msgspec.json.encode(answer)

    async def _add_unknown(self, layers: Layers, digest: str) -> None:
        document = await find(self._streams.database, Key(IMAGES.key, "", digest))
        if document is None:
            layers.add_missing(digest)
        else:
            layers.add_image(msgspec.json.decode(document.body, type=Image))
