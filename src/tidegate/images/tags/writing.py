"""Creating, changing and deleting one tag, as ImageStreamTag or ImageTag.

    read the tag -> what the request makes of it -> may its source be read? -> one unit of work

The unit goes ahead if the tag is what was read, so that a write without a resourceVersion never
fails because another tag of the stream changed (or this one: then it begins again). With one it
holds for the whole stream, whose version it is.
"""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import msgspec

from tidegate.apimachinery.authorizer import Attributes, Authorizer, User
from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.documents.updating import Turns
from tidegate.apimachinery.errors import (
    exists_already,
    forbidden,
    invalid_object,
    missing,
    modified,
)
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.storage import Call, Change, Deleted, DeleteOptions, Updated
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.kinds.tag_reference import TagReference, default_tag
from tidegate.images.streams.generations import is_moved
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.planning import Plan, Wish, foreign_sources, malformed
from tidegate.images.streams.refusals import not_readable, refused
from tidegate.images.streams.registries import fault, is_insecure, named
from tidegate.images.streams.stream import TAG, Actor, Stream
from tidegate.images.tag_names import tag_faults
from tidegate.images.tags.changing import grow, new_stream, run, told, want
from tidegate.images.tags.forms import Form, values_of
from tidegate.images.tags.names import TagName, tag_name
from tidegate.images.tags.reading import Reads, image_now, view_of
from tidegate.images.tags.rendering import View
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore import stream_tags
from tidegate.metastore.database import Transaction
from tidegate.oci.name import RepositoryName

_ATTEMPTS = 100
"""Times that a write begins again; only other processes and pushes of the tag can overtake it."""


class Written(NamedTuple):
    """What a unit left behind."""

    view: View
    image: Image | None
    created: bool
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Intent:
    """What a write is going to do, `exact` to the very version of the stream that was read."""

    name: TagName
    seen: View | None
    wanted: TagReference | None
    exact: bool = False
    creating: bool = False
    uid: str = ""


class _Overtaken(Exception):
    """The tag, or the stream, is not what was read any more."""


