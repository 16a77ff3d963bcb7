"""A command's short visit to the metadata database, whether or not a server runs on it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidegate.auth.errors import PasswordRefused
from tidegate.cli.refusal import Refused
from tidegate.config import Settings
from tidegate.metastore.database import Database
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.open import open_database

T = TypeVar("T")


def visit(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` returns of the database; `Refused` when it cannot be used."""

    async def main() -> T:
        database = await open_database(settings.database_url)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(main())
    except (PasswordRefused, MetastoreError) as error:
        raise Refused(str(error)) from error
