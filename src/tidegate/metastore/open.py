"""Opening the metadata database that a URL names; the rest of tidegate starts here.

Only the driver that is asked for is imported, and Alembic by neither.
"""

import asyncio

from tidegate.metastore.database import Database, sqlite_path
from tidegate.metastore.errors import SchemaNewer, SchemaOlder
from tidegate.metastore.migrate import SchemaState, check
from tidegate.metastore.sqlite import SqliteDatabase


async def open_database(url: str) -> Database:
    """Open `sqlite:///PATH` or `postgresql://...` in the process and event loop that use it.

    A connection does not survive a fork: open after it. The schema has to be current, see
    `migrate`; SchemaOlder or SchemaNewer say that it is not.
    """
    state = await asyncio.to_thread(check, url)
    if state is SchemaState.NEWER:
        raise SchemaNewer("the metadata database was written by a newer tidegate")
    if state is not SchemaState.CURRENT:
        raise SchemaOlder("the metadata database has not been migrated to this version")
    path = sqlite_path(url)
    if path is not None:
        return SqliteDatabase(path)
    # psycopg costs 15 MB of memory, which an embedded installation does not need
    from tidegate.metastore.postgresql import PostgresqlDatabase  # noqa: PLC0415

    return await PostgresqlDatabase.open(url)
