"""Bytes on their way into an upload, hashed as they come.

Its invariant: a count of bytes and the hash of just those bytes are read and replaced together,
also when a request is given up while a thread is still writing for it.
"""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from tidegate.oci.digest import Digest, hasher
from tidegate.storage.driver import Writer
from tidegate.storage.errors import StorageError

if TYPE_CHECKING:
    from hashlib import _Hash


class Received(NamedTuple):
    """What an upload holds: its first `offset` bytes and their digest, where that is known."""

    offset: int
    digest: Digest | None


class RunningHashes:
    """Hashes of uploads between two requests, the longest unused dropped first.

    For one event loop. A dropped hash costs a reading of the whole upload at its commit.
    """

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[str, int, str], _Hash] = OrderedDict()

    def take(self, upload_id: str, offset: int, algorithm: str) -> "_Hash | None":
        """The hash of the first `offset` bytes, to be continued; a fresh one at the beginning."""
        if offset == 0:
            return hasher(algorithm)
        return self._kept.pop((upload_id, offset, algorithm), None)

    def put(self, upload_id: str, offset: int, algorithm: str, running: "_Hash") -> None:
        """Keep a hash that nobody goes on changing."""
        self._kept[upload_id, offset, algorithm] = running
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def has(self, upload_id: str, received: Received) -> bool:
        """Whether this process hashed those bytes itself, and to the same digest."""
        if received.digest is None:
            return False
        running = self._kept.get((upload_id, received.offset, received.digest.algorithm))
        return running is not None and running.hexdigest() == received.digest.encoded

    def drop(self, upload_id: str, received: Received) -> None:
        """Forget an upload that has ended."""
        if received.digest is not None:
            self._kept.pop((upload_id, received.offset, received.digest.algorithm), None)


class Receiving:
    """An upload held for appending, which hashes what it is given."""

    def __init__(
        self, hashes: RunningHashes, upload_id: str, writer: Writer, algorithm: str
    ) -> None:
        self._hashes = hashes
        self.upload_id = upload_id
        self.writer = writer
        self._algorithm = algorithm
        # the count and its hash are replaced together, so that no reader sees one without the other
        self._state = (writer.offset, hashes.take(upload_id, writer.offset, algorithm))
        self._ended = False
        self._turn = threading.Lock()

    def write(self, buffer: memoryview) -> None:
        """Append all of `buffer`; blocks, so it is called in a thread. The buffer may be reused.

        `StorageFull` and `StorageError` leave the upload as it was before this call.
        """
        _, running = self._state
        if self._ended:
            raise StorageError("this upload takes no more bytes")
        self.writer.write(buffer)
        if running is not None:
            running = running.copy()  # 1 µs; the old one stays true should this request be given up
            running.update(buffer)
        with self._turn:
            if not self._ended:
                self._state = (self.writer.offset, running)

    def end(self) -> Received:
        """Take no more bytes, and say what came in, though the upload is still held.

        Does not wait for a write under way in another thread, whose bytes then do not count. The
        digest is None where the upload was begun elsewhere: the whole file is hashed at `commit`.
        """
        with self._turn:
            self._ended = True
        offset, running = self._state
        if running is None:
            return Received(offset, None)
        return Received(offset, Digest(f"{self._algorithm}:{running.hexdigest()}"))

    def close(self) -> None:
        """Let go of the upload; may be repeated."""
        self.end()
        offset, running = self._state
        if running is not None:
            self._hashes.put(self.upload_id, offset, self._algorithm, running)
        self.writer.close()
