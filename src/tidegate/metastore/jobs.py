"""Work that outlives the process which began it: a row per job, a lease for whoever does it.

             enqueue                claim                 finish, with a time
    (no row) -------> waiting ------------------> held ------------------------> waiting
                         ^   due_at has come        |  finish, without one
                         |                          +------------------------> finished, kept
                         +------ fail, release -----+
                         +--- claim, by another ----+  after lease_until, if nobody extended it

`due_at` is when somebody may next begin, whatever the state: of a job that is held it is the end of
the lease, so that one range of an index finds what is due and what was left behind by a killed
process alike. Invariants: a job is held by one holder at a time, told by a name that is never used
twice; whoever lost the lease changes the row no more; what is asked for while the job is under way
is done once more after it. `position`, `done` and `total` belong to the kind: they survive
failures, kills and finishes.

Times are seconds since the epoch; leases go by `Transaction.now`, which all processes share. All
functions but `enqueue` and `drop` may run in units that are not durable: what a power cut takes
is done once more. No change is recorded, so that work which finds nothing new writes no revision.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Row, Transaction, Value

ABANDONED_AT_ONCE = 2
"""Times in a row that a job may outlive its process and be begun again at once."""
ABANDONED_PAUSE = 60.0
"""Seconds that it then has to wait, times the number of failures: it may be what kills them."""
ABANDONED = "the process that did this ended without a word"

ERROR_LENGTH = 1000

LAST = "\x7f"
"""After every character of a name."""

COLUMNS = (
    "kind, name, lane, project, due_at, holder, lease_until, attempts, error,"
    " position, done, total, created_at, started_at, finished_at, again_at"
)


class Job(NamedTuple):
    """A job as it was read; `claim` gives the time for which it was due as `due_at`.

    `lane` is what it competes for, such as the host of an upstream. `attempts` counts failures in
    a row, `error` is the last one's.
    """

    kind: str
    name: str
    lane: str
    project: str
    due_at: float | None
    holder: str
    lease_until: float
    attempts: int
    error: str
    position: str
    done: int
    total: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    again_at: float | None = None


def enqueue(
    tx: Transaction,
    kind: str,
    name: str,
    *,
    due: float,
    lane: str = "",
    project: str = "",
    position: str = "",
    total: int = 0,
    now: float | None = None,
) -> None:
    """Have a job done at `due`, or when it was to be done anyway, if that is earlier.

    One that is under way is done once more after that. `lane` and `project` replace what was
    known, `position` and `total` only of a job that is not under way, and only if given. `now` is
    when it came about; the database's clock says, unless given.
    """
    tx.execute(
        f"INSERT INTO jobs ({COLUMNS})"  # noqa: S608  our own names
        " VALUES (?, ?, ?, ?, ?, '', 0, 0, '', ?, 0, ?, ?, NULL, NULL, NULL)"
        " ON CONFLICT (kind, name) DO UPDATE SET"
        " lane = excluded.lane, project = excluded.project,"
        " position = CASE WHEN jobs.holder = '' AND excluded.position <> ''"
        " THEN excluded.position ELSE jobs.position END,"
        " total = CASE WHEN jobs.holder = '' AND excluded.total <> 0"
        " THEN excluded.total ELSE jobs.total END,"
        " again_at = CASE WHEN jobs.holder = '' THEN NULL"
        " WHEN jobs.again_at < excluded.due_at THEN jobs.again_at ELSE excluded.due_at END,"
        " due_at = CASE WHEN jobs.holder <> '' OR jobs.due_at < excluded.due_at"
        " THEN jobs.due_at ELSE excluded.due_at END",
        (kind, name, lane, project, due, position, total, tx.now() if now is None else now),
    )


def drop(tx: Transaction, kind: str, name: str) -> None:
    """Forget a job; whoever does it loses the lease."""
    tx.execute("DELETE FROM jobs WHERE kind = ? AND name = ?", (kind, name))


def drop_part(tx: Transaction, kind: str, prefix: str, limit: int) -> int:
    """Forget up to `limit` jobs whose names begin so, in ASCII; how many they were."""
    return tx.execute(
        "DELETE FROM jobs WHERE kind = ? AND name IN"
        " (SELECT name FROM jobs WHERE kind = ? AND name >= ? AND name < ? LIMIT ?)",
        (kind, kind, prefix, f"{prefix}{LAST}", limit),
    )


def drop_finished(tx: Transaction, kind: str, name: str) -> None:
    """Forget a job unless it is to be done again."""
    tx.execute("DELETE FROM jobs WHERE kind = ? AND name = ? AND due_at IS NULL", (kind, name))


def drop_project(tx: Transaction, project: str, limit: int) -> int:
    """Forget up to `limit` jobs of a project that is going; how many they were."""
    return tx.execute(
        "DELETE FROM jobs WHERE (kind, name) IN"
        " (SELECT kind, name FROM jobs WHERE project = ? LIMIT ?)",
        (project, limit),
    )


def claim(
    tx: Transaction, kind: str, holder: str, now: float, lease: float, lane: str | None = None
) -> Job | None:
    """Take the job that has been due the longest, for `lease` seconds; None when none is due.

    `holder` is a name that was never used before.
    """
    claimed = claim_some(tx, kind, holder, now, lease, lane, 1)
    return claimed[0] if claimed else None


def claim_some(
    tx: Transaction,
    kind: str,
    holder: str,
    now: float,
    lease: float,
    lane: str | None,
    limit: int,
) -> list[Job]:
    """As `claim`, up to `limit` jobs."""
    of_lane = "" if lane is None else " AND lane = ?"
    rows = tx.fetch(
        f"SELECT {COLUMNS} FROM jobs"  # noqa: S608  our own names
        f" WHERE kind = ?{of_lane} AND due_at <= ? ORDER BY due_at LIMIT ?",
        (kind, *([] if lane is None else [lane]), now, limit),
    )
    taken = [_take(tx, Job(*row), holder, now, lease) for row in rows]
    return [each for each in taken if each is not None]


def _take(tx: Transaction, job: Job, holder: str, now: float, lease: float) -> Job | None:
    """Take a job for this holder; None when another process was quicker, or it has to wait."""
    attempts, error = job.attempts, job.error
    if job.holder:
        attempts, error = attempts + 1, ABANDONED
        if attempts > ABANDONED_AT_ONCE:
            _leave(tx, job, attempts, error, now + ABANDONED_PAUSE * attempts)
            return None
    end = now + lease
    again = job.again_at if job.again_at is not None and job.again_at > now else None
    taken = tx.execute(
        "UPDATE jobs SET holder = ?, lease_until = ?, due_at = ?, again_at = ?, started_at = ?,"
        " attempts = ?, error = ? WHERE kind = ? AND name = ? AND holder = ? AND due_at = ?",
        (holder, end, end, again, now, attempts, error, job.kind, job.name, job.holder, job.due_at),
    )
    if not taken:
        return None
    return job._replace(
        holder=holder, lease_until=end, again_at=again, started_at=now, attempts=attempts
    )


def _leave(tx: Transaction, job: Job, attempts: int, error: str, due: float) -> None:
    """Let a job wait whose holder is gone."""
    tx.execute(
        "UPDATE jobs SET holder = '', lease_until = 0, due_at = ?, again_at = NULL,"
        " attempts = ?, error = ? WHERE kind = ? AND name = ? AND holder = ? AND due_at = ?",
        (due, attempts, error, job.kind, job.name, job.holder, job.due_at),
    )


def is_held(tx: Transaction, job: Job) -> bool:
    """Whether the job is still this holder's: asked in the unit that writes what came of it."""
    rows = tx.fetch(
        "SELECT 1 FROM jobs WHERE kind = ? AND name = ? AND holder = ?",
        (job.kind, job.name, job.holder),
    )
    return bool(rows)


