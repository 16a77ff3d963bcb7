"""Signatures of images: kept in the Image, added and taken away one at a time.

    imagesignatures (API)          ─┐
    /extensions/v2/.../signatures  ─┴─▶ Image.signatures ──▶ watch of images

Where a manifest has no Image yet (a repository of an older version that is not taken over), its
signatures wait as documents of their own; who makes the Image puts them in (`waiting`).
"""

import time
import uuid
from collections.abc import Callable

import msgspec

from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.documents.units import run
from tidegate.apimachinery.documents.writing import encoded
from tidegate.apimachinery.errors import (
    BadRequest,
    Qualified,
    RequestTooLarge,
    exists_already,
    invalid_object,
    missing,
)
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call, Deleted, DeleteOptions
from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.images.kinds.group import GROUP
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_signature import (
    ATOMIC,
    IMAGE_SIGNATURES,
    ImageSignature,
    split_signature_name,
)
from tidegate.observability.timestamp import rfc3339_seconds

WAITING = IMAGE_SIGNATURES.key
"""Resource of the documents that wait for their Image, named as signatures are."""

SHORT_TYPE = "atomic"
"""What podman and skopeo call AtomicImageV1, and all that they read."""

LIMIT = 1536 * 1024
"""Bytes of an Image with its signatures, as of any object."""

_READ_AT_ONCE = 20

_SIGNATURES = Qualified("imageSignatures", GROUP)
"""As the original's refusals have it."""

_IMAGE = msgspec.json.Decoder(Image).decode
_SIGNATURE = msgspec.json.Decoder(ImageSignature).decode


class ImageMissing(Exception):
    """There is no Image that the signature could be added to."""


class SignatureTaken(Exception):
    """The image has a signature of that name, or of that type and content."""


class SignaturesTooLarge(Exception):
    """One more signature, and the Image is larger than an object may be."""


def add(tx: DocumentTransaction, signature: ImageSignature, now: float) -> ImageSignature:
    """Add a signature to the image that its name says; as it is kept.

    Raises `ImageMissing`, `SignatureTaken`, `SignaturesTooLarge`.
    """
    image = _image(tx, signature.metadata.name)
    if image is None:
        raise ImageMissing
    image.signatures += waiting(tx, image.metadata.name)
    check_free(signature, image.signatures)
    signature.metadata.uid = str(uuid.uuid4())
    signature.metadata.creation_timestamp = rfc3339_seconds(now)
    image.signatures.append(signature)
    _put(tx, image)
    return signature


def check_free(signature: ImageSignature, others: list[ImageSignature]) -> None:
    """Raise `SignatureTaken` for one that is among `others`, by its name or for what it says."""
    for each in others:
        same = (each.type, each.content) == (signature.type, signature.content)
        if same or each.metadata.name == signature.metadata.name:
            raise SignatureTaken


def remove(tx: DocumentTransaction, name: str) -> bool:
    """Take a signature off its image; False when that has none of the name.

    Raises `ImageMissing`.
    """
    image = _image(tx, name)
    if image is None:
        raise ImageMissing
    signatures = image.signatures + waiting(tx, image.metadata.name)
    image.signatures = [each for each in signatures if each.metadata.name != name]
    if len(image.signatures) == len(signatures):
        return False
    _put(tx, image)
    return True


def waiting(tx: DocumentTransaction, image: str) -> list[ImageSignature]:
    """Take the signatures that wait for an Image, for its `signatures`."""
    found = kept(tx, image)
    for each in found:
        tx.delete(Key(WAITING, "", each.metadata.name))
        each.metadata.resource_version = each.api_version = each.kind = ""
    return found


def kept(tx: DocumentTransaction, image: str) -> list[ImageSignature]:
    """The signatures that wait for an Image."""
    found: list[ImageSignature] = []
    start = after = f"{image}@"
    while listed := tx.list(WAITING, None, Key(WAITING, "", after), _READ_AT_ONCE):
        mine = [_SIGNATURE(each.body) for each in listed if each.key.name.startswith(start)]
        found += mine
        if len(mine) < len(listed):
            break
        after = listed[-1].key.name
    for each in found:
        each.type = ATOMIC if each.type == SHORT_TYPE else each.type
    return found


def _image(tx: DocumentTransaction, signature: str) -> Image | None:
    name = split_signature_name(signature)
    document = None if name is None else tx.get(Key(IMAGES.key, "", name[0]))
    return None if document is None else _IMAGE(document.body)


def _put(tx: DocumentTransaction, image: Image) -> None:
    key, uid = Key(IMAGES.key, "", image.metadata.name), image.metadata.uid
    document = tx.put(key, uid, lambda revision: encoded(image, str(revision)))
    if len(document.body) > LIMIT:
        raise SignaturesTooLarge


class SignatureStorage:
    """imagesignatures: create and delete, each an update of the Image."""

    def __init__(self, store: ObjectStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        if not isinstance(new, ImageSignature):
            raise TypeError("not an ImageSignature")
        IMAGE_SIGNATURES.strategy.prepare(new, None)
        name = new.metadata.name
        faults = validate_metadata(IMAGE_SIGNATURES, new.metadata, None)
        faults += IMAGE_SIGNATURES.strategy.validate(new, None)
        if faults:
            raise invalid_object(IMAGE_SIGNATURES.qualified_kind, name, faults)
        new.metadata.resource_version = new.api_version = new.kind = ""
        try:
            made = await run(
                self._store, lambda tx: add(tx, new, self._clock()), dry_run=call.dry_run
            )
        except ImageMissing as error:
            raise missing(IMAGES.qualified, name.partition("@")[0]) from error
        except SignatureTaken as error:
            raise exists_already(_SIGNATURES, name) from error
        except SignaturesTooLarge as error:
            raise RequestTooLarge(
                f"Request entity too large: the image would have more than {LIMIT} bytes"
            ) from error
        made.api_version, made.kind = IMAGE_SIGNATURES.api_version, IMAGE_SIGNATURES.kind
        return msgspec.json.encode(made)

    async def delete(self, call: Call, name: str, _options: DeleteOptions) -> Deleted:
        """See `storage.Deleter`; the preconditions of an object of its own have no meaning."""
        if split_signature_name(name) is None:
            raise BadRequest("ImageSignatures must be accessed with <imageName>@<signatureName>")
        try:
            removed = await run(self._store, lambda tx: remove(tx, name), dry_run=call.dry_run)
        except ImageMissing as error:
            raise missing(IMAGES.qualified, name.partition("@")[0]) from error
        if not removed:
            raise missing(_SIGNATURES, name)
        return Deleted(b"", gone=True)
