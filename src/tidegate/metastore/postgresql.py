"""The PostgreSQL driver: reads from a pool, writes in the writer thread, LISTEN for freshness.

Writing groups of all processes run one after the other, under an advisory lock that ends with the
transaction, as SQLite's write lock does. A lost connection is opened again by whoever needs it
next. Sessions must keep their state (no pgbouncer in transaction mode). Mirrors `sqlite.py`.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tidegate.apimachinery.errors import Conflict
from tidegate.metastore.database import Row, Transaction, Value
from tidegate.metastore.errors import (
    MetastoreBusy,
    MetastoreError,
    MetastoreFull,
    MetastoreUnavailable,
)
from tidegate.metastore.session import CommitUnknown
from tidegate.metastore.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

READERS = 8
"""Connections for reads in a process; a read takes one for some 0.2 ms."""
WAIT_SECONDS = 5.0
"""Patience with a busy pool, and with a server that does not answer."""
AGAIN_SECONDS = 1.0
"""Patience of a read that is tried again, because its connection was lost, and of every read while
the server is known to be away."""
RETRY_SECONDS = 1.0
RECONNECT_SECONDS = 2.0
"""How long the pool itself tries for a connection. Its pauses double with each failure: after an
outage of a minute it would sit out most of another one. Whoever reads next lets it begin again."""
LOOK_SECONDS = 5.0
"""A watcher looks this often although nothing was heard: a notification can be lost unnoticed."""

CHANNEL = "tidegate"
MIGRATION_LOCK = "SELECT pg_advisory_xact_lock(x'7469646d'::int)"  # "tidm"
WRITE_LOCK = "SELECT pg_advisory_xact_lock(x'74696477'::int)"  # "tidw"

# What a connection of ours has unless the URL says otherwise. A peer that is gone without a word
# is noticed within half a minute; a writer that stops inside its transaction loses it after that.
DEFAULTS = {
    "application_name": "tidegate",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
SESSION = (
    "SET idle_in_transaction_session_timeout = '30s'; SET statement_timeout = '60s';"
    " SET client_min_messages = warning"
)


def connection_string(url: str) -> str:
    """The URL with `DEFAULTS` under it."""
    try:
        return make_conninfo(url, **{**DEFAULTS, **conninfo_to_dict(url)})
    except psycopg.Error as error:
        raise MetastoreUnavailable("the database URL is malformed") from error


def connect(url: str) -> Connection[Row]:
    """A connection outside the pool and outside any event loop."""
    try:
        return psycopg.connect(connection_string(url))
    except psycopg.Error as error:
        raise translated(error) from error


def translated(error: psycopg.Error) -> Exception:
    """The room's own exception for one of PostgreSQL's (its manual, appendix A)."""
    state = error.sqlstate
    if state is None:
        lost = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        kind = MetastoreUnavailable if lost else MetastoreError
        return kind(f"PostgreSQL: {error}")
    if state == "23505":  # unique_violation
        return Conflict(str(error))
    kind = ERRORS.get(state) or ERRORS.get(state[:2]) or MetastoreError
    return kind(f"PostgreSQL: {error}")


ERRORS: dict[str, type[MetastoreError]] = {
    "53100": MetastoreFull,  # disk_full
    "53": MetastoreBusy,  # insufficient resources: memory, connections
    "40": MetastoreBusy,  # deadlock, serialization
    "55P03": MetastoreBusy,  # lock_not_available
    "57014": MetastoreBusy,  # query_canceled: statement_timeout
    "25P03": MetastoreUnavailable,  # idle_in_transaction_session_timeout
    "25006": MetastoreUnavailable,  # read-only: a standby
    "57": MetastoreUnavailable,  # shutting down, starting up, crashed
    "08": MetastoreUnavailable,
    "28": MetastoreUnavailable,  # password, pg_hba
    "3D": MetastoreUnavailable,  # no such database
    "58": MetastoreUnavailable,  # I/O error
    "XX": MetastoreUnavailable,  # corruption
}


@cache
def native(sql: str) -> bytes:
    """Our SQL in psycopg's dialect; statements are few and constant, so all are remembered."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


