"""What waits to be done, and other registries as the server finds them, in Prometheus' text format.

Of the whole registry, as all processes share the work: an alert on what waits for long or fails
again and again needs no more than one of them to answer.
"""

from collections.abc import Iterable, Mapping, Sequence

from tidegate.metastore import job_queue, outbox, upstreams
from tidegate.metastore.database import Database
from tidegate.metastore.job_queue import Lane
from tidegate.metastore.upstreams import Upstream
from tidegate.registry.exposition import Type, family

WAITING = ("tidegate_jobs_waiting", "Jobs whose time has come and that nobody does yet.")
WAITING_SECONDS = ("tidegate_jobs_waiting_seconds", "For how long the first of those waits.")
FAILING = ("tidegate_jobs_failing", "Jobs that failed when they were last done.")
DEAD_LETTERS = ("tidegate_dead_letters", "Events that listeners could not be told.")
FAILURES = ("tidegate_upstream_failures", "Failures in a row of another registry.")
LEFT = ("tidegate_upstream_requests_left", "Requests that it still allows an account.")
CLOSED = ("tidegate_upstream_closed_seconds", "For how long it is not asked.")


async def lines(database: Database, now: float) -> list[str]:
    """The lines of all of them; `now` in epoch seconds."""
    lanes = await job_queue.waiting(database, None, now)
    failing = await job_queue.failing(database)
    dead = await outbox.dead(database)
    known = await upstreams.every(database)
    return [*of_jobs(lanes, failing, now), *_gauge(DEAD_LETTERS, [({}, dead)]), *of(known, now)]


def of_jobs(lanes: Sequence[Lane], failing: Mapping[str, int], now: float) -> list[str]:
    """What waits in each lane of each kind, and what fails."""
    named = [({"kind": each.kind, "lane": each.lane}, each) for each in lanes]
    return [
        *_gauge(WAITING, [(labels, each.waiting) for labels, each in named]),
        *_gauge(WAITING_SECONDS, [(labels, _whole(now - each.oldest)) for labels, each in named]),
        *_gauge(FAILING, [({"kind": kind}, count) for kind, count in failing.items()]),
    ]


def of(known: Sequence[Upstream], now: float) -> list[str]:
    """How other registries do, and what they allow."""
    registries = [({"registry": each.host}, each) for each in known if not each.account]
    accounts = [({"registry": each.host, "account": each.account}, each) for each in known]
    return [
        *_gauge(FAILURES, [(labels, each.health.failures) for labels, each in registries]),
        *_gauge(
            LEFT,
            [
                (labels, _whole(each.budget.left(now)))
                for labels, each in accounts
                if each.budget.allowance is not None
            ],
        ),
        *_gauge(
            CLOSED,
            [
                (labels, _whole(max(each.budget.closed_until, each.health.left_until) - now))
                for labels, each in accounts
            ],
        ),
    ]


def _gauge(
    name_and_meaning: tuple[str, str], samples: Iterable[tuple[Mapping[str, str], float]]
) -> list[str]:
    name, meaning = name_and_meaning
    return family(name, Type.GAUGE, meaning, samples)


def _whole(value: float) -> int:
    return max(int(value), 0)
