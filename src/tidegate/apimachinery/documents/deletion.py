"""Deleting a document and what depends on it, inside one unit of work.

It stands in for Kubernetes' garbage collector, which follows deletions later and piece by piece:
here an owner and its dependents go together. Documents of every kind are met, so they are edited
as JSON values.

    asked to delete ──▶ nothing holds it ──▶ gone, and with it the last hold on its owners
                  └──▶ finalizers hold it ──▶ deletionTimestamp ──▶ last finalizer removed ──▶ gone

Invariants: a document is removed only after every dependent that it takes along, so that a unit
which stops half-way (see `LIMIT`) can be run again to go on; and an ownerReference is taken off
when its owner goes, so that whatever references are left name owners that live.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from tidegate.apimachinery.documents.bodies import Body, decoded, restamped, stamp
from tidegate.apimachinery.documents.metadata import FOREGROUND, ORPHAN
from tidegate.apimachinery.store import Document, DocumentTransaction, Key

LIMIT = 1000
"""Documents that one unit writes at most: other writers wait for it."""


class Ending(NamedTuple):
    """What is particular to the end of one kind.

    `may_go` says whether the object can go now, as far as its finalizers allow; `terminating`
    gives what it becomes when its deletion begins and it cannot go.
    """

    may_go: Callable[[Body], bool]
    terminating: Callable[[Body], Body]


ORDINARY = Ending(
    lambda values: not values.get("spec", {}).get("finalizers"), lambda values: values
)
"""Documents met on the way: one whose spec has finalizers (a Namespace) is left to its own."""


class Ended(NamedTuple):
    """A document as its deletion left it; `gone` is False while something holds it."""

    body: bytes
    gone: bool


class _Exhausted(Exception):
    """The unit has written enough."""


Steps = Generator[Any, Any, Any]
"""Yields the steps that have to be taken first and is sent what they returned (see `_walk`)."""


class Cascade:
    """One unit's deletions. `endings` are by resource, `now` is the time as metadata has it."""

    def __init__(
        self,
        tx: DocumentTransaction,
        endings: Mapping[str, Ending],
        now: str,
        limit: int | None = LIMIT,
    ) -> None:
        self._tx = tx
        self._endings = endings
        self._now = now
        self._left = limit
        self._underway: set[str] = set()  # uids, from the first document down to this one

    def delete(self, document: Document, propagation: str) -> Ended | None:
        """Delete as far as finalizers allow; None when there is more than one unit does."""
        ended: Ended | None = self._walk(self._delete(document, propagation))
        return ended

    def remove(self, document: Document) -> Ended | None:
        """Remove a document whose finalizers are done; None as above."""
        ended: Ended | None = self._walk(self._remove(document))
        return ended

    def let_go(self, key: Key, references: list[Body]) -> None:
        """Owners that waited for the document at `key` need wait no longer."""
        self._walk(self._let_go(key, references))

    def _walk(self, steps: Steps) -> Any:
        """Take steps depth first, on a stack of our own: chains of owners have any length."""
        stack, result = [steps], None
        try:
            while stack:
                try:
                    stack.append(stack[-1].send(result))
                    result = None
                except StopIteration as end:
                    stack.pop()
                    result = end.value
        except _Exhausted:
            return None
        return result

    def _delete(self, document: Document, propagation: str) -> Steps:
        values = decoded(document.body)
        finalizers: list[str] = values["metadata"].get("finalizers", [])
        held = [each for each in finalizers if each not in (FOREGROUND, ORPHAN)]
        ending = self._endings.get(document.key.resource, ORDINARY)
        may_go = not held and ending.may_go(values)
        match propagation or _by_finalizers(finalizers):
            case "Orphan":
                self._orphan(document)
            case "Foreground":
                if (yield self._delete_dependents(document, "Foreground")):
                    held.append(FOREGROUND)
                    may_go = False
        if may_go:
            return (yield self._remove(document))
        return Ended(self._hold(document, values, held, ending), gone=False)

    def _remove(self, document: Document) -> Steps:
        yield self._delete_dependents(document, "")
        self._spend()
        removed = self._tx.delete(document.key) or document
        yield self._let_go(document.key, _references(decoded(document.body)))
        return Ended(restamped(document.body, str(removed.revision)), gone=True)

    def _delete_dependents(self, owner: Document, propagation: str) -> Steps:
        """Delete what only `owner` owns; whether some of it stays and the owner has to wait."""
        blocked = False
        self._underway.add(owner.uid)
        for listed in self._dependents(owner):
            dependent = self._tx.get(listed.key)  # the steps before may have changed it
            if dependent is None or dependent.uid in self._underway:
                continue
            mine, others = _split(decoded(dependent.body), owner.uid)
            if others:
                self._disown(dependent, owner.uid)
            else:
                ended: Ended = yield self._delete(dependent, propagation)
                blocked |= not ended.gone and any(each.get("blockOwnerDeletion") for each in mine)
        self._underway.discard(owner.uid)
        return blocked

    def _orphan(self, owner: Document) -> None:
        for dependent in self._dependents(owner):
            self._disown(dependent, owner.uid)

    def _let_go(self, key: Key, references: list[Body]) -> Steps:
        for reference in references:
            if not reference.get("blockOwnerDeletion"):
                continue
            owner = self._owner(key.namespace, reference)
            if owner is None or owner.uid in self._underway:
                continue
            metadata = decoded(owner.body)["metadata"]
            if "deletionTimestamp" in metadata and FOREGROUND in metadata.get("finalizers", ()):
                yield self._delete(owner, "Foreground")

    def _hold(self, document: Document, values: Body, held: list[str], ending: Ending) -> bytes:
        """Keep a document that cannot go, and say on it that it shall."""
        metadata = values["metadata"]
        before = decoded(document.body)
        if set(held) != set(metadata.get("finalizers", ())):
            metadata["finalizers"] = held
            if not held:
                del metadata["finalizers"]
        if "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = self._now
            metadata["deletionGracePeriodSeconds"] = 0
            if metadata.get("generation"):
                metadata["generation"] += 1
            values = ending.terminating(values)
        return document.body if values == before else self._put(document, values)

    def _disown(self, dependent: Document, uid: str) -> None:
        """Take the references to an owner off."""
        values = decoded(dependent.body)
        _, others = _split(values, uid)
        values["metadata"]["ownerReferences"] = others
        if not others:
            del values["metadata"]["ownerReferences"]
        self._put(dependent, values)

    def _put(self, document: Document, values: Body) -> bytes:
        self._spend()

        def encode(revision: int) -> bytes:
            stamp(values, str(revision))
            return msgspec.json.encode(values)

        return self._tx.put(document.key, document.uid, encode).body

    def _spend(self) -> None:
        if self._left is not None:
            if self._left <= 0:
                raise _Exhausted
            self._left -= 1

    def _dependents(self, owner: Document) -> Iterator[Document]:
        """What names `owner` and may: an owner in a namespace owns nothing outside of it."""
        for each in self._tx.dependents(owner.uid):
            if owner.key.namespace in ("", each.key.namespace):
                yield each

    def _owner(self, namespace: str, reference: Body) -> Document | None:
        group = str(reference.get("apiVersion", "")).rpartition("/")[0]
        plural = _plural(str(reference.get("kind", "")))
        resource = f"{plural}.{group}" if group else plural
        for place in dict.fromkeys((namespace, "")):
            owner = self._tx.get(Key(resource, place, str(reference.get("name", ""))))
            if owner is not None and owner.uid == reference.get("uid"):
                return owner
        return None


def _by_finalizers(finalizers: list[str]) -> str:
    """How an object says that it is to be deleted, when the request does not."""
    if FOREGROUND in finalizers:
        return "Foreground"
    return "Orphan" if ORPHAN in finalizers else "Background"


def _references(values: Body) -> list[Body]:
    references: list[Body] = values["metadata"].get("ownerReferences", [])
    return references


def _split(values: Body, uid: str) -> tuple[list[Body], list[Body]]:
    """The references to one owner, and the others."""
    references = _references(values)
    return (
        [each for each in references if each.get("uid") == uid],
        [each for each in references if each.get("uid") != uid],
    )


def _plural(kind: str) -> str:
    """The resource of a kind, guessed as Kubernetes' `UnsafeGuessKindToResource` does."""
    singular = kind.lower()
    if singular.endswith("y"):
        return singular[:-1] + "ies"
    return singular + ("es" if singular.endswith("s") else "s")
