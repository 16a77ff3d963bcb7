"""Simple signatures of other registries, added to Images that were not pushed here.

All projects share an Image, so it has those of the registry where it was found first: whoever else
has a registry with the image has no say in it. There may be some of each, and none is removed.
"""

import base64
import hashlib

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images import signatures
from tidegate.images.imports.attached import SIGNATURES
from tidegate.images.kinds.group import MANAGED
from tidegate.images.kinds.image_signature import ATOMIC, ImageSignature
from tidegate.images.signatures import SignatureTaken
from tidegate.images.tags.reading import decoded_image, image_key
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.oci.digest import Digest
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid
from tidegate.remote.location import Location

_HEADROOM = 64 * 1024
"""Bytes of an Image that are left to signatures which wait for it, and to its administrators."""


def sign(tx: Transaction, digest: Digest, location: Location, content: bytes, now: float) -> bool:
    """Add a signature that was found at `location` to an Image; whether that was new."""
    document = DocumentUnit(tx).get(image_key(digest))
    image = decoded_image(document)
    if document is None or image is None or image.metadata.annotations.get(MANAGED) == "true":
        return False
    if len(image.signatures) >= SIGNATURES or found_at(image.docker_image_reference) != location:
        return False
    if len(document.body) + 2 * len(content) > signatures.LIMIT - _HEADROOM:
        return False
    signature = ImageSignature(
        metadata=ObjectMeta(name=f"{digest}@{hashlib.sha256(content).hexdigest()}"),
        type=ATOMIC,
        content=base64.b64encode(content).decode(),
    )
    try:
        signatures.check_free(signature, image.signatures)
        signatures.add(DocumentUnit(tx), signature, now)
    except SignatureTaken:
        return False
    return True


def found_at(reference: str) -> Location | None:
    """Where an image was found, by its pull spec; None for one of this registry, or of nowhere."""
    try:
        return Location.of(PullSpec.parse(reference))
    except PullSpecInvalid:
        return None
