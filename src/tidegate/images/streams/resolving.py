"""What a tag comes to name when somebody says where it is to come from (image-api 4.4).

    DockerImage       nothing: it is imported; with `reference` its pull spec as it stands
    ImageStreamTag    what that tag names now; in the same stream it follows from then on
    ImageStreamImage  that image, for good

Whatever is copied can be pulled from this stream at once: its manifests and blobs become readable
in it, by rows alone. Whether the writer may read the other stream is asked before, outside of the
unit, and handed in.
"""

from collections.abc import Collection
from dataclasses import dataclass

from tidegate.images.kinds.image_stream import ObjectReference, TagReference
from tidegate.images.kinds.tag_reference import DOCKER_IMAGE, STREAM_IMAGE, STREAM_TAG
from tidegate.images.streams import inherited
from tidegate.images.streams.errors import (
    RegistryNotAllowed,
    SourceAmbiguous,
    SourceForbidden,
    SourceMissing,
)
from tidegate.images.streams.registries import ANYWHERE, fault, is_insecure
from tidegate.images.streams.stream import Actor, Change, Stream, key_of
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore import closures, manifests, repositories, stream_tags, tag_events
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.name import RepositoryName

ALGORITHM = "sha256:"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tag comes from: a stream, and in it a tag or (a part of) a digest."""

    stream: RepositoryName
    tag: str = ""
    image: str = ""


def source_of(stream: RepositoryName, origin: ObjectReference) -> Source | None:
    """The stream that an ImageStreamTag or ImageStreamImage names; None for another kind.

    A bare `tag` or `id` means a stream of this one's name, in the namespace that is said.
    """
    namespace = origin.namespace or stream.project
    separator = {STREAM_TAG: ":", STREAM_IMAGE: "@"}.get(origin.kind)
    if separator is None:
        return None
    name, found, rest = origin.name.partition(separator)
    if not found:
        name, rest = stream.stream, origin.name
    full = RepositoryName(f"{namespace}/{name}")
    return Source(full, tag=rest) if separator == ":" else Source(full, image=rest)


def foreign(stream: RepositoryName, spec: TagReference) -> RepositoryName | None:
    """The stream of another namespace that a tag comes from, which is not for everyone to read."""
    if spec.from_ is None or spec.from_.namespace in ("", stream.project):
        return None
    source = source_of(stream, spec.from_)
    return None if source is None else source.stream


def resolve(
    stream: Stream,
    tag: str,
    spec: TagReference,
    actor: Actor,
    readable: Collection[str],
    policy: ImportPolicy = ANYWHERE,
) -> bool:
    """Let a tag name what its new `spec` says; whether it names something else now.

    `readable` are the streams of other namespaces that the writer may pull from, `policy` has the
    registries that what is copied may be of. Raises `SourceMissing`, `SourceAmbiguous`,
    `SourceForbidden`, `RegistryNotAllowed`, and what `Stream.record` raises.
    """
    origin = spec.from_
    if origin is None:
        return False
    generation = stream.generation if spec.generation is None else spec.generation
    if origin.kind == DOCKER_IMAGE:
        change = Change(origin.name, "", generation, source=origin.name)
        return spec.reference and stream.record(tag, change, actor)
    source = source_of(stream.name, origin)
    if source is None:
        return False
    other = foreign(stream.name, spec)
    if other is not None and other not in readable:
        raise SourceForbidden(other)
    event = _event(stream, source, actor.now)
    if event is None:
        return False
    _make_readable(stream, source.stream, event.image, actor.now)
    reference = event.reference
    own = f"/{source.stream}@"
    if not spec.reference and reference.startswith(own):
        reference = f"/{stream.name}@{reference[len(own) :]}"
    if not reference.startswith("/") and source.stream != stream.name:
        insecure = spec.import_policy.insecure or is_insecure(stream.header.metadata.annotations)
        if why := fault(policy, reference, insecure=insecure):
            raise RegistryNotAllowed(why)
    copied = f"{source.stream}@{event.image}" if source.image else f"{source.stream}:{source.tag}"
    change = Change(reference, event.image, generation, event.created_at, copied)
    return stream.record(tag, change, actor)


def _event(stream: Stream, source: Source, now: float) -> TagEvent | None:
    """The event that a tag gets from its source; None while the source's tag has none."""
    tx = stream.tx
    repository_id = _repository(stream, source.stream)
    if source.image:
        image = image_of(tx, repository_id, source.image)
        named = tag_events.naming(tx, repository_id, image)
        newest = max((event for _, event in named), key=lambda e: e.recorded_at, default=None)
        reference = f"/{source.stream}@{image}" if newest is None else newest.reference
        return TagEvent(0, now, now, reference, image, 0, "", "")
    if source.stream == stream.name:
        return stream.current(source.tag)
    row = stream_tags.find(tx, repository_id, source.tag)
    if row is None:
        row = inherited.tag(tx, repository_id, source.stream, source.tag, 0)
    if row is None or row.current is None:
        return None
    return tag_events.find(tx, repository_id, source.tag, row.current)


def _repository(stream: Stream, name: RepositoryName) -> int:
    if name == stream.name:
        return stream.repository_id
    found = repositories.find(stream.tx, name)
    if found is None or DocumentUnit(stream.tx).get(key_of(name)) is None:
        raise SourceMissing(f"there is no stream {name}")
    return found


def image_of(tx: Transaction, repository_id: int, part: str) -> str:
    """The image of a stream that a digest, or the beginning of its hex part, means.

    Images in shown histories, and manifests that were pushed without a tag or belong to an index.
    Raises `SourceMissing` for none, `SourceAmbiguous` for several.
    """
    start = part if ":" in part else ALGORITHM + part
    found = set(tag_events.of_image(tx, repository_id, start, 2))
    found.update(manifests.beginning(tx, repository_id, start, 2))
    if start in found:
        return start
    if not found:
        raise SourceMissing(f'no image begins with "{part}"')
    if len(found) > 1:
        raise SourceAmbiguous(f'multiple images match the prefix "{part}"')
    return found.pop()


def _make_readable(stream: Stream, source: RepositoryName, image: str, now: float) -> None:
    if not image or source == stream.name:
        return
    source_id = repositories.find(stream.tx, source)
    if source_id is not None and closures.copy(stream.tx, source_id, stream.name, image, now):
        stream.rules.check_storage(stream.tx)
