"""Running units of work for a request: for real, to see what would come of it, or in company."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from tidegate.apimachinery.store import (
    Change,
    Document,
    DocumentTransaction,
    Key,
    Listing,
    ObjectStore,
    Subscription,
)

T = TypeVar("T")


class _Rehearsed(Exception):
    """Ends a unit that must leave nothing behind, and brings out what it gave."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


async def run(store: ObjectStore, unit: Callable[[DocumentTransaction], T], *, dry_run: bool) -> T:
    """What `unit` returns; with `dry_run` everything that it wrote is undone."""
    if not dry_run:
        return await store.write(unit)

    def rehearsal(tx: DocumentTransaction) -> T:
        raise _Rehearsed(unit(tx))

    try:
        return await store.write(rehearsal)
    except _Rehearsed as rehearsed:
        result: T = rehearsed.result
        return result


class RunUnit(Protocol):
    """What runs a unit of work, as `ObjectStore.write` does."""

    async def __call__(self, unit: Callable[[DocumentTransaction], T]) -> T: ...


class Accompanied:
    """An `ObjectStore` like `store`, but for its units, which `write` runs: with something more."""

    def __init__(self, store: ObjectStore, write: RunUnit) -> None:
        self._store = store
        self._write = write

    async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
        return await self._write(unit)

    async def get(self, key: Key) -> Document | None:
        return await self._store.get(key)

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        return await self._store.list(resource, namespace, after=after, limit=limit, at=at)

    async def revision(self) -> int:
        return await self._store.revision()

    async def watch(self, resource: str, after: int) -> Subscription:
        return await self._store.watch(resource, after)

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        self._store.follow(resources, apply, reset)

    async def catch_up(self) -> int:
        return await self._store.catch_up()
