"""Events that somebody is to be told of, who that is, and what could not be told.

The triggers of migration 0006 write `listeners` and `outbox`: a listener is there as long as its
subscription, and an event is noted while somebody listens in its project. Each listener has read up
to `told`, in the order of ids, which is the order of commits. What everybody was told of goes, and
so does what is too much or too old to be kept: then it is counted as `lost`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.database import Database, Row, Transaction

JOB = "notification"
"""Kind of the jobs that tell listeners; their names are `NAMESPACE/NAME`."""

COUNTED = 10_000
"""Events that wait are counted up to here."""


class Listener(NamedTuple):
    """Who is to be told; in one project, or with namespace "" in all."""

    uid: str
    namespace: str
    name: str
    told: int
    told_at: float | None
    delivered: int
    lost: int

    @property
    def job(self) -> str:
        """Name of the job that tells it."""
        return f"{self.namespace}/{self.name}"


class Noted(NamedTuple):
    """An event. Without a tag it is the stream's, and without an image it names none.

    `repository` is NS/NAME; `previous` the image that the tag named before; `recorded_at` is 0
    where the time is not known; `detail` is where the image comes from, or the uid of a stream.
    """

    id: int
    project: str
    repository: str
    tag: str
    number: int
    recorded_at: float
    image: str
    previous: str
    reference: str
    how: str
    who: str
    detail: str | None


class Letter(NamedTuple):
    """An event that could not be told, as it was to be sent; `again` is 1 to try once more."""

    id: int
    failed_at: float
    attempts: int
    error: str
    again: int
    type: str
    body: bytes


HEARD = "SELECT min(told) FROM listeners"
BEFORE = "SELECT uid, namespace, told FROM listeners WHERE told < ?"
BEHIND = tuple(
    f"UPDATE listeners SET told = ? WHERE told < ? AND namespace {whose} AND NOT EXISTS"  # noqa: S608
    f" (SELECT 1 FROM outbox o WHERE {where} o.id > listeners.told)"
    for whose, where in (("<> ''", "o.project = listeners.namespace AND"), ("= ''", ""))
)
"""What reads all listeners, once a minute."""

_LISTENER = "uid, namespace, name, told, told_at, delivered, lost"
_NOTED = (
    "id, project, repository, tag, number, recorded_at, image, previous, reference, how, who,"
    " detail"
)
_LETTER = "id, failed_at, attempts, error, again, type, body"


async def listener(db: Database, uid: str) -> Listener | None:
    """The listener of a subscription."""
    rows = await db.fetch(f"SELECT {_LISTENER} FROM listeners WHERE uid = ?", (uid,))  # noqa: S608
    return Listener(*rows[0]) if rows else None


async def after(db: Database, project: str, told: int, limit: int) -> list[Noted]:
    """The events after `told`, of one project, or with "" of all."""
    where, params = _of(project)
    rows = await db.fetch(
        f"SELECT {_NOTED} FROM outbox WHERE {where} AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
        (*params, told, limit),
    )
    return [Noted(*row) for row in rows]


async def waiting(db: Database, project: str, told: int) -> int:
    """How many events are after `told`, counted to `COUNTED`."""
    where, params = _of(project)
    rows = await db.scan(
        f"SELECT count(*) FROM (SELECT 1 FROM outbox WHERE {where} AND id > ? LIMIT ?) part",  # noqa: S608
        (*params, told, COUNTED),
    )
    return int(rows[0][0])


def tell(tx: Transaction, uid: str, told: int, delivered: int, now: float) -> bool:
    """Note how far a listener is, and how many more events it got; False when it is gone."""
    sql = "UPDATE listeners SET told = ?, delivered = delivered + ? WHERE uid = ? AND told <= ?"
    moved = tx.execute(sql, (told, delivered, uid, told)) > 0
    if moved and delivered:
        tx.execute("UPDATE listeners SET told_at = ? WHERE uid = ?", (now, uid))
    return moved


def bury(tx: Transaction, uid: str, letter: Letter) -> None:
    """Keep an event that could not be told, and go on behind it; not for a listener that is gone.

    One that has been kept before keeps its place.
    """
    if not tx.execute(
        "UPDATE listeners SET told = CASE WHEN told < ? THEN ? ELSE told END WHERE uid = ?",
        (letter.id, letter.id, uid),
    ):
        return
    tx.execute(
        f"INSERT INTO dead_letters (listener, {_LETTER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (listener, id) DO UPDATE SET failed_at = excluded.failed_at,"
        " attempts = dead_letters.attempts + excluded.attempts, error = excluded.error,"
        " again = excluded.again",
        (uid, *letter),
    )


async def letters(db: Database, uid: str, after_id: int, limit: int) -> list[Letter]:
    """What a listener could not be told, in order."""
    rows = await db.fetch(
        f"SELECT {_LETTER} FROM dead_letters WHERE listener = ? AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
        (uid, after_id, limit),
    )
    return [_letter(row) for row in rows]


async def raised(db: Database, uid: str, limit: int) -> list[Letter]:
    """What of it is to be tried again, in order."""
    rows = await db.fetch(
        f"SELECT {_LETTER} FROM dead_letters WHERE listener = ? AND again = 1"  # noqa: S608
        " ORDER BY id LIMIT ?",
        (uid, limit),
    )
    return [_letter(row) for row in rows]


async def buried(db: Database, uid: str) -> int:
    """How many events a listener could not be told."""
    rows = await db.fetch("SELECT count(*) FROM dead_letters WHERE listener = ?", (uid,))
    return int(rows[0][0])


async def dead(db: Database) -> int:
    """How many events nobody could be told; reads the table."""
    ((count,),) = await db.scan("SELECT count(*) FROM dead_letters")
    return int(count)


def raise_again(tx: Transaction, uid: str, ids: Sequence[int] = ()) -> int:
    """Have dead letters tried again, these or all; how many."""
    if not ids:
        return tx.execute("UPDATE dead_letters SET again = 1 WHERE listener = ?", (uid,))
    marks = ",".join("?" * len(ids))
    return tx.execute(
        f"UPDATE dead_letters SET again = 1 WHERE listener = ? AND id IN ({marks})",  # noqa: S608
        (uid, *ids),
    )


def settle(tx: Transaction, uid: str, letter: int, now: float) -> None:
    """A dead letter was told after all."""
    if tx.execute("DELETE FROM dead_letters WHERE listener = ? AND id = ?", (uid, letter)):
        tx.execute(
            "UPDATE listeners SET delivered = delivered + 1, told_at = ? WHERE uid = ?", (now, uid)
        )


def lose_letters(tx: Transaction, uid: str, many: int) -> int:
    """Give up the oldest dead letters, and count them as lost; how many they were."""
    lost = tx.execute(
        "DELETE FROM dead_letters WHERE listener = ? AND id IN"
        " (SELECT id FROM dead_letters WHERE listener = ? ORDER BY id LIMIT ?)",
        (uid, uid, many),
    )
    tx.execute("UPDATE listeners SET lost = lost + ? WHERE uid = ?", (lost, uid))
    return lost


def trim(tx: Transaction, most: int, before: float, limit: int) -> int:
    """Drop up to `limit` events: those that everybody was told of, and those beyond `most` or older
    than `before`, which count as lost where they were not told; how many went.
    """
    ((first,),) = tx.fetch("SELECT min(id) FROM outbox")
    ((newest,),) = tx.fetch("SELECT max(id) FROM outbox")  # apart: together they read the table
    if newest is None:
        return 0
    for sql in BEHIND:  # nothing is for it: it holds up nobody
        tx.execute(sql, (newest, newest))
    ((heard,),) = tx.fetch(HEARD)
    heard, bound = newest if heard is None else heard, first + limit - 1
    cut = min(max(heard, newest - most, _old(tx, before, bound)), bound)
    if cut > heard:
        _lose(tx, cut)
    return tx.execute("DELETE FROM outbox WHERE id <= ?", (cut,))


def _old(tx: Transaction, before: float, bound: int) -> int:
    """The last event up to id `bound` that is older than `before`; they come in order of time."""
    rows = tx.fetch(
        "SELECT recorded_at FROM outbox WHERE id > ? AND recorded_at > 0 ORDER BY id LIMIT 1",
        (bound,),
    )
    if rows and rows[0][0] < before:
        return bound
    ((last,),) = tx.fetch(
        "SELECT coalesce(max(id), 0) FROM outbox"
        " WHERE id <= ? AND recorded_at > 0 AND recorded_at < ?",
        (bound, before),
    )
    return int(last)


def _lose(tx: Transaction, cut: int) -> None:
    for uid, namespace, told in tx.fetch(BEFORE, (cut,)):
        where, params = _of(namespace)
        ((count,),) = tx.fetch(
            f"SELECT count(*) FROM outbox WHERE {where} AND id > ? AND id <= ?",  # noqa: S608
            (*params, told, cut),
        )
        tx.execute(
            "UPDATE listeners SET told = ?, lost = lost + ? WHERE uid = ?", (cut, count, uid)
        )


def _of(project: str) -> tuple[str, tuple[str, ...]]:
    """The condition for events of a project; "" for all."""
    return ("project = ?", (project,)) if project else ("1 = 1", ())


def _letter(row: Row) -> Letter:
    return Letter._make((*row[:-1], bytes(row[-1])))
