"""The end of a namespace: its documents, then its images, then its name.

    Terminating --documents deleted, as finalizers allow--> empty --images purged--> gone

Each step can be repeated by anybody at any time. Invariant: when a namespace is removed there is no
document in it at that moment, and its images had been purged after it took no content any more;
so whoever gets the name next finds nothing of what was before.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tidegate.apimachinery.documents.bodies import decoded, is_terminating
from tidegate.apimachinery.documents.deletion import Cascade
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.projects.kinds import (
    FINALIZER,
    NAMESPACES,
    Namespace,
    NamespaceCondition,
    may_go,
)
from tidegate.auth.stored import put, read
from tidegate.observability.timestamp import rfc3339_seconds

BATCH = 100
"""Rows that one unit of work writes: other writers wait for it."""

CONTENT_REMAINING = "NamespaceContentRemaining"
FINALIZERS_REMAINING = "NamespaceFinalizersRemaining"

PurgeContent = Callable[[str], Awaitable[bool]]
"""Make what a namespace holds in the registry unreadable, some at a time; whether all of it is."""


@dataclass(slots=True)
class Held:
    """What could not be deleted yet: documents by resource, and by what holds them."""

    resources: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.resources)

    def add(self, document: Document, body: bytes) -> None:
        self.resources[document.key.resource] += 1
        metadata = decoded(body)["metadata"]
        self.finalizers.update(metadata.get("finalizers", ()))


@dataclass(frozen=True, slots=True)
class Ending:
    """Ends namespaces. `resources` are the keys of all that may be in one."""

    store: ObjectStore
    resources: Sequence[str]
    purge: PurgeContent

    async def terminating(self) -> list[str]:
        """The namespaces that are to go."""
        names: list[str] = []
        after: tuple[str, str] | None = None
        while True:
            listing = await self.store.list(NAMESPACES.key, after=after, limit=BATCH)
            names += [each.key.name for each in listing.documents if is_terminating(each.body)]
            if not listing.more:
                return names
            after = ("", listing.documents[-1].key.name)

    async def end(self, name: str, now: float) -> bool:
        """Go as far as can be gone; whether the namespace is gone.

        While finalizers hold something in it, its conditions say so.
        """
        held = Held()
        for resource in self.resources:
            await self._empty(name, resource, now, held)
        if held:
            await self.store.write(lambda tx: _note(tx, name, held, now))
            return False
        if await self.store.get(Key(NAMESPACES.key, "", name)) is None:
            return True
        while not await self.purge(name):
            pass
        return await self.store.write(lambda tx: self._finish(tx, name, now))

    async def _empty(self, name: str, resource: str, now: float, held: Held) -> None:
        """Delete the documents of one resource, page by page, leaving those that are held."""
        after: Key | None = None
        while True:

            def unit(tx: DocumentTransaction, after: Key | None = after) -> _Seen:
                return _delete_some(tx, name, resource, after, now)

            seen = await self.store.write(unit)
            for document, body in seen.held:
                held.add(document, body)
            if seen.last is None:
                return
            after = seen.last

    def _finish(self, tx: DocumentTransaction, name: str, now: float) -> bool:
        """Take our finalizer off an empty namespace, which goes with the last; whether it did."""
        document = _ending(tx, name)
        if document is None:
            return True
        if any(tx.list(each, name, limit=1) for each in self.resources):
            return False
        namespace = read(NAMESPACES, document)
        namespace.spec.finalizers = [e for e in namespace.spec.finalizers if e != FINALIZER]
        if may_go(namespace) and not namespace.metadata.finalizers:
            Cascade(tx, {}, rfc3339_seconds(now), None).remove(document)
            return True
        if namespace.spec.finalizers != read(NAMESPACES, document).spec.finalizers:
            put(tx, NAMESPACES, namespace)
        return False


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one unit met: what is held, and after which document to go on; None at the end."""

    held: Sequence[tuple[Document, bytes]] = ()
    last: Key | None = None


def _delete_some(
    tx: DocumentTransaction, name: str, resource: str, after: Key | None, now: float
) -> _Seen:
    if _ending(tx, name) is None:
        return _Seen()
    cascade = Cascade(tx, {}, rfc3339_seconds(now), BATCH)
    documents = tx.list(resource, name, after, BATCH)
    held: list[tuple[Document, bytes]] = []
    last = after
    for listed in documents:
        document = tx.get(listed.key)  # it may have gone with its owner
        if document is not None:
            ended = cascade.delete(document, "Background")
            if ended is None:
                return _Seen(held, last or Key(resource, name, ""))
            if not ended.gone:
                held.append((document, ended.body))
        last = listed.key
    return _Seen(held, last if len(documents) == BATCH else None)


def _ending(tx: DocumentTransaction, name: str) -> Document | None:
    """The namespace, if there is one and it is to go."""
    document = tx.get(Key(NAMESPACES.key, "", name))
    return document if document is not None and is_terminating(document.body) else None


def _note(tx: DocumentTransaction, name: str, held: Held, now: float) -> None:
    """Say on the namespace what it waits for."""
    document = _ending(tx, name)
    if document is None:
        return
    namespace = read(NAMESPACES, document)
    resources = ", ".join(
        f"{each}. has {count} resource instances" for each, count in sorted(held.resources.items())
    )
    finalizers = ", ".join(
        f"{each} in {count} resource instances" for each, count in sorted(held.finalizers.items())
    )
    changed = _say(
        namespace,
        CONTENT_REMAINING,
        "SomeResourcesRemain",
        f"Some resources are remaining: {resources}",
        now,
    )
    changed |= _say(
        namespace,
        FINALIZERS_REMAINING,
        "SomeFinalizersRemain",
        f"Some content in the namespace has finalizers remaining: {finalizers}",
        now,
    )
    if changed:
        put(tx, NAMESPACES, namespace)


def _say(namespace: Namespace, kind: str, reason: str, message: str, now: float) -> bool:
    """Set a condition to True; whether that is news."""
    conditions = namespace.status.conditions
    said = next((each for each in conditions if each.type == kind), None)
    if said is not None and said.message == message:
        return False
    since = said.last_transition_time if said is not None else rfc3339_seconds(now)
    namespace.status.conditions = [
        *(each for each in conditions if each.type != kind),
        NamespaceCondition(
            type=kind,
            status="True",
            last_transition_time=since,
            reason=reason,
            message=message,
        ),
    ]
    return True
