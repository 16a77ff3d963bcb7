"""A copy of another registry's blob as it comes in: written by one, read by many as it grows.

    take ─> resume ─> write* ─> keep | finish ─────> what is there is the blob
      │ held by another           drop ────────────> what is there is worthless
      └ look, until it ends or can be taken

What readers in any process may count on, without a word between them: bytes are appended in order
and never change; whoever writes holds a lock that a kill frees, so that another goes on from there;
and the file loses its name either whole, its digest verified, or cut to nothing before. The last
byte is therefore for nobody as long as the file is called so.
"""

import contextlib
import fcntl
import os
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from tidegate.oci.digest import Digest, hasher
from tidegate.storage import posix
from tidegate.storage.rehash import rehash

if TYPE_CHECKING:
    from hashlib import _Hash

_WRITE_BACK = 8 << 20
"""As in `filesystem_writer`."""


class State(Enum):
    """What has become of a fill."""

    GROWING = "growing"
    WHOLE = "whole"
    WORTHLESS = "worthless"


class Sight(NamedTuple):
    """A fill as it is now: `available` bytes may be given to readers."""

    state: State
    available: int


class Hashed(NamedTuple):
    """The hash of the first `offset` bytes of a blob, which its holder may go on with."""

    offset: int
    running: "_Hash"


class FillFile:
    """One process's hold on the file of a fill of `size` bytes; methods block, if only on a disk.

    `source` is where the file is while it grows, `target` where it belongs once it is whole; the
    directories are there. `write` and what ends a fill are for who has taken it.
    """

    def __init__(self, source: str, target: str, size: int) -> None:
        self._source = source
        self._target = target
        self._running = hasher("sha256")
        self._written_back = 0
        self.size = size
        self.offset = 0
        """Bytes that are in the file and hashed; for who has taken it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with posix.storage_errors(source):
            self.fd = os.open(source, flags, 0o600)

    def take(self) -> bool:
        """Become the one who writes; False while another is, and when the fill has ended."""
        if not posix.lock(self.fd):
            return False
        if posix.names_this_file(self._source, self.fd):
            return True
        self.release()
        return False

    def release(self) -> None:
        """Let somebody else write. Readers of ours may have duplicates of the descriptor, which
        would keep the lock."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def look(self) -> Sight:
        """How far it has come. The name is looked at first: what happens to it comes last."""
        named = posix.names_this_file(self._source, self.fd)
        size = os.fstat(self.fd).st_size
        if named:
            return Sight(State.GROWING, max(0, min(size, self.size - 1)))
        return Sight(State.WHOLE, size) if size == self.size else Sight(State.WORTHLESS, 0)

    def resume(self, digest: Digest) -> int:
        """Go on after what somebody left here, which is hashed; how many bytes that is."""
        self._running = digest.hasher()
        with posix.storage_errors(self._source):
            size = os.fstat(self.fd).st_size
            if size > self.size:
                os.ftruncate(self.fd, 0)
                size = 0
            self.offset = rehash(self.fd, size, self._running)
            self._written_back = self.offset
        return self.offset

    def write(self, buffer: memoryview) -> None:
        """Append all of `buffer`; `StorageFull` leaves the file as it was, `StorageError`."""
        end = self.offset + buffer.nbytes
        try:
            with posix.storage_errors(self._source):
                posix.write_all(self.fd, buffer, self.offset)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.offset)
            raise
        self._running.update(buffer)
        self.offset = end
        if end - self._written_back >= _WRITE_BACK:
            posix.start_write_back(self.fd, self._written_back, end - self._written_back)
            self._written_back = end

    def hashed(self) -> Hashed:
        """The hash of what is in the file, for who has to go on without it."""
        return Hashed(self.offset, self._running.copy())

    def is_right(self, digest: Digest) -> bool:
        """Whether what was written is the blob."""
        return self.offset == self.size and self._running.hexdigest() == digest.encoded

    def keep(self) -> None:
        """Put the file, which is the blob, where copies are kept. A power cut may take it from
        there again, never leave it there damaged."""
        with posix.storage_errors(self._target):
            posix.sync_file(self.fd)
            os.rename(self._source, self._target)

    def finish(self) -> None:
        """Let the file, which is the blob, be gone once its readers are."""
        with posix.storage_errors(self._source), contextlib.suppress(FileNotFoundError):
            os.unlink(self._source)

    def drop(self) -> None:
        """Take the file away, and its bytes from everybody: they are not the blob's."""
        with posix.storage_errors(self._source), contextlib.suppress(FileNotFoundError):
            os.ftruncate(self.fd, 0)
            os.unlink(self._source)

    def leave(self) -> None:
        """Take the file away from where it is found, though not from who reads it: it never gets
        whole, as there is no room for it."""
        if self.offset == self.size:  # nobody may take it for whole
            self.drop()
        else:
            self.finish()

    def close(self) -> None:
        """Let go of the file; may be repeated. Nothing else may be under way."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
