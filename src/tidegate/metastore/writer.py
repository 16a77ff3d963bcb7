"""Group commit: one thread writes for a whole process, many units in one transaction.

    write() -> queue -> acquire, BEGIN                        -> answers
               bounded  | SAVEPOINT, unit, RELEASE  (each; its changes get their revisions)
                        | write the change log
                        COMMIT, release

Knows no engine: a driver hands in its *session*, the writing connection. Both engines share this
module, hence the same promises. Invariants: an answer leaves after COMMIT; a unit that raises
undoes itself only; revisions are given out by one process at a time, between its BEGIN and its
COMMIT, so that their order is the order of commits (`revisions.py`); every accepted unit is
answered, even when the thread dies.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from tidegate.metastore.database import Row, Transaction, Value
from tidegate.metastore.errors import MetastoreBusy, MetastoreError, MetastoreUnavailable
from tidegate.metastore.revisions import Revisions
from tidegate.metastore.session import CommitUnknown, Session

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_UNITS = 1024
"""Units that may wait in one process; at 5,000 a second they are 0.2 s of work."""
QUEUE_SECONDS = 30.0
"""How long a unit waits for its turn before its caller is told to come back."""
GROUP_UNITS = 64
GROUP_SECONDS = 0.02
"""A group ends after this much work: another process waits hardly longer than that."""


@dataclass(slots=True, eq=False)
class Unit:
    """A queued unit and the answer its caller waits for, which belongs to the event loop."""

    work: Callable[[Transaction], Any]
    durable: bool
    answer: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit; an error where `error` is not None."""

    unit: Unit
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class UnitTransaction:
    """The `Transaction` that one unit sees."""

    session: Session
    revisions: Revisions
    durable: bool

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int:
        return self.session.execute(sql, params)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        if rows:
            self.session.execute_many(sql, rows)

    def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return self.session.fetch(sql, params)

    def now(self) -> float:
        return self.session.now()

    def record(self, kind: str, name: str, action: str) -> int:
        if not self.durable:
            raise ValueError("a unit that records a change has to be durable")
        return self.revisions.take(kind, name, action)


