"""The SQLite driver: reads in the event loop, writes in the writer thread.

A read of a few rows costs some microseconds, less than handing it to a thread would. In WAL mode
readers never wait for the writer. No cursor outlives its statement, so that no reader keeps the
write-ahead log from being folded back into the file. Mirrors `postgresql.py`.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from tidegate.apimachinery.errors import Conflict
from tidegate.metastore.database import Row, Transaction, Value
from tidegate.metastore.errors import (
    MetastoreBusy,
    MetastoreError,
    MetastoreFull,
    MetastoreUnavailable,
)
from tidegate.metastore.writelock import WriteLock
from tidegate.metastore.writer import Writer

T = TypeVar("T")

POLL_SECONDS = 0.05
"""How often a waiting watcher asks whether another process committed; one question is 2 us."""
BUSY_SECONDS = 5.0
"""Patience with locks that are not ours: a `sqlite3` shell, a backup, WAL recovery."""
CACHE_KIB = 16 * 1024
SCAN_THREADS = 2

CHECKPOINT_ROWS = 1000
"""After about this many rows (some MB of log) the write-ahead log is folded back."""
TRUNCATE_FRAMES = 8192
"""A log of 32 MB: readers or other writers were in the way each time, so hold them off."""


def connect(path: str, *, writing: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, with the settings that every one of ours has."""
    try:
        if writing:
            _create(path)
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            _configure(connection, writing)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translated(error) from error
    except OSError as error:
        raise MetastoreUnavailable(f"cannot open {path}: {error.strerror}") from error
    return connection


def _create(path: str) -> None:
    """Make the file private from its first moment; SQLite would follow the umask.

    Never open a file that exists: POSIX drops all of a process's locks on a file when it closes
    any descriptor of it, and other processes would take SQLite's write-ahead log for abandoned.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _configure(connection: sqlite3.Connection, writing: bool) -> None:
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA trusted_schema = OFF")
    if not writing:
        connection.execute("PRAGMA query_only = ON")
        return
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise MetastoreUnavailable("SQLite cannot keep a write-ahead log in this directory")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # macOS: fsync reaches the platter only so; no other system knows these two
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # SqliteSession.tend does it


def translated(error: sqlite3.Error) -> Exception:
    """The room's own exception for one of SQLite's (https://sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return MetastoreError(str(error))
    if code in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_ROWID,
    ):
        return Conflict(str(error))
    kind = ERRORS.get(code & 0xFF, MetastoreError)
    return kind(f"SQLite: {error}")


ERRORS: dict[int, type[MetastoreError]] = {
    sqlite3.SQLITE_FULL: MetastoreFull,
    sqlite3.SQLITE_BUSY: MetastoreBusy,
    sqlite3.SQLITE_LOCKED: MetastoreBusy,
    sqlite3.SQLITE_IOERR: MetastoreUnavailable,
    sqlite3.SQLITE_CANTOPEN: MetastoreUnavailable,
    sqlite3.SQLITE_READONLY: MetastoreUnavailable,
    sqlite3.SQLITE_CORRUPT: MetastoreUnavailable,
    sqlite3.SQLITE_NOTADB: MetastoreUnavailable,
    sqlite3.SQLITE_PROTOCOL: MetastoreUnavailable,
}


class SqliteDatabase:
    """A `Database` in one file; open it in the process and the event loop that use it."""

    fresh_is_proof = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._reader = connect(path)
        self._writer = Writer(SqliteSession(path), self._wake)
        self._scanners = ThreadPoolExecutor(SCAN_THREADS, "metastore-scan")
        self._scanner = threading.local()
        self._scanning: list[sqlite3.Connection] = []
        self._committed = asyncio.Event()

    async def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        try:
            return self._reader.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    async def scan(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self._loop.run_in_executor(self._scanners, self._scan, sql, params)

    def _scan(self, sql: str, params: Sequence[Value]) -> list[Row]:
        connection: sqlite3.Connection | None = getattr(self._scanner, "connection", None)
        if connection is None:
            connection = self._scanner.connection = connect(self._path)
            self._scanning.append(connection)
        try:
            return connection.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    async def write(self, unit: Callable[[Transaction], T], *, durable: bool = True) -> T:
        return await self._writer.write(unit, durable)

    def fresh(self) -> int:
        try:
            version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise translated(error) from error
        return version

    async def changed(self, token: int, look: float | None = None) -> None:
        while self.fresh() == token:
            with suppress(TimeoutError):
                async with asyncio.timeout(look or POLL_SECONDS):
                    await self._committed.wait()

    def _wake(self) -> None:
        """After a commit of this process: let its watchers look at once."""
        self._committed.set()
        self._committed = asyncio.Event()

    async def close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._scanners.shutdown)
        for connection in (self._reader, *self._scanning):
            connection.close()


class SqliteSession:
    """The writing connection of a process."""

    def __init__(self, path: str) -> None:
        self._lock = WriteLock(os.path.dirname(path) or ".")
        self._connection = connect(path, writing=True)
        self._durable = True
        self._folded = 0
        self._full = False
        # else what undoes a unit goes to a file as soon as the unit has changed 16 pages
        self.execute("PRAGMA temp_store = MEMORY")

    def acquire(self) -> None:
        self._lock.acquire()

    def begin(self, durable: bool) -> None:
        if durable is not self._durable:
            # NORMAL leaves the log unsynced: safe against a killed process, not a power cut
            self.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self.execute("BEGIN IMMEDIATE")

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int:
        try:
            return self._connection.execute(sql, params).rowcount
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def now(self) -> float:
        return time.time()  # every process of the file is on this machine

    def _failed(self, error: sqlite3.Error) -> Exception:
        failure = translated(error)
        self._full = self._full or isinstance(failure, MetastoreFull)
        return failure

    def notify(self, revision: int) -> None:
        """Nothing to do: other processes see the file's data_version move."""

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.rollback()

    def is_lost(self) -> bool:
        return not self._connection.in_transaction  # SQLite itself rolls back when the disk is full

    def release(self) -> None:
        self._lock.release()

    def tend(self) -> None:
        """Fold the write-ahead log back into the file; between groups, so nobody waits for it."""
        if self._connection.total_changes - self._folded < CHECKPOINT_ROWS and not self._full:
            return
        self._folded = self._connection.total_changes
        with suppress(MetastoreError):  # worth another try after the next rows
            ((_, frames, _),) = self.fetch("PRAGMA wal_checkpoint(PASSIVE)")
            if frames > TRUNCATE_FRAMES or self._full:
                self._full = False
                self._truncate()  # which also gives its space back to a full disk

    def _truncate(self) -> None:
        """Start the log anew while no process writes, waiting a little for readers."""
        with self._lock:
            self.execute("PRAGMA busy_timeout = 200")
            try:
                self.fetch("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()
        self._lock.close()
