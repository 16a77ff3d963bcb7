"""Statements about streams find their rows by an index, so that a push costs what it costs in any
stream: `test_schema` says the same of the other tables."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.metastore.test_schema import Overheard
from tidegate.apimachinery.store import Document, Key
from tidegate.metastore import (
    closures,
    deleted,
    holders,
    manifests,
    newest_tags,
    repositories,
    stream_tags,
    tag_events,
    tag_past,
    tags,
)
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.open import open_database
from tidegate.metastore.stream_tags import FARTHEST, TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

WEB, COPY, DIGEST = RepositoryName("shop/web"), RepositoryName("prod/web"), Digest.of(b"{}")
EVENT = TagEvent(1, 1.0, 1.0, f"/shop/web@{DIGEST}", DIGEST, 1, "push", "ann")

SORTS = {
    "ORDER BY e.tag, e.number DESC": "the events of a page of tags, or of one image",
    "ORDER BY f.digest": "the referrers of one image",
    "ORDER BY t.repository_id, e.tag, e.number DESC": "the events of some small streams",
    "ORDER BY deleted_at DESC": "what was deleted under one name",
}
"""Ends of statements that sort what they found, which is bounded by something else."""


def record(tx: Transaction, number: int) -> None:
    """What a push does to a stream, and its other writes."""
    tag_events.find(tx, number, "v1", 1)
    stream_tags.find(tx, number, "v1")
    stream_tags.put(tx, number, TagRow("v1", newest=1, current=1, changed=3))
    stream_tags.tracking(tx, number, "v1")
    tag_events.append(tx, number, "v1", EVENT)
    tags.lead(tx, number, "v1", DIGEST, 1)
    tags.lead(tx, number, "v1", "", 1)
    tag_events.amend(tx, number, "v1", EVENT)
    tag_events.newest_visible(tx, number, "v1", 0)
    tag_events.visible(tx, number, "v1", 0, 5)
    tag_events.naming(tx, number, DIGEST)
    tag_events.names_image(tx, number, DIGEST)
    tag_events.brings_images(tx, number, "v1", 0)
    tag_events.of_image(tx, number, "sha256:4", 5)
    tag_events.holders(tx, DIGEST, 5)
    stream_tags.changed_last(tx, number, (FARTHEST, ""), 5)
    stream_tags.weight_from(tx, number, (1, "v1"), 1000)
    tag_past.numbered(tx, number, "v1", 1)
    tag_past.naming(tx, number, "v1", "sha256:4")
    tag_past.in_force(tx, number, "v1", 2.0)
    tag_past.before(tx, number, "v1", EVENT, 0)
    holders.holder_of(tx, DIGEST)
    holders.holder_of(tx, "sha256:none")
    holders.referring(tx, DIGEST, 5)
    closures.copy(tx, number, COPY, DIGEST, 2)
    tag_events.remove(tx, number, "v1", [1], 2)


def keep(tx: Transaction) -> None:
    """What is deleted and comes back."""
    key = Key(deleted.IMAGE_STREAMS, "shop", "web")
    deleted.keep(tx, Document(key, "1", 1, b"{}"))
    deleted.newest(tx, key)
    deleted.take_back(tx, key, "1")
    deleted.forget(tx, key, "1")


async def use_streams(db: Database) -> None:
    manifest = Manifest(DIGEST, "text/plain", b"{}", blobs=(DIGEST,))

    def unit(tx: Transaction) -> int:
        manifests.put(tx, WEB, manifest, [], 1)
        number = repositories.ensure(tx, WEB)
        record(tx, number)
        keep(tx)
        return number

    number = await db.write(unit)
    await stream_tags.read_one(db, number, "v1")
    await stream_tags.read_by_name(db, number, "", 5)
    await stream_tags.read_changed_last(db, number, (FARTHEST, ""), 5)
    await stream_tags.read_extents(db, [WEB], 5)
    await stream_tags.read_whole(db, [number], few=True)
    await stream_tags.read_count(db, number)
    await stream_tags.read_older(db, number)
    await newest_tags.repository_ids(db, [WEB])
    await newest_tags.by_name(db, number, "", 5)
    await newest_tags.of_streams(db, [number], 5)
    await tag_events.history(db, WEB, "v1", 5, 5)
    await tag_events.as_of(db, WEB, Tag("v1"), 5)
    await holders.unlisted(db, [DIGEST])
    await deleted.expired(db, 1, 5)


def test_every_statement_about_streams_finds_its_rows_by_an_index(file: Path, url: str) -> None:
    async def overhear() -> dict[str, int]:
        db = Overheard(await open_database(url))
        await use_streams(db)
        await db.close()
        return db.heard

    heard = asyncio.run(overhear())
    assert len(heard) > 40
    with closing(sqlite3.connect(file)) as connection:
        for sql, count in heard.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * count).fetchall()
            steps = [step for *_, step in plan]
            # `part`, `tagged` and `happened` are what a search has found, up to a limit
            read = [
                step
                for step in steps
                if re.match(r"SCAN (?!part|tagged|happened|\(|CONSTANT)", step)
            ]
            # a DISTINCT with a limit ends with it
            sorts = [step for step in steps if "TEMP B-TREE FOR ORDER" in step]
            known = any(sql.partition(" LIMIT")[0].endswith(each) for each in SORTS)
            assert not read, (sql, steps)
            assert known or not sorts, (sql, steps)