class TagWrites:
    """Writes of tags in one form."""

    def __init__(
        self,
        form: Form,
        reads: Reads,
        authorizer: Authorizer,
        hosts: Hosts,
        config: RegistryConfig,
        turns: Turns,
        clock: Callable[[], float],
    ) -> None:
        self._form = form
        self._resource = form.resource
        self._reads = reads
        self._authorizer = authorizer
        self._hosts = hosts
        self._config = config
        self._turns = turns
        self._clock = clock

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`: a tag of which nothing is wanted yet; its stream is made, too."""
        self._address(call, new, new.metadata.name)
        await weighed(call.weight, self._validate, new, None)
        name = tag_name(self._resource, call.namespace, new.metadata.name)
        async with self._turn(name):
            for _ in range(_ATTEMPTS):
                seen = await self._reads.view(name)
                if seen is not None and seen.row.spec is not None:
                    raise exists_already(self._resource.qualified, str(name))
                wanted = self._form.wanted(new, seen, creating=True)
                intent = _Intent(name, seen, wanted, creating=True, uid=str(uuid.uuid4()))
                try:
                    return self._answer(call, intent, await self._write(call, intent))
                except _Overtaken:
                    continue
        raise modified(self._resource.qualified, str(name))

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """See `storage.Updater`."""
        tag = tag_name(self._resource, call.namespace, name)
        async with self._turn(tag):
            for _ in range(_ATTEMPTS):
                seen = await self._reads.view(tag)
                if seen is None and not creates:
                    raise missing(self._resource.qualified, name)
                intent = await weighed(call.weight, self._planned, call, tag, seen, change)
                try:
                    written = await self._write(call, intent)
                except _Overtaken:
                    continue
                return Updated(self._answer(call, intent, written), created=written.created)
        raise modified(self._resource.qualified, name)

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        """See `storage.Deleter`: what is wanted of the tag and what it names, not the image."""
        tag = tag_name(self._resource, call.namespace, name)
        actor = Actor(call.user.name, TAG, self._clock())
        unit = partial(self._drop, name=tag, options=options, actor=actor)
        with told(tag):
            call.warnings.extend(await run(self._reads.db, unit, dry_run=call.dry_run))
        return Deleted(b"", gone=True)

    def _drop(
        self, tx: Transaction, name: TagName, options: DeleteOptions, actor: Actor
    ) -> list[str]:
        stream = Stream.open(tx, name.stream)
        if stream is None:
            raise missing(self._resource.qualified, name.stream.stream)
        metadata = stream.header.metadata
        if options.uid and options.uid != metadata.uid:
            why = "the UID precondition was not met"
            raise modified(self._resource.qualified, str(name), why)
        if options.resource_version and options.resource_version != metadata.resource_version:
            raise modified(self._resource.qualified, str(name))
        was_wanted = stream.row(name.tag).spec is not None
        if not stream.drop(name.tag, actor):
            raise missing(self._resource.qualified, str(name))
        if was_wanted:
            grow(stream)
        stream.save()
        return stream.warnings

    def _planned(self, call: Call, name: TagName, seen: View | None, change: Change) -> _Intent:
        """What a request makes of a tag, judged by the rules of its kind."""
        current = None if seen is None else self._form.shown(seen, None, self._hosts)
        new = change(values_of(current))
        self._address(call, new, str(name))
        exact = self._check_version(name, new, seen)
        self._validate(new, current)
        wanted = self._form.wanted(new, seen, creating=False)
        return _Intent(name, seen, wanted, exact=exact, uid=str(uuid.uuid4()))

    def _check_version(self, name: TagName, new: Object, seen: View | None) -> bool:
        """Whether the request is about one version, which is then the one that was read."""
        wanted = new.metadata.resource_version
        if not wanted:
            return False
        if seen is None:
            raise missing(self._resource.qualified, str(name))
        current = seen.header.metadata.resource_version
        if wanted != current:
            why = f"another caller has updated the resource version to {current}"
            raise modified(self._resource.qualified, str(name), why)
        return True

    def _address(self, call: Call, new: Object, name: str) -> None:
        new.metadata.name, new.metadata.namespace = name, call.namespace

    def _validate(self, new: Object, old: Object | None) -> None:
        said = self._form.said(new)
        if said is not None:
            before = None if old is None else self._form.said(old)
            default_tag(said, self._config.import_mode(), before)
        self._resource.strategy.prepare(new, old)
        faults = validate_metadata(self._resource, new.metadata, None)
        faults += self._form.faults(new, old)
        faults += self._resource.strategy.validate(new, old)
        if faults:
            raise invalid_object(self._resource.qualified_kind, new.metadata.name, faults)

    async def _write(self, call: Call, intent: _Intent) -> Written:
        readable = await self._readable(call.user, intent)
        policy = await self._allowed(intent)
        actor = Actor(call.user.name, TAG, self._clock())
        unit = partial(self._unit, intent=intent, actor=actor, readable=readable, policy=policy)
        with told(intent.name, intent.wanted):
            return await run(self._reads.db, unit, dry_run=call.dry_run)

    async def _readable(self, user: User, intent: _Intent) -> Collection[str]:
        """The stream of another namespace that a tag is to come from, if the user may read it."""
        wanted, name = intent.wanted, intent.name
        old = None if intent.seen is None else intent.seen.spec
        if wanted is None or not is_moved(old, wanted, name.stream.project):
            return ()
        metadata = ObjectMeta(name=name.stream.stream, namespace=name.stream.project)
        wish = Wish(name.tag, wanted, moved=True)
        whole = Plan(ImageStream(metadata=metadata), intent.seen is None, [wish])
        faults = malformed(whole)
        if faults:
            raise refused(name.stream.stream, faults)
        sources = foreign_sources(whole)
        for source in sources:
            if not await may_pull(self._authorizer, user, source):
                raise refused(name.stream.stream, [not_readable(name.tag, source)])
        return sources

    async def _allowed(self, intent: _Intent) -> ImportPolicy:
        """The registries that the tag may be of, those of its past included.

        `Invalid` when it is to come from another one.
        """
        policy, seen = (await self._config.current()).imports(), intent.seen
        if not policy.restricted:
            return policy
        annotated = seen is not None and is_insecure(seen.header.metadata.annotations)
        known = policy.knowing([named(None if seen is None else seen.spec)])
        if source := named(intent.wanted):
            assert intent.wanted is not None  # noqa: S101  it comes from somewhere
            insecure = annotated or intent.wanted.import_policy.insecure
            if why := fault(known, source, insecure=insecure):
                faults = [forbidden(f"{self._form.path}.from.name", why)]
                raise invalid_object(self._resource.qualified_kind, str(intent.name), faults)
        return known.knowing(() if seen is None else (each.reference for each in seen.events))

    def _unit(
        self,
        tx: Transaction,
        intent: _Intent,
        actor: Actor,
        readable: Collection[str],
        policy: ImportPolicy,
    ) -> Written:
        name = intent.name
        stream = Stream.open(tx, name.stream)
        _check_unchanged(intent, stream)
        if stream is None:
            stream = new_stream(tx, name, intent.uid, actor.now)
        is_new = stream.row(name.tag).spec is None
        if is_new and intent.wanted is not None and (faults := tag_faults(name.tag)):
            raise invalid_object(self._resource.qualified_kind, str(name), faults)
        if not (intent.creating and intent.wanted is None):
            want(stream, name.tag, intent.wanted, actor, readable, policy)
        stream.save()
        view = view_of(stream, name.tag)
        image = None if view.named is None else image_now(tx, view.named.image)
        created = is_new and intent.wanted is not None
        return Written(view, image, created, stream.warnings)

    def _answer(self, call: Call, intent: _Intent, written: Written) -> bytes:
        call.warnings.extend(written.warnings)
        shown = self._form.shown(written.view, written.image, self._hosts)
        if call.dry_run:  # nobody can ask for a version that never was
            seen = intent.seen
            version = "" if seen is None else seen.header.metadata.resource_version
            shown.metadata.resource_version = version
        return msgspec.json.encode(shown)

    def _turn(self, name: TagName) -> Any:
        """What to hold while a tag is written; both forms of it share it."""
        return self._turns.of(Key("tags", name.stream, name.tag))


def _check_unchanged(intent: _Intent, stream: Stream | None) -> None:
    """Raise `_Overtaken` when what a intent was made from is something else by now."""
    seen = intent.seen
    if stream is None or seen is None:
        if stream is not None or seen is not None:
            raise _Overtaken
        return
    was, now = seen.header.metadata, stream.header.metadata
    # neither what is left of a deleted tag was read, nor what an older version left of one, which
    # `Stream.row` would give
    row = stream_tags.find(stream.tx, stream.repository_id, intent.name.tag)
    changed = row.changed if row is not None and row.is_live else 0
    if was.uid != now.uid or changed != seen.row.changed:
        raise _Overtaken
    if intent.exact and was.resource_version != now.resource_version:
        raise _Overtaken


async def may_pull(authorizer: Authorizer, user: User, stream: RepositoryName) -> bool:
    """Whether a user may read the images of a stream."""
    asked = Attributes("get", "imagestreams/layers", namespace=stream.project, name=stream.stream)
    return await authorizer.authorize(user, asked)
