"""Storage of a resource whose objects are documents: every verb, over the `ObjectStore` port.

It behaves as a Kubernetes API server with etcd behind it does, and knows no HTTP and no SQL. The
verbs live in modules of their own: `listing`, `creating`, `updating`, `ending`, `watching`.
"""

import time
import uuid
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from tidegate.apimachinery.documents import watching
from tidegate.apimachinery.documents.creating import Creates
from tidegate.apimachinery.documents.ending import Ends, ending_of
from tidegate.apimachinery.documents.listing import Listings
from tidegate.apimachinery.documents.matching import Matching
from tidegate.apimachinery.documents.updating import Turns, Updates
from tidegate.apimachinery.documents.writing import Companions, Writing
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import (
    Admission,
    Call,
    Change,
    Deleted,
    DeleteOptions,
    ListOptions,
    Page,
    Updated,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import ObjectStore

K = TypeVar("K", bound=Object)


def _random_uid() -> str:
    return str(uuid.uuid4())


class DocumentStorage(Generic[K]):
    """All of `storage`'s protocols for one resource.

    `companions(tx, object)` makes other documents in the unit that creates an object. Kinds whose
    end is more than metadata.finalizers say so with `may_go(object)`, whether one can go now as
    far as its finalizers allow, and `terminating(object)`, which changes one that cannot.
    Several storages of the same documents share their `turns`.
    """

    def __init__(
        self,
        resource: Resource[K],
        store: ObjectStore,
        *,
        admission: Admission | None = None,
        companions: Companions[K] | None = None,
        may_go: Callable[[K], bool] | None = None,
        terminating: Callable[[K], None] | None = None,
        clock: Callable[[], float] = time.time,
        new_uid: Callable[[], str] = _random_uid,
        turns: Turns | None = None,
    ) -> None:
        self.resource = resource
        self._store = store
        self._matching = Matching(resource)
        self._listings = Listings(resource, store, self._matching)
        ending = ending_of(resource.type, may_go, terminating)
        writing = Writing(
            resource, store, admission, companions, {resource.key: ending}, clock, new_uid
        )
        self._creates = Creates(writing)
        self._updates = Updates(writing, self._creates, turns or Turns())
        self._ends = Ends(writing, self._listings)

    async def get(self, call: Call, name: str) -> bytes:
        return await self._listings.get(call.namespace, name)

    async def list(self, call: Call, options: ListOptions) -> Page:
        return (await self._listings.list(call.namespace, options)).page()

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`; `new` is changed into what is written."""
        return await self._creates.create(call, cast("K", new))

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        return await self._updates.update(call, name, change, creates=creates)

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        return await self._ends.delete(call, name, options)

    async def delete_collection(
        self, call: Call, selected: ListOptions, options: DeleteOptions
    ) -> Page:
        return await self._ends.delete_collection(call, selected, options)

    async def watch(self, call: Call, options: WatchOptions) -> Watch:
        return await watching.begin(
            self.resource, self._store, self._listings, self._matching, call.namespace, options
        )
