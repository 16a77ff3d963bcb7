"""A database of the version before, brought up to date, and that version at work on it again.

What that program does is said in its own statements, which never change. An engine's own test is a
subclass with one fixture, `before`: the URL of an empty database.
"""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.conformance.metadata_store import TYPE, using
from tidegate.apimachinery.store import Key
from tidegate.metastore import (
    cached,
    closures,
    document_rows,
    jobs,
    manifests,
    origins,
    outbox,
    repositories,
    tag_checks,
    tags,
)
from tidegate.metastore.database import Database, Transaction, sqlite_path
from tidegate.metastore.migrate import SchemaState, check, migrate
from tidegate.metastore.postgresql import PostgresqlDatabase
from tidegate.metastore.schema import HISTORY, History
from tidegate.metastore.sqlite import SqliteDatabase
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

WEB = RepositoryName("shop/web")
SUBSCRIPTIONS, NAMESPACES = "eventsubscriptions.tidegate.io", "namespaces"

LATER = ("v0005_outside.py", "v0006_notifications.py")


@contextmanager
def history_before() -> Iterator[History]:
    """What the program before knows of its schema: the steps up to 0004."""
    with TemporaryDirectory() as name:
        directory = Path(name) / "migrations"
        ignored = shutil.ignore_patterns("__pycache__", *LATER)
        shutil.copytree(HISTORY.directory, directory, ignore=ignored)
        yield History(("0001", "0002", "0003", "0004"), "0001", str(directory))


def make_project(tx: Transaction) -> None:
    _document(tx, Key(NAMESPACES, "", "shop"))


def _document(tx: Transaction, key: Key) -> None:
    body = {"metadata": {"name": key.name, "namespace": key.namespace}}
    document_rows.put(tx, key, f"uid-of-{key.name}", lambda _: msgspec.json.encode(body))


def push(tx: Transaction, tag: str) -> Digest:
    """A push of the program before: the manifest is the name of the tag."""
    content = tag.encode()
    digest = Digest.of(content)
    repository = repositories.ensure(tx, WEB)
    tx.execute(
        "INSERT INTO contents (digest, content) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        (digest, content),
    )
    tx.execute(
        "INSERT INTO manifests (repository_id, content_id, digest, media_type, size,"
        " subject, artifact_type, annotations, pushed_at)"
        " SELECT ?, id, digest, ?, ?, ?, ?, ?, ? FROM contents WHERE digest = ?"
        " ON CONFLICT (repository_id, digest) DO UPDATE SET media_type = excluded.media_type,"
        " subject = excluded.subject, artifact_type = excluded.artifact_type,"
        " annotations = excluded.annotations, pushed_at = excluded.pushed_at,"
        " deleted_at = NULL",
        (repository, TYPE, len(content), None, None, None, 1.0, digest),
    )
    tx.execute(
        "INSERT INTO tags (repository_id, name, manifest_id, updated_at)"
        " SELECT repository_id, ?, id, ? FROM manifests WHERE repository_id = ? AND digest = ?",
        (tag, 1.0, repository, digest),
    )
    tx.execute(
        "INSERT INTO stream_tags"
        " (repository_id, name, spec, tracks, conditions, hidden, newest, current, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (repository, tag, None, None, None, 0, 1, 1, 1),
    )
    tx.execute(
        "INSERT INTO tag_events (repository_id, tag, number, created_at, recorded_at,"
        " reference, image, generation, how, who, removed_at, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(repository, tag, 1, 1.0, 1.0, f"/{WEB}@{digest}", digest, 1),
            *("push", "ann", None, None),
        ),
    )
    return digest


def promote(tx: Transaction, source: int, target: int, digest: Digest) -> None:
    """What a promotion of the program before does to the row of a manifest."""
    tx.execute(
        "INSERT INTO manifests (repository_id, content_id, digest, media_type, size, subject,"
        " artifact_type, annotations, pushed_at)"
        " SELECT ?, content_id, digest, media_type, size, subject, artifact_type, annotations, ?"
        " FROM manifests WHERE repository_id = ? AND digest = ?"
        " ON CONFLICT (repository_id, digest) DO UPDATE SET deleted_at = NULL",
        (target, 1.0, source, digest),
    )


