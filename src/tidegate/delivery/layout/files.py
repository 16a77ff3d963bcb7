"""What a layout's place needs of its files, whether they are in a directory or in an archive.

Everything here blocks, and is called in threads. Invariant: content is visible under its digest
only when all of it is there and has that digest.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tidegate.delivery.layout.errors import LayoutError
from tidegate.delivery.layout.index_json import LayoutIndex
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor
from tidegate.storage.errors import StorageError

if TYPE_CHECKING:
    from hashlib import _Hash


class Extent(NamedTuple):
    """Bytes of an open file; whoever gets it closes `fd`."""

    fd: int
    offset: int
    size: int


class Incoming(Protocol):
    """Content on its way in, held against others; `offset` bytes of it are here already."""

    @property
    def offset(self) -> int: ...

    def write(self, piece: bytes) -> None:
        """Append."""

    def publish(self) -> None:
        """Make it visible; `LayoutError`, and nothing of it is kept, if it has another digest."""

    def close(self) -> None:
        """Let go of it; what came in stays for whoever goes on. May be repeated."""


class LayoutFiles(Protocol):
    """The files of one layout, to be read."""

    @property
    def where(self) -> str:
        """Its path, for messages."""

    def index(self) -> LayoutIndex:
        """Its images as of now."""

    def open(self, digest: Digest) -> Extent | None:
        """The bytes of a digest, unverified; None when they are not here."""

    def close(self) -> None:
        """Let go of every file; may be repeated."""


class WritableFiles(LayoutFiles, Protocol):
    """The files of one layout, to be added to."""

    @property
    def one_at_a_time(self) -> bool:
        """Whether `receive` has to end before the next one begins."""

    def receive(self, digest: Digest, size: int) -> Incoming:
        """Begin or go on with content; `LayoutBusy` while another process does."""

    def name(self, name: str, descriptor: Descriptor, image_name: str) -> None:
        """Let a name be an image, whose content is here."""

    def finish(self) -> None:
        """All is here: let readers have it."""


@contextlib.contextmanager
def layout_errors(where: str) -> Iterator[None]:
    """Turn errors of the system, and of storage, into one sentence about the layout."""
    try:
        yield
    except StorageError as error:
        raise LayoutError(str(error)) from error
    except OSError as error:
        raise LayoutError(f"{where}: {error.strerror or error}") from error


def hash_extent(fd: int, offset: int, size: int, running: "_Hash") -> int:
    """Feed bytes of a file to `running`; how many there were."""
    buffer = memoryview(bytearray(min(1 << 20, size) or 1))
    done = 0
    while done < size:
        count = os.preadv(fd, [buffer[: size - done]], offset + done)
        if count == 0:
            break
        running.update(buffer[:count])
        done += count
    return done


def mismatch(where: str, digest: Digest) -> LayoutError:
    """What to raise for bytes that are not what they were announced as."""
    return LayoutError(f"{where}: what came for {digest} has another digest or length")
