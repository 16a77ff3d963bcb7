"""Updating documents, and creating them by an update.

Changes of one object are made one after the other in a process, so that only other processes can
overtake one. Invariants: a change is made to the very version that it was made from, or made again;
and a write that changes nothing is none.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec

from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.documents.bodies import (
    Body,
    decoded,
    restamped,
    same_content,
    same_desire,
)
from tidegate.apimachinery.documents.creating import Creates
from tidegate.apimachinery.documents.units import run
from tidegate.apimachinery.documents.writing import Writing, encoded
from tidegate.apimachinery.errors import AlreadyExists, missing, modified
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.storage import Admitted, Call, Change, Updated
from tidegate.apimachinery.store import Document, DocumentTransaction, Key

K = TypeVar("K", bound=Object)

_ATTEMPTS = 100
"""Times that a change is made to what others go on changing. Kubernetes tries until the request's
time is up; here it is only the other processes, in turn, that somebody can lose against."""


@dataclass(frozen=True, slots=True)
class _Changed(Generic[K]):
    """An object before and after a change, and what the change amounts to."""

    old: K
    new: K
    goes: bool
    same: bool


class _Overtaken(Exception):
    """Somebody else wrote since the object was read."""


class Turns:
    """Whose turn it is to change an object, among all in this process who would."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: Key) -> asyncio.Lock:
        """What to hold while changing the object."""
        return self._turns.get(key) or self._turns.setdefault(key, asyncio.Lock())


class Updates(Generic[K]):
    """Updates of one resource; others who change the same objects share the `turns`."""

    def __init__(self, writing: Writing[K], creates: Creates[K], turns: Turns) -> None:
        self._writing = writing
        self._creates = creates
        self._turns = turns
        self._decode = msgspec.json.Decoder(writing.resource.type).decode

    async def update(self, call: Call, name: str, change: Change, *, creates: bool) -> Updated:
        """See `storage.Updater`."""
        key = Key(self._writing.resource.key, call.namespace, name)
        async with self._turns.of(key):
            return await self._in_turn(call, key, change, creates=creates)

    async def _in_turn(self, call: Call, key: Key, change: Change, *, creates: bool) -> Updated:
        name = key.name
        for _ in range(_ATTEMPTS):
            current = await self._writing.store.get(key)
            try:
                if current is not None:
                    return Updated(await self._update(call, current, change))
                if not (creates or self._writing.resource.strategy.update_creates):
                    raise missing(self._writing.resource.qualified, name)
                return Updated(await self._update_to_create(call, name, change), created=True)
            except _Overtaken:
                continue
        raise modified(self._writing.resource.qualified, name)

    async def _update_to_create(self, call: Call, name: str, change: Change) -> bytes:
        new = await weighed(call.weight, self._applied, call, name, change, None)
        self._check_uid(new.metadata, name, "")
        new.metadata.resource_version = ""
        try:
            return await self._creates.make(call, new)
        except AlreadyExists as error:
            raise _Overtaken from error

    async def _update(self, call: Call, current: Document, change: Change) -> bytes:
        weight = call.weight + len(current.body)
        made = await weighed(weight, self._changed, call, current, change)
        await self._writing.admit(Admitted(call, made.new, made.old))
        if not made.goes and made.same:
            return current.body
        while True:
            body = await run(
                self._writing.store,
                lambda tx: self._replace(tx, call, current, made),
                dry_run=call.dry_run,
            )
            if body is not None:
                return restamped(body, str(current.revision)) if call.dry_run else body

    def _changed(self, call: Call, current: Document, change: Change) -> _Changed[K]:
        """What becomes of an object, judged by the rules of its kind."""
        old = self._decode(current.body)
        new = self._applied(call, current.key.name, change, decoded(current.body))
        self._check_uid(new.metadata, current.key.name, old.metadata.uid)
        wanted = new.metadata.resource_version
        if wanted and wanted != old.metadata.resource_version:
            raise modified(self._writing.resource.qualified, current.key.name)
        _keep(new.metadata, old.metadata)
        self._writing.resource.strategy.prepare(new, old)
        before, after = _values(old), _values(new)
        if self._writing.resource.strategy.counts_generation and not same_desire(after, before):
            new.metadata.generation = old.metadata.generation + 1
        self._writing.validate(new, old)
        return _Changed(old, new, self._goes(new, old, after), same_content(after, before))

    def _goes(self, new: K, old: K, after: Body) -> bool:
        """Whether this write takes away the last that held an object which is to go."""
        return bool(
            old.metadata.deletion_timestamp
            and not new.metadata.finalizers
            and not old.metadata.deletion_grace_period_seconds
            and self._writing.endings[self._writing.resource.key].may_go(after)
        )

    def _replace(
        self, tx: DocumentTransaction, call: Call, current: Document, made: _Changed[K]
    ) -> bytes | None:
        """The unit that replaces an object; None when what hangs on it needs another one."""
        stored = tx.get(current.key)
        if stored is None or (stored.uid, stored.revision) != (current.uid, current.revision):
            raise _Overtaken
        cascade, new, old = self._writing.cascade(tx, call), made.new, made.old
        if made.goes:
            # The answer is the object as it was to be; that it went is what a watch tells.
            gone = cascade.remove(stored)
            return None if gone is None else encoded(new, str(current.revision))
        body = tx.put(current.key, current.uid, lambda revision: encoded(new, str(revision))).body
        if old.metadata.owner_references != new.metadata.owner_references:
            references = msgspec.to_builtins(old.metadata.owner_references)
            cascade.let_go(current.key, references)
        return body

    def _applied(
        self, call: Call, name: str, change: Change, current: Mapping[str, Any] | None
    ) -> K:
        # A copy, since `change` may give the same object again when it is asked again.
        new = self._decode(msgspec.json.encode(change(current)))
        self._writing.address(call, new, name)
        return new

    def _check_uid(self, metadata: ObjectMeta, name: str, uid: str) -> None:
        if metadata.uid not in ("", uid):
            raise modified(
                self._writing.resource.qualified,
                name,
                f"Precondition failed: UID in precondition: {metadata.uid}, "
                f"UID in object meta: {uid}",
            )


def _keep(new: ObjectMeta, old: ObjectMeta) -> None:
    """Put back what the server owns."""
    new.uid, new.self_link, new.generation = old.uid, old.self_link, old.generation
    new.creation_timestamp = old.creation_timestamp
    new.deletion_timestamp = old.deletion_timestamp
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds
    new.resource_version = old.resource_version


def _values(struct: Object) -> Body:
    values: Body = msgspec.json.decode(msgspec.json.encode(struct))
    return values
