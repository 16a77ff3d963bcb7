"""What a push of a manifest means to streams: an Image, the stream, and an event for each tag.

    prepare (before the unit)    the Image, from the manifest and its configuration
    stream_for, record (in it)   the stream is there or made; Image, events and limits

The unit is the one that stores the manifest, so that registry and streams never tell different
stories. Knows no HTTP. Invariant: a manifest that is pushed has an Image and is in a stream.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.store import Document, Key
from tidegate.images import signatures
from tidegate.images.docker_image import image_of
from tidegate.images.kinds.content import CONFIG_LIMIT
from tidegate.images.kinds.group import MANAGED, MANIFEST_BLOB_STORED
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.streams import inherited
from tidegate.images.streams.errors import StreamMissing
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.opening import opened
from tidegate.images.streams.stream import Actor, Change, Stream
from tidegate.metastore import document_rows, tag_events, tags
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import StorageError


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest as it came, and the tags that are to name it.

    `config` is the configuration that may be read; None where there is none, or where it is not
    for this repository to read.
    """

    repository: RepositoryName
    digest: Digest
    media_type: str
    content: bytes
    config: Digest | None
    tags: Sequence[Tag]


class ImageGone(Exception):
    """The Image was there when the push was prepared, and is not any more: prepare it again."""


class _Sized(msgspec.Struct, rename={"size": "Size"}):
    size: int = 0


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] = {}


