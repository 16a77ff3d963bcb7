"""The fills of this process, by blob and where it comes from; see `fill`."""

import time
from collections.abc import Awaitable, Callable

from tidegate.oci.digest import Digest
from tidegate.registry.pull_through.fill import Fill
from tidegate.registry.pull_through.orders import NoRoom, Order, RoomForCopies
from tidegate.remote.errors import ContentInvalid
from tidegate.remote.flights import Flights
from tidegate.remote.memory import Memory
from tidegate.storage.cache import BlobCache
from tidegate.storage.errors import StorageError

_SPOILED, _SPOILED_FOR = 1024, 3600.0
"""Blobs of which it is remembered that a source gave something else, and for how many seconds."""


class Fills:
    """The fills of this process, by blob and source."""

    def __init__(
        self,
        cache: BlobCache,
        room: RoomForCopies,
        ended: Callable[[Fill], Awaitable[None]],
    ) -> None:
        """`ended` is told of each whose blob is whole."""
        self._cache = cache
        self._room = room
        self._ended = ended
        self._flights = Flights()
        self._fills: dict[tuple[Digest, str], Fill] = {}
        self._spoiled: Memory[tuple[Digest, str], int] = Memory(_SPOILED, time.monotonic)

    def find(self, digest: Digest, source: str) -> Fill | None:
        """The fill of this blob from that source, if there is one here."""
        found = self._fills.get((digest, source))
        return None if found is None or found.is_over else found

    async def begin(self, order: Order) -> Fill:
        """The fill for this order, which perhaps others began; `NoRoom`, `StorageError`."""
        key = (order.digest, order.source)
        found = self.find(*key)
        if found is None:
            found = await self._flights.share(key, lambda: self._open(order))
        found.order.keep |= order.keep
        return found

    async def _open(self, order: Order) -> Fill:
        if not self._cache.is_there or not await self._room.fits(order.size):
            raise NoRoom(None)
        try:
            file = await self._cache.grow(order.digest, order.source, order.size)
        except StorageError as error:
            raise NoRoom(None) from error
        key = (order.digest, order.source)
        tries = self._spoiled.get(key) or 0
        fill = Fill(order, file, self._room, self._cache, self._ended, self._over, tries)
        self._fills[key] = fill
        return fill

    def _over(self, fill: Fill) -> None:
        key = (fill.order.digest, fill.order.source)
        if self._fills.get(key) is fill:
            del self._fills[key]
        if isinstance(fill.error, ContentInvalid):  # the next one begins with another source
            self._spoiled.put(key, fill.tries + 1, _SPOILED_FOR)

    async def close(self) -> None:
        """End them all, as the process does; others go on with their files."""
        await self._flights.close()
        for fill in list(self._fills.values()):
            await fill.stop()
