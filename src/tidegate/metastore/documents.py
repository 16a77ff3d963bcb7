"""The ports `ObjectStore` and `Counting`: API objects in the database, their past, their watchers.

Puts together what its neighbours do: `document_rows` the tables, `history` the past, `feed` what is
told as it happens. Knows bodies as bytes. Invariant: what a reader saw at a revision and what a
watch tells after it make up the whole, on whichever process either was asked.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tidegate.apimachinery.store import (
    Change,
    Document,
    DocumentTransaction,
    Key,
    Listing,
    Subscription,
)
from tidegate.metastore import document_rows, history
from tidegate.metastore.changes import span
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.document_rows import Place, Range
from tidegate.metastore.feed import Feed
from tidegate.metastore.ring import CHANGES

T = TypeVar("T")


class DocumentUnit:
    """What a unit of work is handed: a `DocumentTransaction` on a `Transaction`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, key: Key) -> Document | None:
        return document_rows.get(self._tx, key)

    def list(
        self, resource: str, namespace: str | None = None, after: Key | None = None, limit: int = 0
    ) -> Sequence[Document]:
        within = _range(resource, namespace, after and (after.namespace, after.name))
        return [] if within is None else document_rows.part(self._tx, within, limit)

    def put(self, key: Key, uid: str, encode: Callable[[int], bytes]) -> Document:
        return document_rows.put(self._tx, key, uid, encode)

    def delete(self, key: Key) -> Document | None:
        return document_rows.delete(self._tx, key)

    def dependents(self, uid: str) -> Sequence[Document]:
        return document_rows.dependents(self._tx, uid)


class Documents:
    """An `ObjectStore` on a `Database`; reads and writes at once, tells of changes when started."""

    def __init__(self, db: Database, kept: int = CHANGES) -> None:
        """`kept` changes at most are held in memory for watchers."""
        self._db = db
        self._feed = Feed(db, kept)

    async def start(self) -> None:
        """Begin to tell followers and watchers; comes before `follow`, `watch` and `catch_up`."""
        await self._feed.start()

    async def close(self) -> None:
        """End what `start` began; the database stays open."""
        await self._feed.close()

    async def get(self, key: Key) -> Document | None:
        return await document_rows.find(self._db, key)

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        within = _range(resource, namespace, after)
        if within is None:
            return Listing([], await self.revision() if at is None else at, False)
        if at is None:
            return await document_rows.page(self._db, within, limit)
        return await history.page_at(self._db, within, limit, at)

    async def count(
        self, resource: str, namespace: str | None, *, after: tuple[str, str], at: int
    ) -> int | None:
        """See `Counting`; a walk over an index, beside the event loop."""
        within = _range(resource, namespace, after)
        return 0 if within is None else await history.count_at(self._db, within, at)

    async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
        return await self._db.write(lambda tx: unit(DocumentUnit(tx)))

    async def revision(self) -> int:
        return (await span(self._db)).newest

    async def watch(self, resource: str, after: int) -> Subscription:
        return await self._feed.watch(resource, after)

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        self._feed.follow(resources, apply, reset)

    async def catch_up(self) -> int:
        return await self._feed.catch_up()


def _range(resource: str, namespace: str | None, after: tuple[str, str] | None) -> Range | None:
    """What a caller asks for; None when nothing can be after `after` in this namespace."""
    if namespace is None:
        return Range(resource, None, Place(*(after or ("", ""))))
    if after is None or after[0] < namespace:
        return Range(resource, namespace, Place(namespace, ""))
    return Range(resource, namespace, Place(*after)) if after[0] == namespace else None
