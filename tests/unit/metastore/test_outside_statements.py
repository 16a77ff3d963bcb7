"""Statements about other registries find their rows by an index, and so do all that the database's
own triggers run: `test_schema` says the same of the other tables."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.metastore.test_schema import Overheard
from tidegate.metastore import (
    cached,
    expiry,
    followed_tags,
    job_queue,
    manifests,
    origins,
    outbox,
    repositories,
    stream_tags,
    tag_checks,
    upstreams,
)
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.open import open_database
from tidegate.metastore.upstreams import Upstreams
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

WEB, DIGEST = RepositoryName("shop/web"), Digest.of(b"{}")

READS_ALL = {
    "SELECT count(*), coalesce(sum(size), 0) FROM cached": "how much is kept, once a minute",
    job_queue.FAILING: "how many fail, for metrics",
    "SELECT kind, lane, count(*), min(due_at) FROM jobs": "how many wait, for metrics",
    "SELECT count(*) FROM dead_letters": "how many there are, for metrics",
    "DELETE FROM upstreams": "a registry each, looked through once an hour",
    "SELECT host, account, ": "a registry each, listed for people",
}
"""Beginnings of statements that read a table, and why they may."""

SORTS = {
    "m.origin_insecure, m.origin": "some origins of one manifest's lists",
    "e.tag, e.number DESC": "the events of one image",
    "part.id": "up to a hundred manifests that name a blob",
}
"""What statements sort that is bounded by something else."""


def keep(tx: Transaction) -> None:
    """What is known of tags and blobs of other registries."""
    manifest = Manifest(DIGEST, "text/plain", b"{}", blobs=(DIGEST,), children=(DIGEST,))
    manifests.put(tx, WEB, manifest, [], 1)
    number = repositories.ensure(tx, WEB)
    tag_checks.seen(tx, number, "v1", "quay.io/org/app:1", DIGEST, 1.0)
    tag_checks.failed(tx, number, "v1", "quay.io/org/app:1", "no", 2.0)
    tag_checks.forget(tx, number, "v1")
    cached.store(tx, DIGEST, 2, 1.0, 1.0)
    cached.admit(tx, WEB, DIGEST, "quay.io")
    cached.use(tx, [DIGEST], 2.0)
    cached.forget(tx, DIGEST)
    expiry.purge_repository(tx, "shop/other", 5)
    repositories.ensure(tx, RepositoryName("shop/other"))
    expiry.purge_repository(tx, "shop/other", 5)


async def ask(known: Upstreams) -> None:
    """What a process does about one registry."""
    await known.learn("quay.io", "ann", 100, 3600.0, 10.0)
    await known.wait("quay.io", "ann", 2, counted=True)
    await known.refused("quay.io", "ann", 5.0)
    await known.failed("quay.io", "no connection")
    await known.answered("quay.io")


async def use_outside(db: Database) -> None:
    await db.write(keep)
    await ask(Upstreams(db, lambda: 1_000_000.0))
    await upstreams.every(db)
    await job_queue.failing(db)
    await job_queue.waiting(db, None, 1.0)
    await outbox.dead(db)
    await tag_checks.find(db, WEB, "v1")
    await cached.may_read(db, WEB, DIGEST)
    await cached.hosts(db, DIGEST)
    await cached.totals(db)
    await cached.longest_unused(db, 5)
    await cached.page(db, "", 5)
    await origins.of_blob(db, WEB, DIGEST)
    await origins.naming_blob(db, WEB, DIGEST)
    await origins.of_listed(db, WEB, DIGEST)
    await origins.events_of(db, WEB, DIGEST)
    await origins.image_of(db, WEB, "v1")
    await origins.specs_using(db, WEB, DIGEST)
    await origins.of_manifest(db, WEB, DIGEST)
    await followed_tags.named(db, WEB, ["v1", "v2"])
    await followed_tags.changed_last(db, WEB, followed_tags.FARTHEST, 1, 5)
    await followed_tags.stays(db, WEB, "v1")
    await stream_tags.read_specs(db, WEB, ["v1"])
    await stream_tags.read_changed_at(db, WEB, 1)


def plan(connection: sqlite3.Connection, sql: str, count: int) -> list[str]:
    """The steps of a statement."""
    steps = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * count).fetchall()
    return [step for *_, step in steps]


def test_every_statement_about_the_outside_finds_its_rows_by_an_index(file: Path, url: str) -> None:
    async def overhear() -> dict[str, int]:
        db = Overheard(await open_database(url))
        await use_outside(db)
        await db.close()
        return db.heard

    heard = asyncio.run(overhear())
    assert len(heard) > 40
    with closing(sqlite3.connect(file)) as connection:
        for sql, count in heard.items():
            steps = plan(connection, sql, count)
            # `part`, `single` and `child` are what a search has found, up to a limit; the copies
            # that were used the longest ago are read in order
            read = [
                step
                for step in steps
                if re.match(r"SCAN (?!part|single|child|CONSTANT|cached USING INDEX)", step)
            ]
            sorts = [step for step in steps if "TEMP B-TREE FOR ORDER" in step]
            assert not read or any(map(sql.startswith, READS_ALL)), (sql, steps)
            assert not sorts or any(each in sql for each in SORTS), (sql, steps)


def test_every_trigger_finds_its_rows_by_an_index(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = dict(found.fetchall())
        assert {"tag_events_told", "outbox_wakes", "namespaces_go"} <= {*triggers}
        for name, sql in triggers.items():
            body = sql.partition("BEGIN")[2].rpartition("END")[0]
            for statement in filter(str.strip, body.split(";")):
                asked = re.sub(r"\b(NEW|OLD)\.\w+", "?", statement)
                steps = plan(connection, asked, asked.count("?"))
                # `o` and `s` of usage's are what a search has found
                found_before = "[os]$|" if name.startswith("holdings_") else ""
                read = [
                    step for step in steps if re.match(rf"SCAN (?!{found_before}CONSTANT)", step)
                ]
                assert not read, (name, statement, steps)