class Writer:
    """The writer thread and the queue before it, bound to the running event loop."""

    def __init__(
        self,
        session: Session,
        committed: Callable[[], None],
        patience: float = QUEUE_SECONDS,
    ) -> None:
        """Start the thread; `committed` is called in the loop after each group."""
        self._session = session
        self._patience = patience
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._waiting = 0
        self._closed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metastore-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Transaction], T], durable: bool) -> T:
        """Queue a unit and wait for its answer (see `Database.write`)."""
        if self._closed or self._ended.is_set():
            raise MetastoreUnavailable("the metadata database is closed")
        if self._waiting >= QUEUE_UNITS:
            raise MetastoreBusy(f"{self._waiting} writes are waiting already")
        unit = Unit(work, durable, self._loop.create_future())
        timer = self._loop.call_later(self._patience, _give_up, unit)
        self._waiting += 1
        self._queue.put(unit)
        if self._ended.is_set():
            self._abandon()  # the thread died since and may have looked before this unit came
        try:
            value: T = await unit.answer
        finally:
            self._waiting -= 1
            timer.cancel()
        return value

    async def close(self) -> None:
        """Finish what is queued and end the thread; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, self._patience)

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        """In the loop: hand out the answers of a group."""
        for outcome in outcomes:
            answer = outcome.unit.answer
            if answer.done():
                continue  # cancelled, or given up
            if outcome.error is None:
                answer.set_result(outcome.value)
            elif isinstance(outcome.error, StopIteration) or not isinstance(
                outcome.error, Exception
            ):
                # a future cannot hold the first, and the second would end the event loop
                failure = RuntimeError("a unit raised what belongs to the interpreter")
                failure.__cause__ = outcome.error
                answer.set_exception(failure)
            else:
                answer.set_exception(outcome.error)
        self._committed()

    # Everything below runs in the writer thread.

    def _run(self) -> None:
        backlog: deque[Unit] = deque()
        try:
            while True:
                if not backlog:
                    first = self._queue.get()
                    if first is None:
                        return
                    backlog.append(first)
                self._serve(backlog)
        except BaseException:
            log.exception("the metadata writer thread died")
        finally:
            self._ended.set()
            self._abandon()
            self._session.close()

    def _serve(self, backlog: deque[Unit]) -> None:
        """Commit one group off the front of `backlog` and answer it."""
        group: list[Unit] = []
        try:
            self._session.acquire()
            try:
                self._drain(backlog)
                outcomes = self._commit(backlog, group)
            finally:
                self._session.release()
        except BaseException as error:
            # Not even a group could be opened, or nobody knows what became of it.
            if not isinstance(error, MetastoreError):
                log.exception("a group of metadata writes failed")
            outcomes = [Outcome(unit, error=error) for unit in (*group, *backlog)]
            backlog.clear()
            if not isinstance(error, Exception):
                self._send(outcomes)
                raise
        self._send(outcomes)
        self._session.tend()

    def _drain(self, backlog: deque[Unit]) -> None:
        """Add what was queued while this process waited for its turn."""
        while len(backlog) < GROUP_UNITS:
            try:
                unit = self._queue.get_nowait()
            except Empty:
                return
            if unit is None:
                self._queue.put(None)  # read again once the backlog is done
                return
            backlog.append(unit)

    def _commit(self, backlog: deque[Unit], group: list[Unit]) -> list[Outcome]:
        """Run a group as one transaction; if it is undone as a whole, unit by unit."""
        try:
            return self._attempt(backlog, group)
        except CommitUnknown:
            raise
        except MetastoreError as error:
            if not group:
                raise
            if len(group) == 1:
                return [Outcome(group[0], error=error)]
        outcomes: list[Outcome] = []
        for number, unit in enumerate(group):
            alone: list[Unit] = []
            try:
                outcomes += self._attempt(deque((unit,)), alone)
            except MetastoreError as error:
                # where not even a transaction can be opened, the rest need not try
                failed = alone or group[number:]
                outcomes += [Outcome(each, error=error) for each in failed]
                if not alone:
                    break
        return outcomes

    def _attempt(self, backlog: deque[Unit], group: list[Unit]) -> list[Outcome]:
        """One transaction; moves the units that it ran from `backlog` to `group`."""
        outcomes: list[Outcome] = []
        revisions = Revisions(self._session)
        self._session.begin(any(unit.durable for unit in backlog))
        try:
            end = time.monotonic() + GROUP_SECONDS
            while backlog and (not group or time.monotonic() < end):
                unit = backlog.popleft()
                if not unit.answer.done():
                    group.append(unit)
                    outcomes.append(self._run_unit(unit, revisions))
            revisions.write()
            self._session.commit()
        except BaseException:
            self._session.rollback()
            raise
        return outcomes

    def _run_unit(self, unit: Unit, revisions: Revisions) -> Outcome:
        """Run one unit in its savepoint; raises only when the transaction is gone with it."""
        transaction = UnitTransaction(self._session, revisions, unit.durable)
        taken = revisions.taken()
        self._session.execute("SAVEPOINT unit")
        try:
            value = unit.work(transaction)
            self._session.execute("RELEASE SAVEPOINT unit")
        except BaseException as error:
            if self._session.is_lost():
                raise
            self._session.execute("ROLLBACK TO SAVEPOINT unit")
            self._session.execute("RELEASE SAVEPOINT unit")
            revisions.give_back(taken)
            return Outcome(unit, error=error)
        return Outcome(unit, value)

    def _send(self, outcomes: Sequence[Outcome]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, outcomes)
        except RuntimeError:
            log.debug("the event loop was closed before %d writes were answered", len(outcomes))

    def _abandon(self) -> None:
        """Answer what nobody will write any more."""
        left: list[Outcome] = []
        while True:
            try:
                unit = self._queue.get_nowait()
            except Empty:
                break
            if unit is not None:
                error = MetastoreUnavailable("the metadata database is closed")
                left.append(Outcome(unit, error=error))
        if left:
            self._send(left)


def _give_up(unit: Unit) -> None:
    if not unit.answer.done():
        unit.answer.set_exception(
            MetastoreBusy("the write did not get its turn: another process holds the lock")
        )
