"""A file that several processes append to and that is kept from growing without end.

    audit.log      written now
    audit.log.1    before that
    audit.log.5    the oldest that is kept

Invariants: a write that succeeds in one piece is never mixed with another process's (O_APPEND), and
a rotation loses no line. The lock is the file itself: whoever holds `flock` on the inode that the
path names may rename it; whoever finds that the path names another inode has been overtaken and
opens the new one. So a rotation by an external program (logrotate's `create`) is followed as well.
"""

import fcntl
import os
from contextlib import suppress

LINES_READABLE_BY_GROUP = 0o640
"""Log shippers read as a group; others must not learn who pulls what."""


class RotatingFile:
    """Appends to `path`; renamed aside beyond `limit` bytes, `keep` older files stay."""

    def __init__(self, path: str, limit: int = 100 << 20, keep: int = 5) -> None:
        self._path = path
        self._limit = limit
        self._keep = keep
        self._file = self._open()

    def write(self, batch: bytes) -> int:
        """Append `batch`; how many bytes of it got there (fewer when the disk fills up)."""
        self._follow()
        if os.fstat(self._file).st_size + len(batch) > self._limit:
            self._rotate()
        return os.write(self._file, batch)

    def close(self) -> None:
        os.close(self._file)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._path, flags, LINES_READABLE_BY_GROUP)

    def _is_current(self) -> bool:
        try:
            named = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        held = os.fstat(self._file)
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def _follow(self) -> None:
        if not self._is_current():
            file = self._open()
            os.close(self._file)
            self._file = file

    def _rotate(self) -> None:
        full = self._file
        if os.fstat(full).st_size == 0:
            return  # one batch larger than the limit: a new file would be no better
        fcntl.flock(full, fcntl.LOCK_EX)
        try:
            if self._is_current():
                for age in range(self._keep, 0, -1):
                    newer = f"{self._path}.{age - 1}" if age > 1 else self._path
                    with suppress(FileNotFoundError):
                        os.replace(newer, f"{self._path}.{age}")
        finally:
            fcntl.flock(full, fcntl.LOCK_UN)
        self._follow()
