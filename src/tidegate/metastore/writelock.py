"""One writer at a time among the processes of a data directory, each in its turn.

A `flock` alone is not fair: the process that lets go is still running and takes it again before
the one that waits has woken. So there is a turnstile before it. Who wants the lock stands in the
turnstile until it has the lock; who just had it finds the turnstile taken and has to wait behind.
Both locks belong to open files, so the kernel frees them when a process dies, however it dies.

    DIR/write.turn   held while waiting for the lock
    DIR/write.lock   held while writing; commands beside the server take it too
"""

import fcntl
import os
from types import TracebackType
from typing import Self

from tidegate.metastore.errors import MetastoreUnavailable


class WriteLock:
    """The lock of the data directory `directory`; a context manager for one thread.

    The files are opened here, so that a lock taken after a fork is the process's own.
    """

    def __init__(self, directory: str) -> None:
        self._turn = _open(os.path.join(directory, "write.turn"))
        try:
            self._lock = _open(os.path.join(directory, "write.lock"))
        except MetastoreUnavailable:
            os.close(self._turn)
            raise

    def acquire(self) -> None:
        """Wait for the turn; without limit, a stopped holder keeps it."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._lock)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MetastoreUnavailable(f"cannot open {path}: {error.strerror}") from error
