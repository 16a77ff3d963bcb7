"""The queue of jobs, as those see it who choose from it or look at it; written in `jobs`."""

from typing import NamedTuple

from tidegate.metastore.database import Database
from tidegate.metastore.jobs import COLUMNS, Job


class Lane(NamedTuple):
    """What waits in a lane: how many jobs are due, since when the first."""

    kind: str
    lane: str
    waiting: int
    oldest: float


async def lanes(db: Database, kind: str) -> list[tuple[str, float]]:
    """Every lane with the time at which its next job may be begun, the earliest first.

    Steps from lane to lane, however many jobs wait in each.
    """
    of_kind = "FROM jobs WHERE kind = ? AND due_at IS NOT NULL"
    rows = await db.scan(
        "WITH RECURSIVE next (lane) AS ("  # noqa: S608  our own parts
        f" SELECT min(lane) {of_kind} UNION ALL"
        f" SELECT (SELECT min(lane) {of_kind} AND lane > next.lane)"
        " FROM next WHERE next.lane IS NOT NULL)"
        f" SELECT next.lane, (SELECT min(due_at) {of_kind} AND lane = next.lane)"
        " FROM next WHERE next.lane IS NOT NULL",
        (kind, kind, kind),
    )
    return sorted(((str(lane), float(due)) for lane, due in rows), key=lambda each: each[1])


async def waiting(db: Database, kind: str | None, now: float) -> list[Lane]:
    """What waits in each lane, of one kind or of all."""
    of_kind, params = ("", []) if kind is None else ("kind = ? AND ", [kind])
    rows = await db.scan(
        "SELECT kind, lane, count(*), min(due_at) FROM jobs"  # noqa: S608  our own parts
        f" WHERE {of_kind}due_at <= ? AND holder = '' GROUP BY kind, lane ORDER BY kind, lane",
        (*params, now),
    )
    return [Lane(kind, lane, count, due) for kind, lane, count, due in rows]


FAILING = "SELECT kind, count(*) FROM jobs WHERE attempts > 0 GROUP BY kind ORDER BY kind"
"""Reads the table."""


async def failing(db: Database) -> dict[str, int]:
    """How many jobs of each kind failed when they were last done."""
    return dict(await db.scan(FAILING))


async def listing(
    db: Database, project: str | None, after: tuple[str, str, str], limit: int
) -> list[Job]:
    """Jobs of one project, "" for those that are no project's, or None for all.

    In the order of (project, kind, name), after a place in it.
    """
    of_project = "" if project is None else "project = ? AND "
    rows = await db.scan(
        f"SELECT {COLUMNS} FROM jobs WHERE {of_project}(project, kind, name) > (?, ?, ?)"  # noqa: S608  our own names
        " ORDER BY project, kind, name LIMIT ?",
        (*([] if project is None else [project]), *after, limit),
    )
    return [Job(*row) for row in rows]
