"""One image stream in one unit of work: its header, and everything that can happen to its tags.

    Stream.open / Stream.make -> record, want, drop, ... -> save

The header is a document, tags and events are rows (`metastore`). What a method does is visible to
the next one at once; `save` puts the header under a new revision, which every tag that changed then
carries, and does nothing when nothing changed. Invariants: the registry's tag follows the newest
event; tags that track another get its events in the same unit; each refusal undoes the whole unit.
"""

from dataclasses import dataclass, field, replace

import msgspec

from tidegate.apimachinery.store import Document, Key
from tidegate.images.kinds.image_stream import (
    IMAGE_STREAMS,
    ImageStream,
    TagEventCondition,
    TagReference,
)
from tidegate.images.streams import inherited
from tidegate.images.streams.errors import TagRefused
from tidegate.images.streams.growth import Growth
from tidegate.images.streams.rules import Rules
from tidegate.metastore import document_rows, manifests, repositories, stream_tags, tag_events, tags
from tidegate.metastore.database import Transaction
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import DELETE, UNDELETE, TagEvent
from tidegate.oci.name import RepositoryName

_HEADER = msgspec.json.Decoder(ImageStream)
_SPEC = msgspec.json.Decoder(TagReference)
_CONDITIONS = msgspec.json.Decoder(list[TagEventCondition])

PUSH, TAG, IMPORT, ROLLBACK = "push", "tag", "import", "rollback"
"""How a tag came to name an image; `delete` and `undelete` are in `tag_events`."""

FOLLOWERS = 200
"""Tags that move with one: each is an event of its own, in the unit that others wait for."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes a stream, how, and when (seconds since the epoch)."""

    who: str
    how: str
    now: float


