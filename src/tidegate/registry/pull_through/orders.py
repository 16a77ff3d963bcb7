"""What is to be fetched, and what that may need and come to: the terms of a fill."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tidegate.oci.digest import Digest
from tidegate.storage.fills import Hashed

Chunks = AsyncIterator[bytes]
Fetch = Callable[[int, int], AbstractAsyncContextManager[Chunks]]
"""The bytes of a blob from an offset on; the number of tries so far says where to begin."""


class RoomForCopies(Protocol):
    """Where copies may be kept; sizes in bytes."""

    async def fits(self, size: int) -> bool:
        """Whether a copy of that size could have room, if others made some."""

    async def make(self, size: int) -> bool:
        """Have others make room for so many bytes more that are on their way; whether they did."""

    def give_back(self, size: int) -> None:
        """So many bytes are not on their way any more: they are kept, or will not come."""


class FillStopped(Exception):
    """It was given up, since nobody read it any more or by another process: begin again."""


class NoRoom(Exception):
    """The blob cannot be kept here as it comes; `hashed` is as far as it did."""

    def __init__(self, hashed: Hashed | None) -> None:
        super().__init__("there is no room for the blob")
        self.hashed = hashed


@dataclass(eq=False, slots=True)
class Order:
    """What is to be fetched: a blob of `size` bytes, kept afterwards or not."""

    digest: Digest
    size: int
    host: str
    fetch: Fetch
    keep: bool

    @property
    def source(self) -> str:
        """What the bytes are of: who claims another size for them has a fill of her own."""
        return f"{self.host} {self.size}"
