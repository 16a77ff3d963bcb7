"""Running units of work for a request: for real, or to see what would come of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from tidegate.apimachinery.store import DocumentTransaction, ObjectStore

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
