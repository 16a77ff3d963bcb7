"""What was fetched becomes rows of a stream's repository, in the unit that points tags to it.

    manifests, child_uses, blob_uses    as a push makes them; the blobs have no link
    manifests.origin                    where the blobs are
    Images                              unless there are some of a push or another import

What the repository has already stays as it is: of an image that was pushed the blobs are here.
Asks for no right and judges nothing; that is the caller's (`applying`, pull-through of proxies).
"""

import base64
import hashlib
import json

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images import pushes, signatures
from tidegate.images.imports.attached import SIGNATURES
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.picturing import Images
from tidegate.images.kinds.group import MANAGED
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_signature import ATOMIC, ImageSignature
from tidegate.images.signatures import SignaturesTooLarge, SignatureTaken
from tidegate.images.streams.stream import Stream
from tidegate.images.tags.reading import image_now
from tidegate.metastore import links, manifests
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.origins import Origin
from tidegate.oci.errors import ManifestInvalid
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid
from tidegate.remote.location import Location


def store(
    stream: Stream, fetched: Fetched, images: Images, now: float, *, insecure: bool = False
) -> bool:
    """Let the stream's repository have an image with all that belongs to it; whether it was new.

    `images` are those of `picturing.images_of`, `insecure` says how its registry was asked. Raises
    `ManifestInvalid` for sizes that are not those of blobs which the repository has.
    """
    appeared = []
    for each in fetched.members():
        pushes.keep_imported(stream.tx, each.digest, images[each.digest])
        if manifests.known(stream.tx, stream.name, [each.digest]):
            continue
        _put(stream, each, Origin(str(each.location), insecure), now)
        appeared.append(each.digest)
    pushes.show_again(stream, appeared, now)
    for content in fetched.signatures:
        _sign(stream, fetched, content, now)
    return bool(appeared)


def _put(stream: Stream, fetched: Fetched, origin: Origin, now: float) -> None:
    manifest = fetched.manifest
    wanted = list(dict.fromkeys(blob.digest for blob in manifest.blobs))
    found = links.find(stream.tx, stream.name, wanted)
    for blob in manifest.blobs:
        link = found.get(blob.digest)
        if link is not None and blob.size not in (0, link.size):
            said = f"{blob.digest} has {blob.size} bytes"
            raise ManifestInvalid(f"{fetched.digest} says that {said}, it has {link.size}")
    is_shown = bool(manifest.subject and manifest.annotations)  # in the list of referrers
    record = manifests.Manifest(
        digest=fetched.digest,
        media_type=fetched.media_type,
        content=fetched.content,
        subject=None if manifest.subject is None else manifest.subject.digest,
        artifact_type=manifest.referrer_type,
        annotations=json.dumps(manifest.annotations) if is_shown else None,
        blobs=tuple(wanted),
        children=tuple(dict.fromkeys(child.digest for child in manifest.manifests)),
        origin=origin,
    )
    manifests.put(stream.tx, stream.name, record, (), now, found)


def _sign(stream: Stream, fetched: Fetched, content: bytes, now: float) -> None:
    """Add a simple signature to an Image that was not pushed here, up to some.

    All projects share an Image, so it has those of the registry where it was found first: whoever
    else has a registry with the image has no say in it.
    """
    kept = image_now(stream.tx, fetched.digest)
    if kept is None or kept.metadata.annotations.get(MANAGED) == "true":
        return
    if len(kept.signatures) >= SIGNATURES or _location(kept) != fetched.location:
        return
    name = f"{fetched.digest}@{hashlib.sha256(content).hexdigest()}"
    signature = ImageSignature(
        metadata=ObjectMeta(name=name),
        type=ATOMIC,
        content=base64.b64encode(content).decode(),
    )
    try:
        signatures.add(DocumentUnit(stream.tx), signature, now)
    except (SignatureTaken, SignaturesTooLarge):
        return


def _location(image: Image) -> Location | None:
    try:
        return Location.of(PullSpec.parse(image.docker_image_reference))
    except PullSpecInvalid:
        return None
