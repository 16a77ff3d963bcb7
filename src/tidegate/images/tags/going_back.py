"""imagestreamtags/rollback and /undelete: a tag goes back to what it was, in one unit of work.

A rollback is an event like any other, so that it can itself be taken back. A tag that was to come
from somewhere is pinned to the image that it goes back to, as `oc tag STREAM@IMAGE STREAM:TAG`
does: an import or the tag that it followed would soon have moved it forward again.
"""

from dataclasses import dataclass
from functools import partial

import msgspec

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.durations import epoch_seconds
from tidegate.apimachinery.errors import (
    FieldError,
    Qualified,
    exists_already,
    invalid,
    invalid_object,
    missing,
    required,
)
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.images.image_undelete import bring_back
from tidegate.images.kinds.group import GROUP
from tidegate.images.kinds.image_stream_tag import IMAGE_STREAM_TAGS
from tidegate.images.kinds.tag_history import TagRollback, TagRollbackTarget
from tidegate.images.kinds.tag_reference import (
    DOCKER_IMAGE,
    STREAM_IMAGE,
    TagImportPolicy,
    TagReference,
)
from tidegate.images.streams.resolving import ALGORITHM
from tidegate.images.streams.stream import ROLLBACK, TAG, Actor, Change, Stream, Undo
from tidegate.images.tags.changing import grow, run, told
from tidegate.images.tags.names import TagName, tag_name
from tidegate.images.tags.reading import image_now, view_of
from tidegate.images.tags.rendering import image_stream_tag
from tidegate.images.tags.storage import Makes
from tidegate.images.tags.writing import Written
from tidegate.metastore import manifests, tag_events, tag_past
from tidegate.metastore.database import Transaction
from tidegate.metastore.tag_events import DELETE, TagEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_KIND = Qualified("TagRollback", GROUP)
_TAGS = IMAGE_STREAM_TAGS.qualified


class RollbackStorage:
    """Serves `rollback`: the answer is the ImageStreamTag."""

    def __init__(self, makes: Makes) -> None:
        self._makes = makes

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        if not isinstance(new, TagRollback):
            raise TypeError("not a TagRollback")
        name = tag_name(IMAGE_STREAM_TAGS, call.namespace, call.name)
        wanted = _target(name, new.to)
        actor = Actor(call.user.name, ROLLBACK, self._makes.clock())
        unit = partial(roll_back, name=name, wanted=wanted, actor=actor)
        return await _answer(self._makes, call, name, unit)


class UndeleteStorage:
    """Serves `undelete`; within `window` seconds."""

    def __init__(self, makes: Makes, window: float) -> None:
        self._makes = makes
        self._window = window

    async def create(self, call: Call, new: Object) -> bytes:  # noqa: ARG002  it says nothing
        """See `storage.Creater`."""
        name = tag_name(IMAGE_STREAM_TAGS, call.namespace, call.name)
        actor = Actor(call.user.name, TAG, self._makes.clock())
        unit = partial(undelete, name=name, window=self._window, actor=actor)
        return await _answer(self._makes, call, name, unit)


async def _answer(makes: Makes, call: Call, name: TagName, unit: "partial[Written]") -> bytes:
    with told(name):
        written = await run(makes.reads.db, unit, dry_run=call.dry_run)
    call.warnings.extend(written.warnings)
    return msgspec.json.encode(image_stream_tag(written.view, written.image, makes.hosts))


@dataclass(frozen=True, slots=True)
class Target:
    """Which event is meant; without any of these the one before that named something else.

    `time` is in seconds since the epoch.
    """

    number: int | None = None
    image: str = ""
    time: float | None = None


def _target(name: TagName, to: TagRollbackTarget) -> Target:
    """What a request asks for; `Invalid` when it does not ask for one thing."""
    given = [to.number is not None, bool(to.image), bool(to.time)]
    if sum(given) > 1:
        raise _invalid(name, invalid("to", "", "give one of number, image and time"))
    time = None
    if to.time:
        try:
            time = epoch_seconds(to.time) + 0.999  # the whole second counts: clients see no more
        except ValueError as error:
            raise _invalid(name, invalid("to.time", to.time, "must be an RFC 3339 time")) from error
    return Target(to.number, to.image, time)


def roll_back(tx: Transaction, name: TagName, wanted: Target, actor: Actor) -> Written:
    """Let the tag name again what an event of its past named.

    `NotFound` without the tag, `Invalid` for an event that is not there or whose image is gone.
    """
    stream = _opened(tx, name)
    tag = name.tag
    if not stream.row(tag).is_live:
        raise missing(_TAGS, str(name))
    event = _event(stream, name, wanted)
    _check_kept(tx, name, event)
    pin = _pinned(stream, tag, event)
    if pin is not None:
        grow(stream)
        stream.want(tag, msgspec.structs.replace(pin, generation=stream.generation))
    before = f"event {event.number}"
    change = Change(event.reference, event.image, stream.generation, source=before)
    stream.record(tag, change, actor)
    stream.save()
    return _written(stream, tag)