def end_project(tx: Transaction) -> None:
    """The end of a project, by a program that knows of these tables alone."""
    ((repository,),) = tx.fetch("SELECT id FROM repositories WHERE name = ?", (WEB,))
    for table, key in (
        ("tags", "name"),
        ("tag_events", "tag, number"),
        ("stream_tags", "name"),
        ("manifests", "id"),
        ("links", "blob_id"),
    ):
        tx.execute(
            f"DELETE FROM {table} WHERE repository_id = ? AND ({key}) IN"
            f" (SELECT {key} FROM {table} WHERE repository_id = ? LIMIT ?)",
            (repository, repository, 100),
        )
    tx.execute("DELETE FROM repositories WHERE id = ?", (repository,))
    tx.execute(
        "DELETE FROM documents WHERE resource = ? AND namespace = ? AND name = ?",
        (NAMESPACES, "", "shop"),
    )


class MetadataBeforeSuite:
    """What an upgrade keeps, and what a way back finds."""

    @pytest.fixture
    def upgraded(self, before: str) -> str:
        """A database in which the program before made a project and pushed `old`."""
        with history_before() as history:
            migrate(before, history)
            assert check(before, history) is SchemaState.CURRENT
        assert check(before) is SchemaState.OLDER
        be_before(before)
        migrate(before)
        assert check(before) is SchemaState.CURRENT
        return before

    def test_what_the_version_before_pushed_is_there(self, upgraded: str) -> None:
        async def scenario(db: Database) -> None:
            stored = await manifests.by_tag(db, WEB, Tag("old"))
            assert stored is not None
            assert bytes(stored.content) == b"old"
            assert await origins.of_manifest(db, WEB, stored.digest) is None
            assert await tag_checks.find(db, WEB, "old") is None

        using(upgraded, scenario)

    def test_the_version_before_still_finds_itself_at_home(self, upgraded: str) -> None:
        with history_before() as history:
            assert check(upgraded, history) is SchemaState.CURRENT

    def test_what_the_version_before_pushes_is_told_to_who_listens(self, upgraded: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(lambda tx: _document(tx, Key(SUBSCRIPTIONS, "shop", "hook")))
            digest = await db.write(lambda tx: push(tx, "new"))
            assert await tags.page(db, WEB, "", 10) == ["new", "old"]
            (event,) = await outbox.after(db, "shop", 0, 10)
            assert (event.tag, event.image, event.how, event.who) == ("new", digest, "push", "ann")

        using(upgraded, scenario)

    def test_a_project_that_the_version_before_ends_leaves_nothing_to_the_next_of_its_name(
        self, upgraded: str
    ) -> None:
        async def scenario(db: Database) -> None:
            def use(tx: Transaction) -> None:
                _document(tx, Key(SUBSCRIPTIONS, "shop", "hook"))
                repository = repositories.ensure(tx, WEB)
                tag_checks.failed(tx, repository, "old", "quay.io/org/app:1", "no", 1.0)
                cached.admit(tx, WEB, Digest.of(b"layer"), "quay.io")
                jobs.enqueue(tx, "mirror", "shop/app", due=1.0, project="shop", now=1.0)

            await db.write(use)
            await db.write(end_project)
            await db.write(make_project)
            assert await document_rows.find(db, Key(SUBSCRIPTIONS, "shop", "hook")) is None
            assert await db.fetch("SELECT uid FROM listeners") == []
            assert await jobs.find(db, "mirror", "shop/app") is None
            await db.write(lambda tx: push(tx, "other"))
            assert await outbox.after(db, "", 0, 10) == []
            assert await tag_checks.find(db, WEB, "old") is None
            assert await cached.hosts(db, Digest.of(b"layer")) == []

        using(upgraded, scenario)

    def test_what_the_version_before_promotes_can_be_promoted_again(self, upgraded: str) -> None:
        async def scenario(db: Database) -> None:
            def unit(tx: Transaction) -> bool:
                source, target = (
                    repositories.ensure(tx, each) for each in (WEB, RepositoryName("prod/web"))
                )
                promote(tx, source, target, Digest.of(b"old"))
                return closures.copy(tx, target, RepositoryName("qa/web"), Digest.of(b"old"), 2.0)

            assert await db.write(unit)
            found = await manifests.by_digest(db, RepositoryName("qa/web"), Digest.of(b"old"))
            assert found is not None

        using(upgraded, scenario)


def be_before(url: str) -> None:
    """Be the program before, with a project and a push; `open_database` would refuse its schema."""

    def unit(tx: Transaction) -> None:
        make_project(tx)
        push(tx, "old")

    async def run() -> None:
        path = sqlite_path(url)
        db = SqliteDatabase(path) if path else await PostgresqlDatabase.open(url)
        try:
            await db.write(unit)
        finally:
            await db.close()

    asyncio.run(run())
