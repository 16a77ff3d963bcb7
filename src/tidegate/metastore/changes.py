"""The change log: what was committed, in the order in which it became visible.

    1 ......... compacted | compacted+1 ......... newest
     gone                   can be watched from any revision here on

Each recorded change has a revision of its own. A reader that has seen revision N has been able to
see everything up to N, because revisions are given out by one writer at a time, between its BEGIN
and its COMMIT. What a change did to a document is in `history`, under the same revision, and goes
together with it.
"""

import sys
from collections.abc import AsyncGenerator
from typing import NamedTuple

from tidegate.apimachinery.errors import Expired
from tidegate.metastore.database import Database, Transaction

BOOKMARK = "bookmark"
"""Action of an entry that says only how far the watch has come."""

_PAGE = 200

BEYOND = (
    "SELECT coalesce(max(revision), 0) FROM (SELECT revision,"
    " sum(coalesce(length(before), 0) + coalesce(length(after), 0))"
    " OVER (ORDER BY revision DESC) AS size FROM history) part WHERE size > ?"
)
"""The newest change that is too much for a number of bytes."""


class Change(NamedTuple):
    """Something named `name`, of `kind`, was `put` or `delete`d."""

    revision: int
    kind: str
    name: str
    action: str


class Span(NamedTuple):
    """The revisions that the log can tell of: after `compacted`, up to `newest`."""

    compacted: int
    newest: int


async def span(db: Database) -> Span:
    """Where the log begins and ends; read it before a list, watch from `newest` after it."""
    ((compacted, newest),) = await db.fetch("SELECT compacted, newest FROM revision")
    return Span(compacted, newest)


async def watch(
    db: Database, after: int, kind: str | None = None, *, bookmarks: bool = False
) -> AsyncGenerator[Change, None]:
    """Every change after revision `after`, as it comes, without end.

    With `kind` only changes of that kind; with `bookmarks` an entry of action BOOKMARK tells when
    others went by, so that a later watch begins behind them. Raises Expired when changes after
    `after` have been compacted, or when `after` is a revision that this database never had.
    """
    if after > (await span(db)).newest:
        raise Expired(f"revision {after} is not of this database")
    told = after
    while True:
        token = db.fresh()
        page = await _after(db, after)
        if (await span(db)).compacted > after:
            raise Expired(f"changes after revision {after} are no longer kept")
        for change in page:
            after = change.revision
            if kind is None or change.kind == kind:
                told = after
                yield change
        if len(page) == _PAGE:
            continue
        if bookmarks and told < after:
            told = after
            yield Change(after, kind or "", "", BOOKMARK)
        await db.changed(token)


async def _after(db: Database, revision: int) -> list[Change]:
    rows = await db.fetch(
        "SELECT revision, kind, name, action FROM changes"
        " WHERE revision > ? ORDER BY revision LIMIT ?",
        (revision, _PAGE),
    )
    return [Change(*row) for row in rows]


def compact(tx: Transaction, revision: int, limit: int = 1000) -> int:
    """Drop the oldest changes up to `revision`, at most `limit`; how many were dropped."""
    rows = tx.fetch(
        "SELECT revision FROM changes WHERE revision <= ? ORDER BY revision LIMIT ?",
        (revision, limit),
    )
    if rows:
        last = rows[-1][0]
        tx.execute("DELETE FROM changes WHERE revision <= ?", (last,))
        tx.execute("DELETE FROM history WHERE revision <= ?", (last,))
        tx.execute("UPDATE revision SET compacted = ?", (last,))
    return len(rows)


async def keep_newest(db: Database, count: int, size: int = sys.maxsize) -> int:
    """Drop all but the newest changes, a little at a time; how many were dropped.

    Kept are `count` at most, and as many as have no more than `size` bytes of documents in history.
    """
    ((over,),) = await db.scan(BEYOND, (size,))
    until = max((await span(db)).newest - count, over)
    dropped = 0
    while part := await db.write(lambda tx: compact(tx, until)):
        dropped += part
    return dropped
