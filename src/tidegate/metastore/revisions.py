"""The revisions that one group gives out, while it is the only writer of all processes.

    newest of the database   + 1   + 2   + 3 ...
                             unit one   | unit two: failed, so its numbers go to the next

The counter is read at the first change of a group and then counted here; its row, the rows of the
change log and the notification follow at the end, just before COMMIT. Nobody else can move the
counter meanwhile: the lock between processes was taken before. Invariant: the revisions of what is
committed are adjacent and in commit order; a group that is tried again begins with a new object.
"""

from tidegate.metastore.session import Session


class Revisions:
    """The changes recorded so far in the transaction that `session` has open."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before: int | None = None
        self._changes: list[tuple[str, str, str]] = []

    def take(self, kind: str, name: str, action: str) -> int:
        """Note a change; its revision."""
        if self._before is None:
            ((self._before,),) = self._session.fetch("SELECT newest FROM revision")
        self._changes.append((kind, name, action))
        return self._before + len(self._changes)

    def taken(self) -> int:
        """How many there are, for `give_back`."""
        return len(self._changes)

    def give_back(self, taken: int) -> None:
        """Forget the changes after the first `taken`: their unit is undone."""
        del self._changes[taken:]

    def write(self) -> None:
        """Append the changes to the log and move the counter: the last thing before COMMIT."""
        if self._before is None or not self._changes:
            return
        self._session.execute_many(
            "INSERT INTO changes (revision, kind, name, action) VALUES (?, ?, ?, ?)",
            [
                (revision, *change)
                for revision, change in enumerate(self._changes, self._before + 1)
            ],
        )
        newest = self._before + len(self._changes)
        self._session.execute("UPDATE revision SET newest = ?", (newest,))
        self._session.notify(newest)
