"""What is known of other registries, shared by all processes: their limits, and whether they work.

Made to the form that `remote` asks for (`remote.budgets.Budgets`). A process remembers for `FRESH`
seconds what it read, so that a registry which never set a limit costs a look now and then, and one
which works costs no write. Bookkeeping: no revision, and a row that is lost is learned again. The
row without account has the health of its registry.
"""

import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from tidegate.metastore import upstream_budget as budgeting
from tidegate.metastore.database import Database, Row, Transaction
from tidegate.metastore.upstream_budget import Budget, Health

LOG = logging.getLogger(__name__)

FRESH = 2.0
"""Seconds for which a process believes what it read."""
FORGOTTEN_AFTER = 8 * 86400.0
"""Seconds after which a registry that nothing is heard of is forgotten: no period is longer."""
FAILURE_FORGOTTEN_AFTER = 86400.0
"""Seconds for one that never said a limit: a name that somebody mistyped, mostly."""
SWEEP_INTERVAL = 3600.0
"""Seconds between looks for those, in one process."""

_REMEMBERED = 4096
_ERROR_LIMIT = 300

_COLUMNS = (
    "host, account, allowance, period, remaining, measured_at, paced_until, closed_until,"
    " failures, left_until, error, changed_at"
)


class Known(NamedTuple):
    """A registry as one account meets it."""

    budget: Budget = Budget()
    health: Health = Health()


