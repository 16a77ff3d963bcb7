"""What a store of bytes must be able to do.

A driver knows paths, never digests. Paths are relative, with `/` between their parts, and come from
`layout`; a driver still refuses one that could leave its root (`PathRefused`). Every method may
raise `StorageError`. The suite `tests/conformance/storage_driver.py` states the rest.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol, runtime_checkable

from tidegate.storage.fills import FillFile


class Entry(NamedTuple):
    """One stored file: its path, its size in bytes, its last write in epoch seconds."""

    path: str
    size: int
    modified: float


class Writer(Protocol):
    """A file held for appending. Nobody else can hold it until `close`, or until a kill.

    Used from one thread at a time, with one exception: `close` may come from another thread while
    a write is under way, as it does when a request is cancelled, and then takes effect after it.
    """

    @property
    def offset(self) -> int:
        """Bytes in it; whatever lies beyond on disk is no part of it."""

    def write(self, buffer: memoryview) -> None:
        """Append all of `buffer`; blocks. On `StorageFull` none of it counts as written."""

    def close(self) -> None:
        """Let go of the file; may be repeated."""


class Driver(Protocol):
    """A store of bytes by path."""

    async def stat(self, path: str) -> int | None:
        """Size in bytes, None when there is no such file."""

    def read(self, path: str, offset: int, count: int) -> AsyncIterator[bytes]:
        """Exactly `count` bytes from `offset` on; `BlobMissing` when there is no such file."""

    async def append(self, path: str, offset: int) -> Writer:
        """Hold the file for appending at `offset`; at 0 it is made when missing.

        `UploadBusy` while another holds it, also in another process. `UploadTruncated` when it is
        shorter than `offset` or missing. Bytes beyond `offset` stay until the first write, so a
        caller can check under the hold that `offset` is still right, and close without a trace.
        """

    async def publish(self, writer: Writer, target: str) -> None:
        """Give the held file the name `target`; when this returns, no power cut undoes it.

        A target of the same size is kept and the held file dropped; one of another size, which can
        only be damage, is replaced. A target that is the held file itself is made durable where it
        is. When the bytes cannot be synced they are dropped, because a second sync would succeed
        without having written them. The writer is closed, whatever happens.
        """

    async def put(self, path: str, content: bytes, target: str) -> None:
        """Make a new file at `path` and publish it as `target` at once, for what is small.

        Durable as `publish` makes it. Nobody else knows `path`; when it fails (`StorageFull`),
        nothing of it stays.
        """

    async def delete(self, path: str) -> bool:
        """Remove a file; False when there was none."""

    def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Every file below `prefix`, which ends with `/`; one that comes or goes may be missed."""


@runtime_checkable
class LocalFiles(Protocol):
    """A driver may also hand out file descriptors, for the kernel to send from without a copy."""

    def open(self, path: str) -> int:
        """A descriptor open for reading, the caller's to close; `BlobMissing` if no such file."""

    def grow(self, path: str, target: str, size: int) -> FillFile:
        """A file that grows to `size` bytes at `path` and then belongs at `target`; made if need
        be. Blocks; `StorageFull`."""

    def room(self) -> tuple[int, int]:
        """Bytes that are free for us, and bytes that there are in all."""
