"""The schema's version: asking for it cheaply, and bringing it up to date.

`check` is plain SQL and runs at every start. Alembic and SQLAlchemy, 30 MB that stay with the
process, are imported only when there is something to migrate. Invariant: of several processes that
start at once one migrates; the others wait and then find it done.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from enum import StrEnum
from typing import Any

from tidegate.metastore import sqlite
from tidegate.metastore.database import sqlite_path
from tidegate.metastore.errors import SchemaNewer
from tidegate.metastore.schema import HISTORY, History
from tidegate.metastore.writelock import WriteLock

_VERSION = "SELECT version_num FROM alembic_version"

Ask = Callable[[str], tuple[Any, ...] | None]
"""Run a query on an open connection for its first row."""


class SchemaState(StrEnum):
    """How a database stands to this program."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    """Of this version, or of a later one that this version can still work on."""
    NEWER = "newer"


def check(url: str, history: History = HISTORY) -> SchemaState:
    """Compare the database's schema with the program's, without changing anything."""
    path = sqlite_path(url)
    if path is None:
        from tidegate.metastore import postgresql  # noqa: PLC0415 - memory, see open.py

        with closing(postgresql.connect(url)) as server:
            return _state(
                history,
                lambda sql: server.execute(sql.encode()).fetchone(),
                "SELECT to_regclass('alembic_version')",
            )
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return SchemaState.EMPTY
    with closing(sqlite.connect(path)) as file:
        return _file_state(history, file)


def _file_state(history: History, file: sqlite3.Connection) -> SchemaState:
    try:
        return _state(
            history,
            lambda sql: file.execute(sql).fetchone(),
            "SELECT max(name) FROM sqlite_master WHERE name = 'alembic_version'",
        )
    except sqlite3.Error as error:
        raise sqlite.translated(error) from error


def _state(history: History, ask: Ask, table: str) -> SchemaState:
    if ask(table) in (None, (None,)):
        return SchemaState.EMPTY
    found = ask(_VERSION)
    if found is None:
        return SchemaState.EMPTY
    if found[0] == history.current:
        return SchemaState.CURRENT
    if found[0] in history.versions:
        return SchemaState.OLDER
    floor = ask("SELECT version FROM schema_floor")
    fits = floor is not None and floor[0] <= history.current
    return SchemaState.CURRENT if fits else SchemaState.NEWER


def migrate(url: str, history: History = HISTORY) -> None:
    """Bring the schema to the program's version, all of it or nothing.

    A SQLite file is copied to `PATH.before-VERSION` first when a step is not additive.
    Raises SchemaNewer.
    """
    state = check(url, history)
    if state is SchemaState.NEWER:
        raise SchemaNewer("the metadata database was written by a newer tidegate")
    if state is SchemaState.CURRENT:
        return
    path = sqlite_path(url)
    if path is None:
        _migrate_postgresql(history, url)
        return
    lock = WriteLock(os.path.dirname(path) or ".")  # the one that the server's writers take
    with closing(lock), lock, closing(sqlite.connect(path, writing=True)) as file:
        _migrate_sqlite(history, path, file)


def _migrate_sqlite(history: History, path: str, file: sqlite3.Connection) -> None:
    from tidegate.metastore import upgrade  # noqa: PLC0415 - memory, see above

    if _file_state(history, file) is SchemaState.OLDER:
        ((version,),) = file.execute(_VERSION).fetchall()
        if not upgrade.is_additive(history, version):
            _copy(file, f"{path}.before-{history.current}")
    upgrade.upgrade(history, "sqlite", file, "BEGIN IMMEDIATE", sqlite.translated)


def _copy(file: sqlite3.Connection, target: str) -> None:
    """A consistent copy beside the file; one left over from a migration that failed goes."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    try:
        file.execute("VACUUM INTO ?", (target,))
    except sqlite3.Error as error:
        raise sqlite.translated(error) from error


def _migrate_postgresql(history: History, url: str) -> None:
    from tidegate.metastore import postgresql, upgrade  # noqa: PLC0415 - memory, see above

    with closing(postgresql.connect(url)) as server:
        lock, translated = postgresql.MIGRATION_LOCK, postgresql.translated
        upgrade.upgrade(history, "postgresql+psycopg", server, lock, translated)
