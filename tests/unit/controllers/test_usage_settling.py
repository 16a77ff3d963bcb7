import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from tidegate.controllers.usage_settling import settle_all
from tidegate.metastore import links, usage
from tidegate.metastore.database import Transaction
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.usage import Usage
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName


def test_what_was_there_before_the_counting_is_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metadata.db"
    url = f"sqlite:///{path}"
    migrate(url)

    def fill(tx: Transaction) -> None:
        for number in range(usage.AT_ONCE + 1):
            links.link(tx, RepositoryName("shop/web"), Digest.of(b"%d" % number), 10, 1.0)

    async def write() -> None:
        db = await open_database(url)
        await db.write(fill)
        await db.close()

    async def settle() -> None:
        db = await open_database(url)
        assert await usage.read(db, "shop") == Usage()
        await settle_all(db)
        assert await usage.read(db, "shop") == Usage(10 * usage.AT_ONCE + 10, 0)
        await db.close()

    asyncio.run(write())
    with closing(sqlite3.connect(path)) as connection, connection:  # as migrated with data in it
        connection.execute("UPDATE counted SET links = 0, manifests = 0, pending = 1")
        connection.execute("DELETE FROM holdings")
        connection.execute("DELETE FROM usage")
    asyncio.run(settle())
