"""A kind of which a project may have only so many, since what is asked of one is asked of all.

Counted in the unit that adds one, so that no two that come at once are one too many.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tidegate.apimachinery.documents.units import Accompanied
from tidegate.apimachinery.errors import forbid
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore

T = TypeVar("T")


def bounded(store: ObjectStore, resource: Resource[Any], most: int) -> ObjectStore:
    """The store, with units that make no object of the resource beyond `most` of a project."""

    async def write(unit: Callable[[DocumentTransaction], T]) -> T:
        return await store.write(lambda tx: unit(_Counting(tx, resource, most)))

    return Accompanied(store, write)


class _Counting:
    """A unit of work that knows how many there may be; `Forbidden` for one more."""

    def __init__(self, tx: DocumentTransaction, resource: Resource[Any], most: int) -> None:
        self._tx = tx
        self._resource = resource
        self._most = most

    def get(self, key: Key) -> Document | None:
        return self._tx.get(key)

    def list(
        self, resource: str, namespace: str | None = None, after: Key | None = None, limit: int = 0
    ) -> Sequence[Document]:
        return self._tx.list(resource, namespace, after, limit)

    def put(self, key: Key, uid: str, encode: Callable[[int], bytes]) -> Document:
        if key.resource == self._resource.key and self._tx.get(key) is None:
            self._check(key)
        return self._tx.put(key, uid, encode)

    def _check(self, key: Key) -> None:
        there = self._tx.list(key.resource, key.namespace, None, self._most)
        if len(there) >= self._most:
            whose = f"project {key.namespace}" if key.namespace else "the cluster"
            why = f"{whose} has {self._most} of them, which is as many as it may"
            raise forbid(self._resource.qualified, key.name, why)

    def delete(self, key: Key) -> Document | None:
        return self._tx.delete(key)

    def dependents(self, uid: str) -> Sequence[Document]:
        return self._tx.dependents(uid)
