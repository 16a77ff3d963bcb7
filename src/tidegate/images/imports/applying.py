"""What an import found is written to the stream, in one unit of work (image-api 7.3).

    content of all images -> may the tags name them? -> spec of each tag -> events, conditions

What a rule keeps from one tag is that tag's failure, and the others go on: the unit is undone and
done again without it (`Refusals`). Invariants: a tag that names the image already, as of its
generation, is not touched, and of a stream in which nothing changed nothing is written; a tag whose
import failed keeps its history.
"""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from tidegate.apimachinery.decoding.messages import Status
from tidegate.apimachinery.errors import ApiError, missing
from tidegate.images.imports import conditions
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.orders import Applied, Import, Moved, Refusals
from tidegate.images.imports.picturing import pull_spec
from tidegate.images.imports.planning import Outcome, Wanted, of_tag
from tidegate.images.imports.storing import store
from tidegate.images.kinds.group import REPOSITORY_CHECK
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, TagEventCondition, TagReference
from tidegate.images.streams import generations
from tidegate.images.streams.errors import TagImmutable, TagRefused
from tidegate.images.streams.opening import opened
from tidegate.images.streams.stream import IMPORT, Actor, Change, Stream, key_of
from tidegate.images.tag_names import tag_faults
from tidegate.images.tags.changing import check_namespace, grow, new_stream
from tidegate.images.tags.names import TagName
from tidegate.metastore import document_rows, tag_checks
from tidegate.metastore.database import Transaction
from tidegate.metastore.tag_events import TagEvent
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.errors import OciError
from tidegate.oci.pull_spec import PullSpec


def apply(tx: Transaction, asked: Import, actor: Actor) -> Applied | None:
    """Write what was found; None where `only_wanted` finds no stream.

    Raises `Refusals`, `LimitExceeded`, `QuotaExceeded`, and errors of the API for a stream that
    cannot be made or is another one by now.
    """
    stream = _stream(tx, asked, actor)
    return None if stream is None else _Writing(stream, asked, actor).write()


def _stream(tx: Transaction, asked: Import, actor: Actor) -> Stream | None:
    try:
        check_namespace(tx, TagName(asked.name, ""))
    except ApiError:
        if asked.only_wanted:
            return None
        raise
    stream = opened(tx, asked.name)
    if stream is None:
        if asked.only_wanted:
            return None
        if asked.uid:
            raise missing(IMAGE_STREAMS.qualified, asked.name.stream)
        stream = new_stream(tx, TagName(asked.name, ""), asked.new_uid, actor.now)
    if asked.uid and stream.header.metadata.uid != asked.uid:
        if asked.only_wanted:
            return None
        raise missing(IMAGE_STREAMS.qualified, asked.name.stream)
    return stream


