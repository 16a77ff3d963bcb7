"""The waist of the room: what a database does for the table modules, whichever engine it is.

SQL is written once, with `?` for parameters, in what SQLite 3.33 and PostgreSQL 13 both
understand; ordered text compares by its bytes on both. Reads are asynchronous and see only what
is committed. Writes are *units*: plain functions on a `Transaction`, run one after the other in
the process's writer thread, and by one process at a time. What a unit reads therefore stays true
until its end, on both engines, and a check followed by a write needs no further lock.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

SQLITE = "sqlite:///"

Value = str | bytes | int | float | None
Row = tuple[Any, ...]


class Transaction(Protocol):
    """What a writing unit works with, and only while it runs."""

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int:
        """Run one statement; the number of rows that it changed."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row of parameters."""
        ...

    def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Read rows, this unit's own changes included."""
        ...

    def now(self) -> float:
        """Seconds since the epoch, by the one clock that all processes of the database share."""
        ...

    def record(self, kind: str, name: str, action: str) -> int:
        """Append to the change log; the revision that the change has when the unit succeeds.

        A unit that fails, or runs again, gives its revisions back.
        """
        ...


class Database(Protocol):
    """One process's access to the metadata database, bound to one event loop."""

    @property
    def fresh_is_proof(self) -> bool:
        """Whether equal tokens of `fresh` prove that nothing was committed in between."""
        ...

    async def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Read a few rows (about 50): SQLite reads them without leaving the event loop."""
        ...

    async def scan(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        """Read many rows, or search long, without holding up the event loop."""
        ...

    async def write(self, unit: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `unit`, commit it, and give what it returned.

        All of a unit is kept or nothing: an exception out of it undoes it alone and is raised
        here. It may run more than once, so it changes nothing but the database. The answer comes
        after COMMIT; `durable=False` is for bookkeeping of a single row whose loss in a power cut
        costs no promise (it survives a killed process), and such a unit records no change. A
        caller cancelled while waiting cannot tell whether its unit was kept.

        Raises MetastoreFull, MetastoreBusy, MetastoreUnavailable.
        """
        ...

    def fresh(self) -> int:
        """A token that differs from an earlier one once anything was recorded since.

        On SQLite equal tokens prove that nothing at all was committed in between; on PostgreSQL
        they say that no change was heard of, which lags by the way of a notification (see
        `fresh_is_proof`).
        """
        ...

    async def changed(self, token: int, look: float | None = None) -> None:
        """Return when `fresh()` would differ from `token`; now and then without cause.

        `look` says how many seconds may pass between looks at what other processes commit, for
        who is in no hurry to hear of it; the own process's commits are heard of at once.
        """
        ...

    async def close(self) -> None:
        """Commit what is queued, then let go of every connection."""
        ...


def sqlite_path(url: str) -> str | None:
    """The file that `sqlite:///PATH` names, or None for a URL of another engine.

    Everything after the three slashes is the path, so an absolute one makes it four.
    """
    return url[len(SQLITE) :] if url.startswith(SQLITE) else None
