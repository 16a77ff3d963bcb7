"""Hash a stored file again, without pushing other files out of memory.

Reading a terabyte to verify it would replace the page cache that serves the pulls. So each piece is
first read only if it is cached already; what had to come from disk is dropped from the cache again.
"""

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

PIECE = 1 << 20
"""Bytes per read: large enough for the disk without read-ahead."""


def rehash(fd: int, size: int, running: "_Hash") -> int:
    """Feed the first `size` bytes at `fd` to `running`, fewer where the file ends; how many.

    Blocks. Errors of the system come as such.
    """
    if sys.platform == "linux":
        # read-ahead would make our own next piece look as if others wanted it cached
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    buffer = memoryview(bytearray(min(PIECE, size) or 1))
    offset = 0
    while offset < size:
        piece = buffer[: min(PIECE, size - offset)]
        count = _read_cached(fd, piece, offset) or _read_through(fd, piece, offset)
        if count == 0:
            break
        running.update(piece[:count])
        offset += count
    return offset


def _read_cached(fd: int, piece: memoryview, offset: int) -> int:
    """Bytes read from the page cache, 0 where they are not there or the system cannot tell."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # EAGAIN: not cached; EOPNOTSUPP: cannot tell
            return os.preadv(fd, [piece], offset, os.RWF_NOWAIT)
    return 0


def _read_through(fd: int, piece: memoryview, offset: int) -> int:
    count = os.preadv(fd, [piece], offset)
    if sys.platform == "linux":
        os.posix_fadvise(fd, offset, count, os.POSIX_FADV_DONTNEED)
    return count
