"""LimitRanges of images and streams: what one image, and one stream, may have at most.

    openshift.io/Image         max storage                   bytes of an image
    openshift.io/ImageStream   max openshift.io/images       different images that its tags show
                               max openshift.io/image-tags   different sources that its tags name

The smallest maximum of a project counts. Whether a set grew, and so is to be checked, is the
caller's to know: what was too much already may stay. The texts are the original's, clients look
for them.
"""

from collections.abc import Sequence

import msgspec

from tidegate.images.kinds.tag_reference import DOCKER_IMAGE, STREAM_IMAGE, STREAM_TAG, TagReference
from tidegate.images.streams.errors import LimitExceeded
from tidegate.kinds.quantity import BINARY, NANO, Quantity, parse_quantity
from tidegate.metastore import stream_tags, tag_events
from tidegate.metastore.database import Transaction
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

IMAGE, IMAGE_STREAM = "openshift.io/Image", "openshift.io/ImageStream"
"""Types of limits."""

STORAGE, IMAGES, TAGS = "storage", "openshift.io/images", "openshift.io/image-tags"
"""What they limit."""

COUNTED_BEYOND = 10_000
"""How far over its limit a stream is counted, for a text that says how much it has."""

_ALL = 2**31


class _Item(msgspec.Struct):
    type: str = ""
    max: dict[str, str | int | float] | None = None


class _Spec(msgspec.Struct):
    limits: list[_Item] | None = None


class _LimitRange(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


_LIMIT_RANGE = msgspec.json.Decoder(_LimitRange)
_TAG_REFERENCE = msgspec.json.Decoder(TagReference)


def smallest(limit_ranges: Sequence[bytes], kind: str, resource: str) -> Quantity | None:
    """The maximum that counts; None where there is none."""
    found = [
        parse_quantity(item.max[resource])
        for body in limit_ranges
        for item in _LIMIT_RANGE.decode(body).spec.limits or ()
        if item.type == kind and item.max and resource in item.max
    ]
    return min(found, default=None)


def check_image(size: int, limit_ranges: Sequence[bytes]) -> None:
    """Raise `LimitExceeded` for an image of more bytes than the smallest limit allows."""
    limit = smallest(limit_ranges, IMAGE, STORAGE)
    if limit is not None:
        _compare(IMAGE, STORAGE, Quantity(size * NANO, BINARY), limit)


def check_images(tx: Transaction, repository_id: int, limit_ranges: Sequence[bytes]) -> None:
    """Raise `LimitExceeded` for a stream that shows more images than the smallest limit allows."""
    limit = smallest(limit_ranges, IMAGE_STREAM, IMAGES)
    if limit is None:
        return
    most = min(max(limit.value, 0), _ALL)
    count = tag_events.images_up_to(tx, repository_id, most + 1)
    if count > most:
        count = tag_events.images_up_to(tx, repository_id, most + COUNTED_BEYOND)
    _compare(IMAGE_STREAM, IMAGES, Quantity(count * NANO), limit)


def check_tags(
    tx: Transaction, repository_id: int, name: RepositoryName, limit_ranges: Sequence[bytes]
) -> None:
    """Raise `LimitExceeded` for a stream whose tags name more sources than the limit allows."""
    limit = smallest(limit_ranges, IMAGE_STREAM, TAGS)
    if limit is not None:
        count = len(references(tx, repository_id, name))
        _compare(IMAGE_STREAM, TAGS, Quantity(count * NANO), limit)


def references(tx: Transaction, repository_id: int, name: RepositoryName) -> set[str]:
    """The different sources that the tags of a stream name, as they are stored."""
    specs = stream_tags.specs(tx, repository_id, _ALL)
    found = {reference_of(name, _TAG_REFERENCE.decode(spec)) for spec in specs}
    return found - {""}


def reference_of(name: RepositoryName, spec: TagReference) -> str:
    """What a tag's source counts as; "" for none, and for one that nobody can read.

    Two ways to write a pull spec are one source, and so are a stream's tag and its name with the
    stream's project.
    """
    source = spec.from_
    if source is None:
        return ""
    if source.kind == DOCKER_IMAGE:
        try:
            pull_spec = PullSpec.parse(source.name)
        except PullSpecInvalid:
            return ""
        return pull_spec.docker_client_defaults().daemon_minimal().exact()
    mark = {STREAM_TAG: ":", STREAM_IMAGE: "@"}.get(source.kind)
    if mark is None:
        return ""
    stream, found, what = source.name.partition(mark)
    if not found:
        stream, what = name.stream, source.name
    return f"{source.namespace or name.project}/{stream}{mark}{what}"


def _compare(kind: str, resource: str, requested: Quantity, limit: Quantity) -> None:
    if requested > limit:
        raise LimitExceeded(
            f"requested usage of {resource} exceeds the maximum limit per {kind}"
            f" ({requested} > {limit})"
        )
