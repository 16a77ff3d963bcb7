"""What was fetched becomes rows of a stream's repository, in the unit that points tags to it.

    manifests, child_uses, blob_uses    as a push makes them; the blobs have no link
    manifests.origin                    where the blobs are
    Images                              unless there are some of a push or another import

What the repository has already stays as it is: of an image that was pushed the blobs are here.
Asks for no right and judges nothing; that is the caller's (`applying`, pull-through of proxies).
"""

import json

from tidegate.images import pushes
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.picturing import Images
from tidegate.images.imports.signing import sign
from tidegate.images.streams.stream import Stream
from tidegate.metastore import links, manifests
from tidegate.metastore.origins import Origin
from tidegate.oci.errors import ManifestInvalid


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
        sign(stream.tx, fetched.digest, fetched.location, content, now)
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