def extend(
    tx: Transaction,
    job: Job,
    now: float,
    lease: float,
    *,
    position: str | None = None,
    done: int | None = None,
    total: int | None = None,
) -> bool:
    """Keep the job for another `lease` seconds; False: the lease was lost, stop."""
    sets, values = ["lease_until = ?", "due_at = ?"], [now + lease, now + lease]
    told: list[Value] = []
    for column, value in (("position", position), ("done", done), ("total", total)):
        if value is not None:
            sets.append(f"{column} = ?")
            told.append(value)
    return _change(tx, job, ", ".join(sets), (*values, *told))


def finish(tx: Transaction, job: Job, now: float, *, again_at: float | None) -> bool:
    """The job is done, and to be done again at `again_at`; False: the lease was lost.

    With None it is kept as finished until it is dropped or asked for again.
    """
    return _change(
        tx,
        job,
        "holder = '', lease_until = 0, attempts = 0, error = '', finished_at = ?,"
        f" due_at = {_EARLIER}, again_at = NULL",
        (now, again_at, again_at),
    )


def fail(tx: Transaction, job: Job, now: float, error: str, again_at: float) -> bool:
    """The job failed and is tried again at `again_at`, or earlier if it was asked for meanwhile.

    False: the lease was lost.
    """
    return _change(
        tx,
        job,
        "holder = '', lease_until = 0, attempts = attempts + 1, error = ?, finished_at = ?,"
        f" due_at = {_EARLIER}, again_at = NULL",
        (error[:ERROR_LENGTH], now, again_at, again_at),
    )


def release(tx: Transaction, job: Job) -> bool:
    """Give the job back as if it had not been claimed; False: the lease was lost."""
    return _change(
        tx, job, "holder = '', lease_until = 0, due_at = ?, again_at = NULL", (job.due_at,)
    )


_EARLIER = (
    "CASE WHEN again_at < CAST(? AS DOUBLE PRECISION) THEN again_at ELSE coalesce(?, again_at) END"
)
"""The time given or the one asked for meanwhile, whichever is earlier; null without either."""


def _change(tx: Transaction, job: Job, sets: str, values: Sequence[Value]) -> bool:
    changed = tx.execute(
        f"UPDATE jobs SET {sets} WHERE kind = ? AND name = ? AND holder = ?",  # noqa: S608  our own names
        (*values, job.kind, job.name, job.holder),
    )
    return changed > 0


async def next_due(db: Database, kind: str) -> float | None:
    """When the next job may be begun, in the past if one waits; None when there is none."""
    ((due,),) = await db.fetch(
        "SELECT min(due_at) FROM jobs WHERE kind = ? AND due_at IS NOT NULL", (kind,)
    )
    return None if due is None else float(due)


async def find(db: Database, kind: str, name: str) -> Job | None:
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM jobs WHERE kind = ? AND name = ?",  # noqa: S608  our own names
        (kind, name),
    )
    return _job(rows[0]) if rows else None


async def named(db: Database, kind: str, names: Sequence[str]) -> dict[str, Job]:
    """These jobs of a kind, as far as there are any."""
    found: dict[str, Job] = {}
    for marks, values in batches(names):
        rows = await db.fetch(
            f"SELECT {COLUMNS} FROM jobs WHERE kind = ? AND name IN ({marks})",  # noqa: S608  our own names
            (kind, *values),
        )
        found.update((row[1], _job(row)) for row in rows)
    return found


def _job(row: Row) -> Job:
    return Job(*row)
