"""Doing a plan: what a write of a whole ImageStream comes to, in one unit of work."""

from collections import Counter
from collections.abc import Collection

import msgspec

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.apimachinery.store import Document
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.planning import Happened, Past, Plan, Wish
from tidegate.images.streams.refusals import answered, answered_of_tag
from tidegate.images.streams.resolving import resolve
from tidegate.images.streams.stream import Actor, Change, Stream
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore import repositories, stream_tags, tag_events
from tidegate.metastore.database import Transaction
from tidegate.metastore.tag_events import SHOWN
from tidegate.observability.timestamp import rfc3339_seconds

_FIRST, _LAST = -30610224000.0, 253402300799.0
"""The years 1000 to 9999: with another no client could read the stream, or write it back."""


def apply(
    tx: Transaction,
    plan: Plan,
    actor: Actor,
    readable: Collection[str],
    hosts: Hosts,
    policy: ImportPolicy,
) -> tuple[Stream, Document]:
    """Write what was planned; the answers are errors of the API.

    `readable` are the streams of other namespaces that the writer may pull from, `policy` has the
    registries that what is copied from them may be of.
    """
    name = plan.name
    with answered(name.stream):
        stream = _stream(tx, plan)
        for wish in plan.wishes:
            with answered_of_tag(name.stream, wish.tag, wish.source):
                stream.want(wish.tag, wish.spec)
        for wish in plan.wishes:
            _resolve(stream, wish, actor, readable, policy)
        for past in plan.pasts:
            with answered_of_tag(name.stream, past.tag):
                _rewrite(stream, past, actor, hosts)
        stream.touch()
        document = stream.save()
    assert document is not None  # noqa: S101  it was touched
    return stream, document


def changed_since(tx: Transaction, plan: Plan, revision: int) -> bool:
    """Whether some tag that the plan is about was changed after a revision."""
    repository_id = repositories.find(tx, plan.name)
    if repository_id is None:
        return False
    for tag in {*(each.tag for each in plan.wishes), *(each.tag for each in plan.pasts)}:
        row = stream_tags.find(tx, repository_id, tag)
        if row is not None and row.changed > revision:
            return True
    return False


def _stream(tx: Transaction, plan: Plan) -> Stream:
    # `save` writes the version into the metadata, and a plan may be done again
    metadata = msgspec.structs.replace(plan.header.metadata)
    header = msgspec.structs.replace(plan.header, metadata=metadata)
    if plan.new:
        return Stream.make(tx, plan.name, header)
    stream = Stream.open(tx, plan.name)
    assert stream is not None  # noqa: S101  its version was checked in this unit
    stream.header = header
    return stream


def _resolve(
    stream: Stream, wish: Wish, actor: Actor, readable: Collection[str], policy: ImportPolicy
) -> None:
    if wish.moved and wish.spec is not None:
        with answered_of_tag(stream.name.stream, wish.tag, wish.source):
            resolve(stream, wish.tag, wish.spec, actor, readable, policy)


def _rewrite(stream: Stream, past: Past, actor: Actor, hosts: Hosts) -> None:
    """Take events out of a tag's history, and put others before it."""
    if past.removed:
        numbers = _numbers(stream, past, hosts)
        if numbers:
            stream.prune(past.tag, numbers, actor.now)
            stream.release(past.tag, numbers, actor.now)
    for event in past.added:
        reference = hosts.stored(event.docker_image_reference)
        created = _shown_time(event.created) if event.created else actor.now
        change = Change(reference, event.image, event.generation, created)
        stream.record(past.tag, change, actor)
    if past.conditions is not None:
        stream.set_conditions(past.tag, past.conditions)


def _shown_time(text: str) -> float:
    """A time of RFC 3339 that still is one when it is written in UTC."""
    return min(max(epoch_seconds(text), _FIRST), _LAST)


def _numbers(stream: Stream, past: Past, hosts: Hosts) -> list[int]:
    """The events that were shown and are to go."""
    row = stream.row(past.tag)
    events = tag_events.visible(stream.tx, stream.repository_id, past.tag, row.hidden, SHOWN)
    left: Counter[Happened] = past.removed.copy()
    numbers = []
    for event in reversed(events):  # of two that look the same the older one goes
        shown = Happened(
            event.image, hosts.shown(event.reference), rfc3339_seconds(event.created_at)
        )
        if left[shown]:
            left[shown] -= 1
            numbers.append(event.number)
    return numbers
