"""What a driver hands to the writer: the one connection of a process that writes.

The drivers implement it, `writer.py` uses it, and neither knows the other's ways.
"""

from collections.abc import Sequence
from typing import Protocol

from tidegate.metastore.database import Row, Value
from tidegate.metastore.errors import MetastoreUnavailable


class Session(Protocol):
    """The writing connection; all but the constructor is called in the writer thread alone."""

    def acquire(self) -> None:
        """Become the writer among the processes, where that happens outside the transaction."""
        ...

    def begin(self, durable: bool) -> None:
        """Open a transaction, on a new connection when the old one was lost."""
        ...

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int: ...

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None: ...

    def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]: ...

    def now(self) -> float:
        """Seconds since the epoch by the clock of the database's machine."""
        ...

    def notify(self, revision: int) -> None:
        """Have COMMIT tell the other processes, where they do not see it by themselves."""
        ...

    def commit(self) -> None:
        """Commit, or raise with nothing kept; CommitUnknown when that cannot be said."""
        ...

    def rollback(self) -> None:
        """Undo what is left of the transaction; never raises."""
        ...

    def is_lost(self) -> bool:
        """Whether the transaction is gone, together with the units before this one."""
        ...

    def release(self) -> None:
        """Let another process write."""
        ...

    def tend(self) -> None:
        """Housekeeping between groups, after the answers have left."""
        ...

    def close(self) -> None: ...


class CommitUnknown(MetastoreUnavailable):
    """The connection broke during COMMIT: the group may have been kept."""
