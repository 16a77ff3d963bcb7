"""A database of the registry alone becomes one that keeps API objects, and stays what it was."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.metadata_store import APP, image, push
from tidegate.apimachinery.store import Key
from tidegate.metastore import tags
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import SchemaState, check, migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.schema import HISTORY

FIRST = replace(HISTORY, versions=("0001",))
DOWN = "DROP TABLE {}"


@pytest.fixture
def registry(file: Path, url: str) -> str:
    """The database of a program of version 0001, with a push in it."""
    pushed = open_and_push(url, "one", "old")
    asyncio.run(pushed)
    with closing(sqlite3.connect(file)) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (trigger,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for table in (
            "usage",
            "holdings",
            "counted",
            "documents",
            "document_owners",
            "history",
            "stream_tags",
            "tag_events",
            "deleted_documents",
            "jobs",
            "paces",
            "import_counts",
            "upstreams",
            "tag_checks",
            "cached",
            "cache_readers",
            "outbox",
            "listeners",
            "dead_letters",
        ):
            connection.execute(DOWN.format(table))
        for column in ("origin", "origin_insecure"):
            connection.execute(f"ALTER TABLE manifests DROP COLUMN {column}")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert check(url, FIRST) is SchemaState.CURRENT
    assert check(url) is SchemaState.OLDER
    return url


async def open_and_push(url: str, text: str, tag: str) -> None:
    db = await open_database(url)
    await push(db, image(text), tag)
    await db.close()


def test_what_was_pushed_before_stays_and_documents_can_be_kept(registry: str) -> None:
    migrate(registry)

    async def scenario() -> None:
        db = await open_database(registry)
        store = Documents(db)
        await store.start()
        newest = await store.revision()
        assert newest == 3
        assert await tags.page(db, APP, "", 10) == ["old"]
        watching = await store.watch("secrets", 0)
        await push(db, image("two"), "new")
        made = await store.write(lambda tx: tx.put(Key("secrets", "", "x"), "u", lambda _: b"{}"))
        assert made.revision == newest + 3
        await store.catch_up()
        assert [change.revision for change in await watching.next()] == [made.revision]
        assert (await store.list("secrets", at=newest)).documents == []
        await store.close()
        await db.close()

    asyncio.run(scenario())


def test_the_program_before_works_on_with_its_own_change_log(registry: str, file: Path) -> None:
    migrate(registry)
    assert check(registry, FIRST) is SchemaState.CURRENT

    def old_unit(tx: Transaction) -> None:
        """What the writer and the compaction of 0001 do, which know of no history."""
        tx.execute("INSERT INTO changes (revision, kind, name, action) VALUES (4, 'k', 'n', 'put')")
        tx.execute("UPDATE revision SET newest = 4")
        tx.execute("DELETE FROM changes WHERE revision <= 3")
        tx.execute("UPDATE revision SET compacted = 3")

    async def scenario() -> None:
        db = await open_database(registry)
        store = Documents(db)
        await store.start()
        await db.write(old_unit)
        made = await store.write(lambda tx: tx.put(Key("secrets", "", "x"), "u", lambda _: b"{}"))
        assert made.revision == 5
        assert await store.catch_up() == 5
        await store.close()
        await db.close()

    asyncio.run(scenario())
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT revision FROM history").fetchall() == [(5,)]
        assert connection.execute("SELECT max(revision) FROM changes").fetchall() == [(5,)]