def _opened(tx: Transaction, name: TagName) -> Stream:
    stream = Stream.open(tx, name.stream)
    if stream is None:
        raise missing(_TAGS, name.stream.stream)
    return stream


def _event(stream: Stream, name: TagName, wanted: Target) -> TagEvent:
    """The event to go back to."""
    tx, number, tag = stream.tx, stream.repository_id, name.tag
    if wanted.number is not None:
        return _found(
            name, tag_past.numbered(tx, number, tag, wanted.number), "number", wanted.number
        )
    if wanted.image:
        start = wanted.image if ":" in wanted.image else ALGORITHM + wanted.image
        named = tag_past.naming(tx, number, tag, start) if start.isprintable() else []
        if len(named) > 1 and named[0].image != start:
            why = f'multiple images match the prefix "{wanted.image}"'
            raise _invalid(name, invalid("to.image", wanted.image, why))
        return _found(name, named[0] if named else None, "image", wanted.image)
    if wanted.time is not None:
        found = tag_past.in_force(tx, number, tag, wanted.time)
        return _found(name, found, "time", wanted.time)
    current = stream.current(tag)
    hidden = stream.row(tag).hidden
    before = None if current is None else tag_past.before(tx, number, tag, current, hidden)
    if before is None:
        raise _invalid(name, required("to", "the tag has named nothing else before"))
    return before


def _found(name: TagName, event: TagEvent | None, field: str, value: object) -> TagEvent:
    if event is None:
        raise _invalid(name, invalid(f"to.{field}", value, "the tag's history has no such event"))
    return event


def _check_kept(tx: Transaction, name: TagName, event: TagEvent) -> None:
    """Refuse what nobody could pull."""
    if not event.image:
        return
    if event.reference.startswith("/"):
        owner = RepositoryName(event.reference[1:].partition("@")[0])
        kept = bool(manifests.known(tx, owner, [Digest(event.image)]))
    else:
        kept = image_now(tx, event.image) is not None
    if not kept:
        raise _invalid(name, invalid("to", event.image, "the image is no longer here"))


def _pinned(stream: Stream, tag: str, event: TagEvent) -> TagReference | None:
    """What is to be wanted of a tag so that it stays; None where nothing moves it."""
    spec = stream.spec(tag)
    if spec is None or spec.from_ is None:
        return None
    policy = TagImportPolicy(
        insecure=spec.import_policy.insecure, import_mode=spec.import_policy.import_mode
    )
    if event.image:
        origin = ObjectReference(kind=STREAM_IMAGE, name=f"{stream.name.stream}@{event.image}")
    else:
        origin = ObjectReference(kind=DOCKER_IMAGE, name=event.reference)
    reference = spec.reference or not event.image
    return msgspec.structs.replace(spec, from_=origin, reference=reference, import_policy=policy)


def undelete(tx: Transaction, name: TagName, window: float, actor: Actor) -> Written:
    """Bring a deleted tag back as it was, with the manifest that it named.

    `AlreadyExists` when it is there, `NotFound` when it was not deleted or that is too long ago.
    """
    stream = _opened(tx, name)
    row = stream.row(name.tag)
    if row.is_live:
        raise exists_already(_TAGS, str(name))
    deleted = tag_events.find(tx, stream.repository_id, name.tag, row.hidden)
    if deleted is None or deleted.how != DELETE or deleted.recorded_at + window < actor.now:
        raise missing(_TAGS, str(name))
    _revive(stream, name.tag, deleted)
    if not stream.bring_back(name.tag, actor):
        raise missing(_TAGS, str(name))
    if stream.row(name.tag).spec is not None:
        grow(stream)
    stream.save()
    return _written(stream, name.tag)


def _revive(stream: Stream, tag: str, deleted: TagEvent) -> None:
    """Have what the tag named pulled again, if it was deleted since, too."""
    undo = msgspec.json.decode(deleted.detail or "{}", type=Undo)
    event = tag_events.newest_visible(stream.tx, stream.repository_id, tag, undo.hidden)
    if event is not None and event.image:
        bring_back(stream.tx, event.image)
        tag_past.revive(stream.tx, stream.name, event.image)


def _written(stream: Stream, tag: str) -> Written:
    view = view_of(stream, tag)
    image = None if view.named is None else image_now(stream.tx, view.named.image)
    return Written(view, image, False, stream.warnings)


def _invalid(name: TagName, fault: FieldError) -> Exception:
    return invalid_object(_KIND, str(name), [fault])