@dataclass(frozen=True, slots=True)
class Change:
    """What a tag is to name: an image, how to pull it, and as of which generation.

    `created` is what clients are shown; None stands for now. `source` says for the history what it
    was copied from: `NS/NAME:TAG`, `NS/NAME@IMAGE` or a pull spec.
    """

    reference: str
    image: str
    generation: int
    created: float | None = None
    source: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether the reference means this image for ever, wherever it is pulled from."""
        return self.reference.endswith(f"@{self.image}")


class Undo(msgspec.Struct):
    """What a deleted tag was: kept as the detail of its `delete` event."""

    hidden: int
    spec: str | None
    tracks: str | None
    conditions: str | None


@dataclass(slots=True, eq=False)
class Stream:
    """A stream that is being written. `warnings` are for whoever asked for the write."""

    tx: Transaction
    name: RepositoryName
    repository_id: int
    header: ImageStream
    rules: Rules
    made: bool = False
    warnings: list[str] = field(default_factory=list)
    _rows: dict[str, TagRow] = field(default_factory=dict)
    _touched: set[str] = field(default_factory=set)
    _following: dict[str, set[str]] = field(default_factory=dict)  # or did, earlier in the unit
    _dirty: bool = False
    _growth: Growth | None = None
    _stored: Document | None = None
    _events: dict[str, TagEvent] = field(default_factory=dict)
    _followed: set[str] = field(default_factory=set)

    @classmethod
    def open(
        cls, tx: Transaction, name: RepositoryName, rules: Rules | None = None
    ) -> "Stream | None":
        """The stream as it is; None when there is none."""
        document = document_rows.get(tx, key_of(name))
        if document is None:
            return None
        stream = cls(
            tx,
            name,
            repositories.ensure(tx, name),
            _HEADER.decode(document.body),
            rules or Rules.load(tx, name.project),
        )
        stream._stored = document
        return stream

    @classmethod
    def make(
        cls, tx: Transaction, name: RepositoryName, header: ImageStream, rules: Rules | None = None
    ) -> "Stream":
        """A stream that is not there yet; `header` has its metadata complete but for the version.

        Raises `QuotaExceeded` and `TagRefused` for a name against the project's rules.
        """
        rules = rules or Rules.load(tx, name.project)
        stream = cls(tx, name, repositories.ensure(tx, name), header, rules, made=True)
        stream._dirty = True
        stream.warnings += rules.judge_stream(tx, name)
        return stream

    @property
    def generation(self) -> int:
        """metadata.generation, which counts changes of what is wanted."""
        return self.header.metadata.generation

    def row(self, tag: str) -> TagRow:
        """The row of a tag; a new one when there never was such a tag."""
        found = self._rows.get(tag)
        if found is None:
            found = self._rows[tag] = self._read(tag)
        return found

    def _read(self, tag: str) -> TagRow:
        """The row of a tag as it is stored, with what else is asked of a tag that changes."""
        stored = stream_tags.look_up(self.tx, self.repository_id, tag)
        if stored.followed:
            self._followed.add(tag)
        if stored.current is not None:
            self._events[tag] = stored.current
        if stored.row is not None:
            return stored.row
        return self._inherited(tag) if stored.older else TagRow(tag)

    def _inherited(self, tag: str) -> TagRow:
        """A tag that the stream does not know, and the registry does: an older version had it."""
        revision = int(self.header.metadata.resource_version or 0)
        found = inherited.tag(self.tx, self.repository_id, self.name, tag, revision)
        if found is None:
            return TagRow(tag)
        self._touched.add(tag)
        return found

    def spec(self, tag: str) -> TagReference | None:
        """What is wanted of a tag."""
        text = self.row(tag).spec
        return None if text is None else _SPEC.decode(text)

    def conditions(self, tag: str) -> list[TagEventCondition]:
        """What is wrong with a tag's import."""
        text = self.row(tag).conditions
        return [] if text is None else _CONDITIONS.decode(text)

    def current(self, tag: str) -> TagEvent | None:
        """What a tag names now."""
        number = self.row(tag).current
        if number is None:
            return None
        known = self._events.get(tag)
        if known is not None and known.number == number:
            return known
        return tag_events.find(self.tx, self.repository_id, tag, number)

    def record(self, tag: str, change: Change, actor: Actor) -> bool:
        """Let a tag name an image from now on, and every tag that tracks it; whether it changed.

        What is the same as the newest event changes nothing, or that event in its place (the
        original's rules for a history, image-api 4.6). Raises `TagImmutable`, `TagRefused`.
        """
        changed = False
        waiting, seen = [tag], {tag}
        while waiting:
            each = waiting.pop(0)
            if not self._record(each, change, actor):
                continue
            changed = True
            followers = self._followers(each)
            if not followers:
                continue
            change = replace(change, source=f"{self.name}:{tag}")
            waiting += [follower for follower in followers if follower not in seen]
            seen.update(followers)
            if len(seen) > FOLLOWERS + 1:
                raise TagRefused(f"more than {FOLLOWERS} tags of {self.name} follow {tag}")
        return changed

    def _followers(self, tag: str) -> list[str]:
        """Tags that track this one, as the unit has it so far."""
        stored: list[str] = []
        if tag in self._followed or tag not in self._rows:
            stored = stream_tags.tracking(self.tx, self.repository_id, tag)
        names = {name for name in stored if name not in self._rows}
        known = {*stored, *self._following.get(tag, ())} - names
        names.update(name for name in known if self._rows[name].tracks == tag)
        return sorted(names)

    def _record(self, tag: str, change: Change, actor: Actor) -> bool:
        row, current = self.row(tag), self.current(tag)
        if current is not None and change.image == current.image:
            same = (change.reference, change.generation) == (current.reference, current.generation)
            if same and row.conditions is None:
                return False
            if change.image or change.reference == current.reference:
                if change.reference != current.reference and not change.is_pinned:
                    # pulled by this reference, an immutable tag would be whatever it is then
                    self.warnings += self.rules.keep(self.header, self.name, tag)
                self._amend(row, current, change)
                return True
        self._judge(tag, current, change)
        if current is not None and change.reference == current.reference:
            self._amend(row, current, change)
            return True
        self._append(row, change, actor)
        return True

    def _append(self, row: TagRow, change: Change, actor: Actor) -> None:
        number = row.newest + 1
        event = TagEvent(
            number,
            actor.now if change.created is None else change.created,
            actor.now,
            change.reference,
            change.image,
            change.generation,
            actor.how,
            actor.who,
            detail=change.source or None,
        )
        self._growing().image(change.image)
        tag_events.append(self.tx, self.repository_id, row.name, event)
        self._events[row.name] = event
        self._keep(row._replace(newest=number, current=number, conditions=None))
        tags.lead(self.tx, self.repository_id, row.name, change.image, actor.now)

    def _amend(self, row: TagRow, current: TagEvent, change: Change) -> None:
        event = current._replace(
            reference=change.reference, image=change.image, generation=change.generation
        )
        if change.image != current.image:
            self._growing().image(change.image)
        tag_events.amend(self.tx, self.repository_id, row.name, event)
        self._events[row.name] = event
        self._keep(row._replace(conditions=None))
        tags.lead(self.tx, self.repository_id, row.name, change.image, event.recorded_at)

    def _judge(self, tag: str, current: TagEvent | None, change: Change) -> None:
        if current is not None and current.image:
            self.warnings += self.rules.keep(self.header, self.name, tag)
        self.warnings += self.rules.judge_tag(self.tx, self.name, tag, change.image)

    def want(self, tag: str, spec: TagReference | None) -> None:
        """Set what is wanted of a tag, as it is to be stored; None takes it away.

        Neither resolves anything nor counts a generation. Raises `TagRefused`.
        """
        row = self.row(tag)
        text = None if spec is None else msgspec.json.encode(spec).decode()
        if text == row.spec:
            return
        if spec is not None and not row.is_live:
            self.warnings += self.rules.judge_tag(self.tx, self.name, tag, "")
        self._growing().source(spec)
        tracks = None if spec is None else tracked_tag(self.name, spec)
        if tracks is not None and tracks != row.tracks:
            self._check_followed(tracks)
        self._keep(row._replace(spec=text, tracks=tracks))
        self._dirty = True

    def _check_followed(self, tag: str) -> None:
        if len(self._followers(tag)) >= FOLLOWERS:
            raise TagRefused(f"{FOLLOWERS} tags follow tag {tag}, which is as many as may")

    def set_conditions(self, tag: str, conditions: list[TagEventCondition]) -> None:
        """Say what is wrong with a tag's import; an empty list when nothing is."""
        text = msgspec.json.encode(conditions).decode() if conditions else None
        row = self.row(tag)
        if text != row.conditions:
            self._keep(row._replace(conditions=text))

    def drop(self, tag: str, actor: Actor) -> bool:
        """Delete a tag, what is wanted of it and what it named; False when there was none.

        Its events stay, hidden, for `bring_back`. Raises `TagImmutable`.
        """
        row = self.row(tag)
        if not row.is_live:
            return False
        current = self.current(tag)
        if current is not None and current.image:
            self.warnings += self.rules.keep(self.header, self.name, tag, deleting=True)
        undo = Undo(row.hidden, row.spec, row.tracks, row.conditions)
        self._tell(row, DELETE, actor, msgspec.json.encode(undo).decode())
        number = row.newest + 1
        self._keep(TagRow(tag, hidden=number, newest=number))
        tags.lead(self.tx, self.repository_id, tag, "", actor.now)
        return True

    def bring_back(self, tag: str, actor: Actor) -> bool:
        """Undo the last delete of a tag; False when it is there, or was never deleted.

        The manifests that it names are the caller's to bring back first.
        """
        row = self.row(tag)
        if row.is_live or not row.hidden:
            return False
        event = tag_events.find(self.tx, self.repository_id, tag, row.hidden)
        if event is None or event.how != DELETE or event.detail is None:
            return False
        undo = msgspec.json.decode(event.detail, type=Undo)
        self._growing().past(tag, undo.hidden)
        self._growing().source(None if undo.spec is None else _SPEC.decode(undo.spec))
        self._tell(row, UNDELETE, actor, None)
        current = tag_events.newest_visible(self.tx, self.repository_id, tag, undo.hidden)
        back = TagRow(
            tag,
            undo.spec,
            undo.tracks,
            undo.conditions,
            undo.hidden,
            row.newest + 1,
            None if current is None else current.number,
        )
        self._keep(back)
        tags.lead(
            self.tx, self.repository_id, tag, "" if current is None else current.image, actor.now
        )
        self._dirty = self._dirty or undo.spec is not None
        return True

    def _tell(self, row: TagRow, how: str, actor: Actor, detail: str | None) -> None:
        event = TagEvent(
            row.newest + 1,
            actor.now,
            actor.now,
            "",
            "",
            self.generation,
            how,
            actor.who,
            None,
            detail,
        )
        tag_events.append(self.tx, self.repository_id, row.name, event)

    def prune(self, tag: str, numbers: list[int], now: float) -> None:
        """Take events out of a tag's shown history; the tag then names what is newest of the rest.

        A tag of which nothing is left, and of which nothing is wanted, is gone.
        """
        row = self.row(tag)
        if row.current in numbers:
            self.warnings += self.rules.keep(self.header, self.name, tag, deleting=True)
        tag_events.remove(self.tx, self.repository_id, tag, numbers, now)
        current = tag_events.newest_visible(self.tx, self.repository_id, tag, row.hidden)
        number = None if current is None else current.number
        self._keep(row._replace(current=number))
        if number != row.current:
            image = "" if current is None else current.image
            tags.lead(self.tx, self.repository_id, tag, image, now)

    def release(self, tag: str, numbers: list[int], now: float) -> None:
        """Let go of the images of pruned events which no history of the stream names any more.

        They are no longer the stream's: they cannot be pulled from it.
        """
        for number in numbers:
            event = tag_events.find(self.tx, self.repository_id, tag, number)
            if event is not None and event.image:
                manifests.release(self.tx, self.name, self.repository_id, event.image, now)

    @property
    def is_changed(self) -> bool:
        """Whether `save` has something to write."""
        return self._dirty or bool(self._touched)

    def touch(self) -> None:
        """Have `save` put the header: something of it was changed."""
        self._dirty = True

    def save(self) -> Document | None:
        """Write the header under a new revision if anything changed, and give its document.

        Raises `LimitExceeded` when what grew is more than the project allows.
        """
        if not self.is_changed:
            return None
        metadata = self.header.metadata

        def encode(revision: int) -> bytes:
            metadata.resource_version = str(revision)
            return msgspec.json.encode(self.header)

        document = document_rows.replace(
            self.tx, key_of(self.name), self._stored, metadata.uid, encode
        )
        self._stored = document
        for tag in sorted(self._touched):
            row = self._rows[tag]._replace(changed=document.revision)
            stream_tags.put(self.tx, self.repository_id, row)
            self._rows[tag] = row
        if self._growth is not None:
            self._growth.check()
        self._touched.clear()
        self._dirty, self._growth = False, None
        return document

    def _growing(self) -> Growth:
        """What the stream gets more of until `save`."""
        if self._growth is None:
            self._growth = Growth(self.tx, self.repository_id, self.name, self.rules)
        return self._growth

    def _keep(self, row: TagRow) -> None:
        """Note the row of a tag, which `save` writes with the revision of the change."""
        self._rows[row.name] = row
        self._touched.add(row.name)
        if row.tracks is not None:
            self._following.setdefault(row.tracks, set()).add(row.name)


def key_of(name: RepositoryName) -> Key:
    """Where the header of a stream is."""
    return Key(IMAGE_STREAMS.key, name.project, name.stream)


def tracked_tag(name: RepositoryName, spec: TagReference) -> str | None:
    """The tag of the same stream that a tag follows; None for one that follows none.

    A bare `tag` means this stream, and so does `stream:tag` (image-api 4.4).
    """
    source = spec.from_
    if source is None or source.kind != "ImageStreamTag":
        return None
    if source.namespace not in ("", name.project):
        return None
    stream, colon, tag = source.name.partition(":")
    if not colon:
        return source.name
    return tag if stream == name.stream else None