class _Image(msgspec.Struct, rename="camel"):
    """As much of a stored Image as its limits are about, and as says who made it."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    docker_image_metadata: _Sized = msgspec.field(default_factory=_Sized)

    @property
    def is_pushed(self) -> bool:
        """Whether it says what a push found in the content, and not what somebody posted."""
        return self.is_content and self.metadata.annotations.get(MANAGED) == "true"

    @property
    def is_content(self) -> bool:
        """Whether it says what a push or an import found in the content."""
        return self.metadata.annotations.get(MANIFEST_BLOB_STORED) == "true"


_DECODE = msgspec.json.Decoder(_Image).decode
_WHOLE = msgspec.json.Decoder(Image).decode


async def prepare(
    db: Database, store: BlobStore, hosts: Hosts, pushed: Pushed, now: float
) -> Image | None:
    """The Image that the push makes, or would if there were none yet.

    None when an earlier push has made it; that is asked only where it costs less than the answer
    may save, which is to read the configuration from afar.
    """
    if not store.is_local:
        found = await document_rows.find(db, _key(pushed.digest))
        if found is not None and _DECODE(found.body).is_pushed:
            return None
    config = None if pushed.config is None else await _read(store, pushed.config)
    created = rfc3339_seconds(now)
    image = await weighed(
        len(pushed.content) + len(config or b""),
        image_of,
        str(pushed.digest),
        pushed.media_type,
        pushed.content,
        config,
        hosts.shown(f"/{pushed.repository}@{pushed.digest}"),
        created,
    )
    image.metadata.uid = str(uuid.uuid4())
    image.metadata.creation_timestamp = created
    return image


async def _read(store: BlobStore, digest: Digest) -> bytes | None:
    """A configuration; None when it is larger than any that is read, or cannot be read."""
    try:
        with await store.open(digest) as blob:
            return await blob.whole() if blob.size <= CONFIG_LIMIT else None
    except StorageError:
        return None


def stream_for(tx: Transaction, name: RepositoryName, now: float, *, may_create: bool) -> Stream:
    """The stream that is pushed to, made if need be; asked before the manifest is stored.

    A repository of an older version becomes a stream now. Raises `StreamMissing`, and what
    `Stream.make` raises.
    """
    stream = opened(tx, name)
    if stream is not None:
        return stream
    if not may_create:
        raise StreamMissing(f"there is no stream {name}")
    return Stream.make(tx, name, inherited.header(name, now))


def record(
    stream: Stream, pushed: Pushed, image: Image | None, stored: Document | None, actor: Actor
) -> list[str]:
    """Let the stream have what was pushed, once its manifest is stored; what to warn of.

    `stored` is what `find_image` found, `image` what `prepare` gave.
    Raises `ImageGone`, `TagRefused`, `TagImmutable`, `LimitExceeded` and `QuotaExceeded`.
    """
    tx = stream.tx
    size = _keep(tx, pushed.digest, image, stored)
    stream.rules.check_image(size)
    reference = f"/{pushed.repository}@{pushed.digest}"
    change = Change(reference, pushed.digest, stream.generation)
    for tag in pushed.tags:
        if not stream.record(tag, change, actor):
            # the event was right; so is the registry's tag after this, whatever it was
            tags.lead(tx, stream.repository_id, tag, pushed.digest, actor.now)
    stream.save()
    stream.rules.check_storage(tx)
    return list(dict.fromkeys(stream.warnings))


def show_again(stream: Stream, digests: Iterable[Digest], now: float) -> None:
    """Let the registry have the tags that name these manifests, which were not live until now.

    So it is with what was imported and then pushed by digest, and with what was lost.
    """
    for digest in digests:
        for tag, event in tag_events.naming(stream.tx, stream.repository_id, digest):
            if stream.row(tag).current == event.number:
                tags.lead(stream.tx, stream.repository_id, tag, digest, now)


def find_image(tx: Transaction, digest: Digest) -> Document | None:
    """The Image, which events may name already."""
    return document_rows.get(tx, _key(digest))


def keep_image(tx: Transaction, digest: Digest, image: Image | None) -> int:
    """Store the Image unless a push has; the bytes of the one that is kept.

    What was posted before there was the content gives way: nobody says of another's image what it
    is, or of her own that it keeps to the rules. Raises `ImageGone` when there is neither.
    """
    return _keep(tx, digest, image, find_image(tx, digest))


def keep_imported(tx: Transaction, digest: Digest, image: Image) -> None:
    """Store the Image of an imported manifest, unless a push or an import has."""
    existing = find_image(tx, digest)
    if existing is None or not _DECODE(existing.body).is_content:
        image.metadata.uid = image.metadata.uid or str(uuid.uuid4())
        _replace(tx, digest, image, existing)


def _keep(tx: Transaction, digest: Digest, image: Image | None, existing: Document | None) -> int:
    if existing is not None:
        kept = _DECODE(existing.body)
        if kept.is_pushed:
            return kept.docker_image_metadata.size
    if image is None:
        raise ImageGone(digest)
    return _replace(tx, digest, image, existing)


def _replace(tx: Transaction, digest: Digest, image: Image, existing: Document | None) -> int:
    """Store an Image in place of one that says less; the bytes of the image."""
    image.signatures = signatures.waiting(DocumentUnit(tx), digest)
    metadata = image.metadata
    if existing is not None:
        posted = _WHOLE(existing.body)
        if _DECODE(existing.body).is_content:  # imported, with a configuration that may be there
            image.docker_image_metadata = posted.docker_image_metadata
            image.docker_image_layers = posted.docker_image_layers
        image.signatures = posted.signatures + image.signatures
        metadata.uid = posted.metadata.uid
        metadata.creation_timestamp = posted.metadata.creation_timestamp
        metadata.labels = posted.metadata.labels
        said = {**posted.metadata.annotations}
        said.pop(MANAGED, None)  # whoever posted it only claimed that
        metadata.annotations = {**said, **metadata.annotations}

    def encode(revision: int) -> bytes:
        metadata.resource_version = str(revision)
        return msgspec.json.encode(image)

    document_rows.replace(tx, _key(digest), existing, metadata.uid, encode)
    size = image.docker_image_metadata.get("Size", 0)
    return size if isinstance(size, int) else 0


def _key(digest: Digest) -> Key:
    return Key(IMAGES.key, "", digest)