class Upstreams:
    """Budgets and health of registries; `clock` gives epoch seconds, `jitter` a number up to 1."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._jitter = jitter
        self._remembered: OrderedDict[tuple[str, str], tuple[Known, float]] = OrderedDict()
        self._tried: set[str] = set()
        self._swept_at = 0.0

    async def wait(
        self, host: str, account: str, urgency: int, *, counted: bool
    ) -> tuple[float, str]:
        """Seconds until a request may be made, and why; 0 takes it as made."""
        budget, health = await self._known(host, account)
        now = self._clock()
        if health.is_left_alone and not await self._may_try(host, health, now):
            return max(health.left_until - now, 1.0), health.error
        if budget.closed_until <= now and (not counted or budget.is_plenty(now)):
            return 0.0, ""
        if budget.closed_until > now:
            return budget.closed_until - now, ""

        def take(tx: Transaction) -> tuple[float, Budget]:
            known = _find(tx, host, account)
            wait, left = budgeting.taken(known.budget, urgency, now)
            if wait <= 0:
                _put(tx, host, account, known._replace(budget=left), now)
            return wait, left

        wait, left = await self._database.write(take, durable=False)
        self._remember(host, account, Known(left, health))
        return wait, ""

    async def learn(
        self, host: str, account: str, allowance: int, period: float, remaining: float
    ) -> None:
        """Keep what an answer says: `allowance` requests in `period` seconds, `remaining` left."""
        known, now = await self._known(host, account), self._clock()
        told = Budget(allowance, period, remaining, now)
        same = (known.budget.allowance, known.budget.period) == (allowance, period)
        if same and told.is_plenty(now) and known.budget.is_plenty(now):
            return
        await self._change(
            host,
            account,
            lambda budget: budgeting.told(budget, allowance, period, remaining, now),
        )

    async def refused(self, host: str, account: str, retry_after: float) -> None:
        """Keep that a registry asked to be left alone for a while."""
        known, now = await self._known(host, account), self._clock()
        if known.budget.closed_until <= now:
            who = f" ({account})" if account else ""
            LOG.warning("%s%s refuses more requests for %.0f s", host, who, retry_after)
        await self._change(
            host, account, lambda budget: budgeting.refused(budget, retry_after, now)
        )

    async def failed(self, host: str, error: str) -> None:
        """Count a failure; after some in a row the registry is left alone."""
        now, trying = self._clock(), host in self._tried
        self._tried.discard(host)

        def count(tx: Transaction) -> tuple[Health, Health]:
            known = _find(tx, host, "")
            before = known.health
            if before.left_until > now and not trying:
                return before, before  # of those that were under way when it was noticed
            after = budgeting.failed(before, error[:_ERROR_LIMIT], now, self._jitter)
            _put(tx, host, "", known._replace(health=after), now)
            return before, after

        before, after = await self._database.write(count, durable=False)
        self._forget(host)
        await self._sweep(now)
        if after.is_left_alone and not before.is_left_alone:
            LOG.warning("%s is left alone after %d failures: %s", host, after.failures, error)

    async def answered(self, host: str) -> None:
        """Note that a registry works, if anything else was known."""
        known = await self._known(host, "")
        trying = host in self._tried
        self._tried.discard(host)
        if not (known.health.failures or trying):
            return

        def clear(tx: Transaction) -> Health:
            found = _find(tx, host, "")
            _put(tx, host, "", found._replace(health=Health()), self._clock())
            return found.health

        before = await self._database.write(clear, durable=False)
        self._forget(host)
        if before.is_left_alone:
            LOG.info("%s answers again", host)

    async def _may_try(self, host: str, health: Health, now: float) -> bool:
        """Whether this request is the one that tries a registry which was left alone."""
        if health.left_until > now:
            return False

        def take(tx: Transaction) -> bool:
            known = _find(tx, host, "")
            if not known.health.is_left_alone:
                return True  # somebody else had an answer
            if known.health.left_until > now:
                return False  # somebody else tries it
            trial = known.health._replace(left_until=now + budgeting.TRIAL)
            _put(tx, host, "", known._replace(health=trial), now)
            return True

        taken = await self._database.write(take, durable=False)
        self._forget(host)
        if taken:
            self._tried.add(host)
        return taken

    async def _change(self, host: str, account: str, change: Callable[[Budget], Budget]) -> None:
        def unit(tx: Transaction) -> Known:
            known = _find(tx, host, account)
            changed = known._replace(budget=change(known.budget))
            _put(tx, host, account, changed, self._clock())
            return changed

        changed = await self._database.write(unit, durable=False)
        known = await self._known(host, account)
        self._remember(host, account, known._replace(budget=changed.budget))

    async def _sweep(self, now: float) -> None:
        """Forget, now and then, what nothing was heard of for long."""
        if now - self._swept_at < SWEEP_INTERVAL:
            return
        self._swept_at = now
        await self._database.write(
            lambda tx: tx.execute(
                "DELETE FROM upstreams WHERE changed_at < ?"
                " OR (changed_at < ? AND allowance IS NULL)",
                (now - FORGOTTEN_AFTER, now - FAILURE_FORGOTTEN_AFTER),
            ),
            durable=False,
        )

    async def _known(self, host: str, account: str) -> Known:
        """What is known of a registry, as of `FRESH` seconds ago at most."""
        found = self._remembered.get((host, account))
        now = self._clock()
        if found is not None and now - found[1] < FRESH:
            return found[0]
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM upstreams WHERE host = ? AND account IN ('', ?)",  # noqa: S608
            (host, account),
        )
        known = {row[1]: _read(row) for row in rows}
        budget = known.get(account, Known()).budget
        read = Known(budget, known.get("", Known()).health)
        self._remember(host, account, read)
        return read

    def _remember(self, host: str, account: str, known: Known) -> None:
        self._remembered[host, account] = (known, self._clock())
        self._remembered.move_to_end((host, account))
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def _forget(self, host: str) -> None:
        for key in [key for key in self._remembered if key[0] == host]:
            del self._remembered[key]


class Upstream(NamedTuple):
    """What is known of a registry, for people."""

    host: str
    account: str
    budget: Budget
    health: Health


async def every(db: Database) -> list[Upstream]:
    """All that is known, in the order of hosts."""
    rows = await db.scan(f"SELECT {_COLUMNS} FROM upstreams ORDER BY host, account")  # noqa: S608
    return [Upstream(row[0], row[1], *_read(row)) for row in rows]


def _find(tx: Transaction, host: str, account: str) -> Known:
    rows = tx.fetch(
        f"SELECT {_COLUMNS} FROM upstreams WHERE host = ? AND account = ?",  # noqa: S608
        (host, account),
    )
    return _read(rows[0]) if rows else Known()


def _put(tx: Transaction, host: str, account: str, known: Known, now: float) -> None:
    budget, health = known
    changed = tx.execute(
        "UPDATE upstreams SET allowance = ?, period = ?, remaining = ?, measured_at = ?,"
        " paced_until = ?, closed_until = ?, failures = ?, left_until = ?, error = ?,"
        " changed_at = ? WHERE host = ? AND account = ?",
        (*budget, *health, now, host, account),
    )
    if not changed:
        tx.execute(
            f"INSERT INTO upstreams ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (host, account, *budget, *health, now),
        )


def _read(row: Row) -> Known:
    return Known(Budget(*row[2:8]), Health(*row[8:11]))