class _Writing:
    """The tags of one unit, as they were and as they are to be."""

    def __init__(self, stream: Stream, asked: Import, actor: Actor) -> None:
        self._stream = stream
        self._asked = asked
        self._actor = actor
        self._next = 1 if stream.made else stream.generation + 1
        self._old: dict[str, TagReference | None] = {}
        self._specs: dict[str, TagReference | None] = {}
        self._events: dict[str, tuple[int, Change]] = {}
        self._conditions: dict[str, list[TagEventCondition]] = {}
        self._refused: dict[int, str] = {}
        self._numbers: dict[str, int] = {}  # of the outcome that is the last to be of a tag
        self._warnings: list[str] = []

    def write(self) -> Applied:
        """Do it all; see `apply`."""
        written = [
            (number, each)
            for number, each in enumerate(self._asked.outcomes)
            if each.wanted.to and self._is_meant(each.wanted)
        ]
        stored = [self._store(*each) for each in written]
        for number, outcome in written:
            self._numbers[outcome.wanted.to] = number
            if outcome.fetched is None:
                self._fail(outcome)
            else:
                self._succeed(number, outcome, outcome.fetched)
        self._end_if_refused()
        self._want()
        moved = self._record()
        self._end_if_refused()
        for tag, said in self._conditions.items():
            self._stream.set_conditions(tag, said)
        for _, outcome in written:
            self._follow(outcome)
        if any(stored):
            self._stream.rules.check_storage(self._stream.tx)
        return self._saved(written, moved)

    def _is_meant(self, wanted: Wanted) -> bool:
        """Whether the tag still wants what was looked for, where that is asked.

        One of a repository that is imported whole need not be there.
        """
        if not self._asked.only_wanted:
            return True
        spec = self._spec(wanted.to)
        if spec is None and not wanted.creates:
            return True
        now = None if spec is None else of_tag(spec)
        return now is not None and now.sought == wanted.sought

    def _spec(self, tag: str) -> TagReference | None:
        if tag not in self._specs:
            self._old[tag] = self._specs[tag] = self._stream.spec(tag)
        return self._specs[tag]

    def _end_if_refused(self) -> None:
        if self._refused:
            raise Refusals(self._refused)

    def _store(self, number: int, outcome: Outcome) -> bool:
        if outcome.fetched is None:
            return False
        fetched = outcome.fetched
        if not self._asked.attached:
            fetched = replace(fetched, referrers=(), signatures=())
        insecure = outcome.wanted.import_policy.insecure
        images, now = self._asked.images[number], self._actor.now
        try:
            return store(self._stream, fetched, images, now, insecure=insecure)
        except OciError as error:
            self._refused[number] = str(error)
            return False

    def _succeed(self, number: int, outcome: Outcome, fetched: Fetched) -> None:
        wanted, tag = outcome.wanted, outcome.wanted.to
        spec, current = self._spec(tag), self._current(tag)
        if faults := self._name_faults(tag):
            self._refused[number] = faults
            return
        reference = pull_spec(wanted.spec or PullSpec(), fetched.digest)
        moved = (
            spec is None
            or current is None
            or (reference, fetched.digest) != (current.reference, current.image)
            or spec.generation is None
            or spec.generation > current.generation
        )
        if moved:
            change = Change(reference, fetched.digest, self._next, source=wanted.source)
            if not self._judge(number, tag, change):
                return
            self._events[tag] = number, change
        self._specs[tag] = wanted.wish(spec, moved=moved)
        self._conditions[tag] = []

    def _current(self, tag: str) -> TagEvent | Change | None:
        """What a tag names, as the unit has it so far."""
        pending = self._events.get(tag)
        return self._stream.current(tag) if pending is None else pending[1]

    def _name_faults(self, tag: str) -> str:
        """What is wrong with the name of a tag that there was not before."""
        if self._stream.row(tag).is_live:
            return ""
        return "; ".join(each.message for each in tag_faults(tag))

    def _judge(self, number: int, tag: str, change: Change) -> bool:
        """Whether the project's rules let the tag name the image."""
        stream, current = self._stream, self._stream.current(tag)
        try:
            if current is None or current.image != change.image:
                if current is not None and current.image:
                    stream.rules.keep(stream.header, stream.name, tag)
                stream.rules.judge_tag(stream.tx, stream.name, tag, change.image)
        except (TagImmutable, TagRefused) as error:
            self._refused[number] = str(error)
            return False
        return True

    def _fail(self, outcome: Outcome) -> None:
        """Say how a tag failed, of one that is new too if it is to be there."""
        wanted, tag = outcome.wanted, outcome.wanted.to
        spec, row = self._spec(tag), self._stream.row(tag)
        if not row.is_live and not self._may_be(tag):
            return
        condition = conditions.failed(outcome.status, self._next, self._actor.now)
        said = self._conditions.get(tag, self._stream.conditions(tag))
        if not conditions.is_said(said, condition, spec):
            self._conditions[tag] = [condition]
            if spec is not None:
                self._specs[tag] = msgspec.structs.replace(spec, generation=0)
        if spec is None and wanted.creates:
            self._specs[tag] = wanted.wish(None, moved=True)

    def _may_be(self, tag: str) -> bool:
        """Whether there may be a new tag of that name."""
        stream = self._stream
        if self._name_faults(tag):
            return False
        try:
            stream.rules.judge_tag(stream.tx, stream.name, tag, "")
        except TagRefused:
            return False
        return True

    def _want(self) -> None:
        """Put the specs of tags, and count that as one change of what is wanted."""
        stream, changed = self._stream, dict[str, TagReference]()
        for tag, spec in self._specs.items():
            if spec is None:
                continue
            kept = generations.kept(self._old[tag], spec)
            if kept != self._old[tag]:
                changed[tag] = kept
        if changed:
            grow(stream)
        for tag, spec in changed.items():
            project, generation = stream.name.project, stream.generation
            wanted = generations.settled(self._old[tag], spec, project, generation)
            try:
                stream.want(tag, wanted)
            except TagRefused as error:
                self._refused[self._numbers[tag]] = str(error)

    def _record(self) -> list[Moved]:
        moved = []
        for tag, (number, change) in self._events.items():
            before = self._stream.current(tag)
            try:
                self._stream.record(tag, change, self._actor)
            except (TagImmutable, TagRefused) as error:  # of a tag that follows this one
                self._refused[number] = str(error)
                continue
            if before is None or before.image != change.image:
                moved.append(Moved(tag, change.image, change.reference))
        return moved

    def _follow(self, outcome: Outcome) -> None:
        """Let cosign's tags name what was found under them.

        Unless they are wanted otherwise, or somebody signed the image here: that stays in force.
        """
        if outcome.fetched is None or not self._asked.attached:
            return
        stream, source = self._stream, outcome.wanted.spec or PullSpec()
        for each in outcome.fetched.referrers:
            current = stream.current(each.tag) if each.tag else None
            if not each.tag or stream.spec(each.tag) is not None:
                continue
            if current is not None and (current.how != IMPORT or current.image == each.digest):
                continue
            reference = pull_spec(source, each.digest)
            copied = source.repository().with_tag(each.tag).exact()
            change = Change(reference, each.digest, stream.generation, source=copied)
            try:
                stream.record(each.tag, change, self._actor)
            except (TagImmutable, TagRefused) as error:
                self._warnings.append(str(error))

    def _saved(self, written: Iterable[tuple[int, Outcome]], moved: list[Moved]) -> Applied:
        stream, annotations = self._stream, self._stream.header.metadata.annotations
        if stream.is_changed or REPOSITORY_CHECK not in annotations:
            checked = {REPOSITORY_CHECK: rfc3339_seconds(self._actor.now)}
            stream.header.metadata.annotations = {**annotations, **checked}
            stream.touch()
        document = stream.save() or document_rows.get(stream.tx, key_of(stream.name))
        assert document is not None  # noqa: S101  it was opened, or saved just now
        for _, outcome in written:
            self._check_noted(outcome)
        return Applied(
            document,
            stream,
            moved,
            {
                *(each.tag for each in moved),
                *(tag for tag, said in self._conditions.items() if said),
            },
            list(dict.fromkeys([*stream.warnings, *self._warnings])),
        )

    def _check_noted(self, outcome: Outcome) -> None:
        wanted, stream, now = outcome.wanted, self._stream, self._actor.now
        if not stream.row(wanted.to).is_live:
            return
        place = stream.tx, stream.repository_id, wanted.to, str(wanted.sought or wanted.source)
        if outcome.fetched is None:
            tag_checks.failed(*place, outcome.status.message, now)
        else:
            tag_checks.seen(*place, outcome.fetched.named or outcome.fetched.digest, now)


def note_refusal(tx: Transaction, asked: Import, status: Status, now: float) -> None:
    """Say of the tags that an import would have made why it could not; only that is written.

    For limits of the project, which are about the whole stream.
    """
    stream = Stream.open(tx, asked.name)
    if stream is None:
        return
    condition = conditions.failed(status, stream.generation + 1, now)
    for outcome in asked.outcomes:
        tag = outcome.wanted.to
        if not tag or outcome.fetched is None or tag_faults(tag):
            continue
        said = stream.conditions(tag)
        if stream.row(tag).current is None and not conditions.is_said(said, condition, None):
            stream.set_conditions(tag, [condition])
    stream.save()
