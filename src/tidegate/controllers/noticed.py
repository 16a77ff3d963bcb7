"""What a loop has to see to, as the changes of documents tell it, and the waiting for more."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from tidegate.apimachinery.store import Change, ObjectStore

T = TypeVar("T")


class Noticed(Generic[T]):
    """Work that changes of `resources` brought about: `work_of` says what one change did.

    `look_everywhere` is set when changes may have been missed, as before the first look; whoever
    takes work and fails sets it, so that nothing is lost.
    """

    def __init__(
        self,
        store: ObjectStore,
        resources: Sequence[str],
        work_of: Callable[[Change], T | None],
    ) -> None:
        self.look_everywhere = True
        self._pending: set[T] = set()
        self._work_of = work_of
        self._woken = asyncio.Event()
        store.follow(resources, self._notice, self._miss)

    def add(self, work: Iterable[T]) -> None:
        """Note work that was found by looking, or that is not finished."""
        self._pending.update(work)

    def take(self) -> set[T]:
        """The work there is; what happens from now on is new work, be it the same."""
        taken, self._pending = self._pending, set()
        return taken

    async def wait(self, patience: float) -> None:
        """Until there is new work, `patience` seconds at most."""
        try:
            async with asyncio.timeout(patience):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    def _notice(self, change: Change) -> None:
        work = self._work_of(change)
        if work is not None:
            self._pending.add(work)
            self._woken.set()

    def _miss(self) -> None:
        self.look_everywhere = True
        self._woken.set()