class PostgresqlDatabase:
    """A `Database` on a server; open it in the process and the event loop that use it."""

    fresh_is_proof = False

    def __init__(self, url: str, pool: "AsyncConnectionPool[AsyncConnection[Row]]") -> None:
        self._conninfo = connection_string(url)
        self._pool = pool
        self._writer = Writer(PostgresqlSession(self._conninfo), self._wake)
        self._tokens = itertools.count(1)
        self._token = 0
        self._hearing = False
        self._committed = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(), name="metastore-listen")

    @classmethod
    async def open(cls, url: str) -> Self:
        pool: AsyncConnectionPool[AsyncConnection[Row]] = AsyncConnectionPool(
            connection_string(url),
            kwargs={"autocommit": True},
            configure=_configure,
            min_size=1,
            max_size=READERS,
            reconnect_timeout=RECONNECT_SECONDS,
            open=False,
            name="metastore",
        )
        try:
            await pool.open(wait=True, timeout=WAIT_SECONDS)
        except PoolTimeout as error:
            await pool.close()
            raise MetastoreUnavailable("PostgreSQL does not answer") from error
        return cls(url, pool)

    async def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        try:
            return await self._fetch(sql, params, WAIT_SECONDS if self._hearing else AGAIN_SECONDS)
        except MetastoreUnavailable:
            # after a restart of the server the whole pool is stale; reading again does no harm
            await self._pool.check()
            return await self._fetch(sql, params, AGAIN_SECONDS)

    async def _fetch(self, sql: str, params: Sequence[Value], patience: float) -> list[Row]:
        try:
            async with self._pool.connection(patience) as connection:
                return await (await connection.execute(native(sql), params)).fetchall()
        except PoolTimeout as error:
            raise MetastoreBusy(
                f"no connection to PostgreSQL within {patience:.0f} seconds"
            ) from error
        except psycopg.Error as error:
            raise translated(error) from error

    async def scan(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self.fetch(sql, params)

    async def write(self, unit: Callable[[Transaction], T], *, durable: bool = True) -> T:
        return await self._writer.write(unit, durable)

    def fresh(self) -> int:
        if not self._hearing:
            self._token = next(self._tokens)  # who cannot hear knows of nothing that it is fresh
        return self._token

    async def changed(self, token: int, look: float | None = None) -> None:
        committed = self._committed
        if self._token == token:
            with suppress(TimeoutError):
                async with asyncio.timeout(look or LOOK_SECONDS):
                    await committed.wait()

    def _wake(self) -> None:
        """After a commit of this process, or news of another's: let watchers look at once."""
        self._token = next(self._tokens)
        self._committed.set()
        self._committed = asyncio.Event()

    async def _listen(self) -> None:
        """Hear of other processes' commits, for as long as the database is open."""
        while True:
            try:
                await self._hear()
            except psycopg.Error as error:
                log.warning("listening to PostgreSQL broke off, trying again: %s", error)
            finally:
                self._hearing = False
                self._wake()
            await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self) -> None:
        connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            self._hearing = True
            self._wake()  # what happened before is unknown
            async for _ in connection.notifies():
                self._wake()

    async def close(self) -> None:
        await self._writer.close()
        self._listener.cancel()
        with suppress(asyncio.CancelledError):
            await self._listener
        await self._pool.close()


async def _configure(connection: AsyncConnection[Any]) -> None:
    await connection.execute(SESSION)


class PostgresqlSession:
    """The writing connection of a process."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection[Row] | None = None

    def acquire(self) -> None:
        """Nothing yet: the lock between processes is part of the transaction."""

    def begin(self, durable: bool) -> None:
        begin = "BEGIN; " + (WRITE_LOCK if durable else "SET LOCAL synchronous_commit = off")
        try:
            self._connected().execute(begin.encode())
        except psycopg.OperationalError:
            self.close()  # an idle connection breaks unnoticed: once more, on a new one
            self._begin_anew(begin)
        except psycopg.Error as error:
            raise translated(error) from error

    def _begin_anew(self, begin: str) -> None:
        try:
            self._connected().execute(begin.encode())
        except psycopg.Error as error:
            self.close()
            raise translated(error) from error

    def _connected(self) -> Connection[Row]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            self._connection.execute(SESSION)
        return self._connection

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int:
        try:
            return self._open().execute(native(sql), params).rowcount
        except psycopg.Error as error:
            raise translated(error) from error

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        try:
            self._open().cursor().executemany(native(sql), rows)
        except psycopg.Error as error:
            raise translated(error) from error

    def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        try:
            return self._open().execute(native(sql), params).fetchall()
        except psycopg.Error as error:
            raise translated(error) from error

    def now(self) -> float:
        ((seconds,),) = self.fetch("SELECT date_part('epoch', clock_timestamp())")
        return float(seconds)

    def notify(self, revision: int) -> None:
        self.fetch("SELECT pg_notify(?, ?)", (CHANNEL, str(revision)))

    def commit(self) -> None:
        connection = self._open()
        if connection.info.transaction_status is not TransactionStatus.INTRANS:
            raise MetastoreError("the transaction failed before COMMIT")
        try:
            connection.execute(b"COMMIT")
        except psycopg.Error as error:
            if connection.closed:
                raise CommitUnknown("PostgreSQL was lost during COMMIT") from error
            raise translated(error) from error

    def rollback(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.execute(b"ROLLBACK")

    def is_lost(self) -> bool:
        # A unit that failed leaves the transaction INERROR, which its savepoint mends.
        connection = self._connection
        if connection is None or connection.closed:
            return True
        return connection.info.transaction_status not in (
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
        )

    def release(self) -> None:
        """Nothing left to do: the lock ended with the transaction."""

    def tend(self) -> None:
        """PostgreSQL looks after its own files."""

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _open(self) -> Connection[Row]:
        return cast("Connection[Row]", self._connection)
