"""The drawing of the tables is true, and every statement finds its rows by an index."""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from tidegate.apimachinery.store import Key as DocumentKey
from tidegate.metastore import (
    changes,
    document_rows,
    history,
    import_counts,
    job_queue,
    jobs,
    keys,
    links,
    manifests,
    outbox,
    paces,
    repositories,
    schema,
    stream_tags,
    tags,
    uploads,
    users,
    wanted_tags,
)
from tidegate.metastore.database import Database, Row, Transaction, Value
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.open import open_database
from tidegate.metastore.uploads import Upload
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

T = TypeVar("T")

READS_ALL = {
    "SELECT newest FROM revision",
    "SELECT compacted, newest FROM revision",
    "UPDATE revision SET compacted = ?",
    "UPDATE revision SET newest = ?",
    "SELECT count(*) FROM users",
    "SELECT count(*) FROM import_counts",
    import_counts.EVERY,
    changes.BEYOND,
    outbox.HEARD,
    outbox.BEFORE,
    *outbox.BEHIND,
    "SELECT kid, secret, created_at, retired_at FROM keys ORDER BY created_at, kid",
}
"""Statements that read a whole table, because it is small or asked for as a whole."""


class Overheard:
    """A database that takes down the statements it is given; a `Transaction` as well."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.heard: dict[str, int] = {}
        self.fresh_is_proof = db.fresh_is_proof

    def hear(self, sql: str, params: Sequence[Value]) -> None:
        self.heard[sql] = len(params)

    async def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        self.hear(sql, params)
        return await self.db.fetch(sql, params)

    async def scan(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        self.hear(sql, params)
        return await self.db.scan(sql, params)

    async def write(self, unit: Callable[[Transaction], T], *, durable: bool = True) -> T:
        return await self.db.write(lambda tx: unit(OverheardUnit(self, tx)), durable=durable)

    def fresh(self) -> int:
        return self.db.fresh()

    async def changed(self, token: int, look: float | None = None) -> None:
        await self.db.changed(token, look)

    async def close(self) -> None:
        await self.db.close()


class OverheardUnit:
    def __init__(self, overheard: Overheard, tx: Transaction) -> None:
        self.overheard = overheard
        self.tx = tx
        self.record = tx.record
        self.now = tx.now

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int:
        self.overheard.hear(sql, params)
        return self.tx.execute(sql, params)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        if rows:
            self.overheard.hear(sql, rows[0])
        self.tx.execute_many(sql, rows)

    def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        self.overheard.hear(sql, params)
        return self.tx.fetch(sql, params)


async def use_documents(db: Database) -> None:
    """Call every function that reads or writes documents."""
    key = DocumentKey("secrets", "shop", "one")
    body = b'{"metadata": {"uid": "1", "resourceVersion": "1", "ownerReferences": [{"uid": "2"}]}}'
    anywhere = document_rows.Range("secrets", None, document_rows.Place("", ""))
    within = document_rows.Range("secrets", "shop", document_rows.Place("shop", ""))

    def unit(tx: Transaction) -> None:
        document_rows.put(tx, key, "1", lambda _: body)
        document_rows.put(tx, key._replace(name="two"), "1", lambda _: body)
        document_rows.part(tx, anywhere, 1)
        document_rows.part(tx, within, 1)
        document_rows.dependents(tx, "2")
        document_rows.delete(tx, key)

    before = (await changes.span(db)).newest
    await db.write(unit)
    await document_rows.find(db, key)
    for each in (anywhere, within):
        await document_rows.page(db, each, 1)
        await history.page_at(db, each, 1, before)
        await history.page_at(db, each, 1, before + 2)
        await history.count_at(db, each, before)
    await history.read(db, before, 1)
    await history.read(db, before, 1, "secrets")
    await changes.keep_newest(db, 1000)


async def use_jobs(db: Database) -> None:
    """Call every function that reads or writes jobs."""

    def unit(tx: Transaction) -> None:
        for name in ("one", "two", "three", "four"):
            jobs.enqueue(tx, "copy", name, due=1.0, lane="quay.io", project="shop", now=1.0)
        first, second, third = jobs.claim_some(tx, "copy", "h", 2.0, 9.0, None, 3)
        jobs.is_held(tx, first)
        jobs.extend(tx, first, 3.0, 9.0, position="here", done=1, total=2)
        jobs.finish(tx, first, 4.0, again_at=None)
        jobs.fail(tx, second, 4.0, "no", 5.0)
        jobs.release(tx, third)
        jobs.claim(tx, "copy", "i", 6.0, 9.0, "quay.io")
        jobs.drop_finished(tx, "copy", "one")
        jobs.drop(tx, "copy", "one")
        jobs.drop_project(tx, "lab", 5)
        jobs.drop_part(tx, "copy", "o", 5)

    await db.write(unit)
    await jobs.next_due(db, "copy")
    await job_queue.lanes(db, "copy")
    await job_queue.waiting(db, "copy", 9.0)
    await jobs.find(db, "copy", "two")
    await jobs.named(db, "copy", ["two", "three"])
    for project in (None, "shop"):
        await job_queue.listing(db, project, ("", "", ""), 5)


async def use_imports(db: Database) -> None:
    """Call every function that knows what is to be imported, and how often it was."""

    def unit(tx: Transaction) -> None:
        paces.step(tx, "imports", 1.0, 1.0, 2)
        import_counts.add(tx, "quay.io", "", scheduled=True)

    app = RepositoryName("shop/app")
    await db.write(unit)
    await import_counts.every(db)
    await wanted_tags.of_stream(db, app, "", 5)
    await wanted_tags.changed_since(db, app, (0, ""), 5)
    await wanted_tags.named(db, app, ["one"])


async def use_outbox(db: Database) -> None:
    """Call every function that reads or writes what somebody is to be told."""
    letter = outbox.Letter(1, 1.0, 1, "no", 0, "m", b"{}")

    def unit(tx: Transaction) -> None:
        outbox.tell(tx, "one", 1, 1, 2.0)
        outbox.bury(tx, "one", letter)
        outbox.raise_again(tx, "one")
        outbox.raise_again(tx, "one", [1, 2])
        outbox.settle(tx, "one", 1, 2.0)
        outbox.lose_letters(tx, "one", 1)

    for kind in ("eventsubscriptions", "clustereventsubscriptions"):
        key = DocumentKey(f"{kind}.tidegate.io", "shop" if kind[0] == "e" else "", "one")
        await db.write(lambda tx, at=key: document_rows.put(tx, at, at.resource, lambda _: b"{}"))  # type: ignore[misc]  # a default binds the loop variable
    key = DocumentKey("imagestreams.image.openshift.io", "shop", "web")
    await db.write(lambda tx: document_rows.put(tx, key, "3", lambda _: b"{}"))
    await db.write(lambda tx: outbox.trim(tx, 0, 1.0, 5))
    await db.write(unit)
    await outbox.listener(db, "one")
    await outbox.letters(db, "one", 0, 5)
    await outbox.raised(db, "one", 5)
    await outbox.buried(db, "one")
    for project in ("", "shop"):
        await outbox.after(db, project, 0, 5)
        await outbox.waiting(db, project, 0)


async def use_everything(db: Database) -> None:
    """Call every function of the table modules."""
    app, digest, tag = RepositoryName("shop/app"), Digest.of(b"{}"), Tag("v1")
    manifest = Manifest(digest, "text/plain", b"{}", digest, "a/b", "{}", (digest,), (digest,))
    upload = Upload("0" * 32, app, "sha256", 0, None, 1, 1)

    def unit(tx: Transaction) -> None:
        links.link(tx, app, digest, 2, 1)
        links.sizes(tx, app, [digest])
        links.missing(tx, app, [digest])
        manifests.put(tx, app, manifest, [tag], 1)
        manifests.known(tx, app, [digest])
        manifests.users_of(tx, app, digest)
        stream_tags.look_up(tx, 1, tag)
        tags.delete(tx, app, tag, 2)
        manifests.delete(tx, app, digest, 2)
        manifests.revive(tx, app, [digest])
        links.unlink(tx, app, digest, 3)
        uploads.create(tx, upload)
        uploads.advance(tx, upload, 1, digest, 2)
        uploads.finish(tx, upload.id)
        uploads.begin(tx, upload, 1, digest, 2)
        uploads.end(tx, upload, 2)
        uploads.forget(tx, 3, 5)
        users.put(tx, users.User("anna", "", False, False, 1))
        users.get(tx, "anna")
        users.count(tx)
        keys.put(tx, keys.Key("kid", b"", 1))
        keys.stored(tx)
        keys.retire(tx, "kid", 2)
        keys.remove(tx, "kid")

    await db.write(unit)
    await db.write(lambda tx: changes.compact(tx, 2))
    await manifests.by_tag(db, app, tag)
    await manifests.by_digest(db, app, digest)
    await manifests.referrers(db, app, digest, None, "", 5)
    await manifests.referrers(db, app, digest, "a/b", "", 5)
    await tags.page(db, app, "", 5)
    await links.size(db, app, digest)
    await links.holders(db, digest, 5)
    await repositories.page(db, "", 5)
    await repositories.exists(db, app)
    await uploads.find(db, upload.id)
    await uploads.expired(db, 1, 5)
    await users.find(db, "anna")
    await users.names(db, "", 5)
    watching = changes.watch(db, 3)
    await anext(watching)
    await watching.aclose()
    await use_documents(db)
    await use_jobs(db)
    await use_imports(db)
    await use_outbox(db)


def test_every_statement_finds_its_rows_by_an_index(file: Path, url: str) -> None:
    async def overhear() -> dict[str, int]:
        db = Overheard(await open_database(url))
        await use_everything(db)
        await db.close()
        return db.heard

    heard = asyncio.run(overhear())
    assert len(heard) > 40
    with closing(sqlite3.connect(file)) as connection:
        for sql, count in heard.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * count).fetchall()
            steps = [step for *_, step in plan]
            # `next` and `part` are what a search has found, cut to a page's size and sorted
            read = [step for step in steps if re.match(r"SCAN (?!part|next|\(|CONSTANT)", step)]
            sorts = [
                step
                for step in steps
                # changes since a revision are few, and grouped by their documents
                if "TEMP B-TREE" in step and "OVER" not in sql and "FOR GROUP BY" not in step
            ]
            assert sql in READS_ALL or not (read or sorts), (sql, steps)


def test_every_table_and_column_is_drawn(file: Path) -> None:
    drawing = schema.__doc__
    assert drawing is not None
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        names = {name for (name,) in found if not name.startswith(("sqlite_", "alembic_"))}
        drawn = {name: drawing.index(f" {name} ") for name in names}
        for name in names:
            start = drawn[name]
            following = [place for place in drawn.values() if place > start]
            part = drawing[start : min(following, default=len(drawing))]
            for column in connection.execute(f"PRAGMA table_info({name})").fetchall():
                assert column[1] in part or column[1] == "id", f"{name}.{column[1]}"


@pytest.mark.parametrize("statement", ["DELETE FROM blobs", "DELETE FROM contents"])
def test_what_is_in_use_cannot_be_removed(url: str, statement: str) -> None:
    async def scenario() -> None:
        db = await open_database(url)
        await use_everything(db)
        with pytest.raises(Exception, match="FOREIGN KEY"):
            await db.write(lambda tx: tx.execute(statement))
        await db.close()

    asyncio.run(scenario())
