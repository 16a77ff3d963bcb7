"""Changing one tag of a stream in a unit of work: what is wanted of it, and its stream if need be.

Generations count as for a whole stream (`streams/generations.py`).
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from tidegate.apimachinery.documents.bodies import is_terminating
from tidegate.apimachinery.errors import FieldError, forbid, invalid, invalid_object, missing
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image_stream import (
    IMAGE_STREAMS,
    ImageStream,
    TagReference,
    stream_faults,
    stream_name_fault,
)
from tidegate.images.streams import generations
from tidegate.images.streams.refusals import answered, answered_of_tag
from tidegate.images.streams.registries import ANYWHERE
from tidegate.images.streams.resolving import resolve
from tidegate.images.streams.stream import Actor, Stream
from tidegate.images.tags.names import NAMESPACES, TagName
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.observability.timestamp import rfc3339_seconds

T = TypeVar("T")


@contextmanager
def told(name: TagName, spec: TagReference | None = None) -> Iterator[None]:
    """Turn what stands in the way of writing a tag, which is to be `spec`, into the answer."""
    source = "" if spec is None or spec.from_ is None else spec.from_.name
    with answered(name.stream.stream), answered_of_tag(name.stream.stream, name.tag, source):
        yield


class _Rehearsed(Exception):
    """Ends a unit that is to leave nothing behind, and brings out what it gave."""

    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result


async def run(db: Database, unit: Callable[[Transaction], T], *, dry_run: bool) -> T:
    """What `unit` returns; with `dry_run` everything that it wrote is undone."""
    if not dry_run:
        return await db.write(unit)

    def rehearsal(tx: Transaction) -> T:
        raise _Rehearsed(unit(tx))

    try:
        return await db.write(rehearsal)
    except _Rehearsed as rehearsed:
        return rehearsed.result  # type: ignore[return-value]  # what the unit gave


def new_stream(tx: Transaction, name: TagName, uid: str, now: float) -> Stream:
    """The stream of a tag, which is not there yet.

    `NotFound` without its namespace, `Forbidden` in one that ends, `Invalid` for a bad name, and
    what `Stream.make` raises.
    """
    check_namespace(tx, name)
    header = ImageStream(
        api_version=API_VERSION,
        kind="ImageStream",
        metadata=ObjectMeta(
            name=name.stream.stream,
            namespace=name.stream.project,
            uid=uid,
            creation_timestamp=rfc3339_seconds(now),
            generation=1,
        ),
    )
    if faults := [*_name_faults(name), *stream_faults(header)]:
        raise invalid_object(IMAGE_STREAMS.qualified_kind, name.stream.stream, faults)
    return Stream.make(tx, name.stream, header)


def check_namespace(tx: Transaction, name: TagName) -> None:
    """`NotFound` without the namespace of a tag, `Forbidden` where it ends."""
    project = name.stream.project
    namespace = DocumentUnit(tx).get(Key(NAMESPACES.name, "", project))
    if namespace is None:
        raise missing(NAMESPACES, project)
    if is_terminating(namespace.body):
        raise forbid(
            IMAGE_STREAMS.qualified,
            name.stream.stream,
            f"unable to create new content in namespace {project} because it is being terminated",
        )


def _name_faults(name: TagName) -> list[FieldError]:
    fault = stream_name_fault(name.stream.stream)
    return [] if fault is None else [invalid("metadata.name", name.stream.stream, fault)]


def want(
    stream: Stream,
    tag: str,
    wanted: TagReference | None,
    actor: Actor,
    readable: Collection[str],
    policy: ImportPolicy = ANYWHERE,
) -> None:
    """Let a user's wish be what is wanted of a tag; None takes it away, and leaves what it named.

    Raises what `resolve` and `Stream.want` raise.
    """
    old = stream.spec(tag)
    if wanted is None:
        if old is not None:
            grow(stream)
            stream.want(tag, None)
        return
    kept = generations.kept(old, msgspec.structs.replace(wanted, name=tag))
    if kept != old:
        grow(stream)
    project = stream.name.project
    spec = generations.settled(old, kept, project, stream.generation)
    stream.want(tag, spec)
    if generations.is_moved(old, spec, project):
        resolve(stream, tag, spec, actor, readable, policy)


def grow(stream: Stream) -> None:
    """Count a change of what is wanted; a stream that is being made begins with 1."""
    if not stream.made:
        stream.header.metadata.generation += 1
        stream.touch()
