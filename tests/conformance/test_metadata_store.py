"""The two engines, each through the suites of `metadata_store.py` and its siblings."""

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path

import psycopg
import pytest

from tests.conformance import postgresql
from tests.conformance.metadata_store import APP, MetadataStoreSuite, image, opened, push, using
from tests.conformance.metadata_store_before import MetadataBeforeSuite
from tests.conformance.metadata_store_blobs import MetadataBlobsSuite
from tests.conformance.metadata_store_cached import MetadataCachedSuite
from tests.conformance.metadata_store_followed import MetadataFollowedSuite
from tests.conformance.metadata_store_imports import MetadataImportsSuite
from tests.conformance.metadata_store_jobs import MetadataJobsSuite
from tests.conformance.metadata_store_origins import MetadataOriginsSuite
from tests.conformance.metadata_store_outbox import MetadataOutboxSuite
from tests.conformance.metadata_store_upstreams import MetadataUpstreamsSuite
from tests.conformance.metadata_store_usage import MetadataUsageSuite
from tests.conformance.metadata_store_watch import PATIENCE, MetadataWatchSuite, take
from tests.conformance.metadata_store_writes import MetadataWritesSuite
from tests.tools import unavailable
from tidegate.metastore import tags
from tidegate.metastore.changes import span, watch
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import MetastoreError, MetastoreUnavailable, SchemaNewer
from tidegate.metastore.migrate import SchemaState, check, migrate
from tidegate.metastore.open import open_database


class Suites(
    MetadataStoreSuite,
    MetadataBlobsSuite,
    MetadataWritesSuite,
    MetadataWatchSuite,
    MetadataUsageSuite,
    MetadataJobsSuite,
    MetadataFollowedSuite,
    MetadataImportsSuite,
    MetadataOriginsSuite,
    MetadataOutboxSuite,
    MetadataCachedSuite,
    MetadataUpstreamsSuite,
    MetadataBeforeSuite,
):
    """What both engines pass."""


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


class TestSqlite(Suites):
    @pytest.fixture
    def url(self, migrated_file: Path, tmp_path: Path) -> str:
        return f"sqlite:///{shutil.copy(migrated_file, tmp_path)}"

    @pytest.fixture
    def before(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'before.db'}"


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.server() as running:
        yield running


@pytest.fixture(scope="module")
def migrated_database(server: postgresql.Server) -> Iterator[str]:
    with server.database() as url:
        migrate(url)
        yield url


class TestPostgresql(Suites):
    @pytest.fixture
    def url(self, server: postgresql.Server, migrated_database: str) -> Iterator[str]:
        with server.database(migrated_database) as url:
            yield url

    @pytest.fixture
    def before(self, server: postgresql.Server) -> Iterator[str]:
        with server.database() as url:
            yield url

    def test_a_restart_of_the_server_is_survived(self, server: postgresql.Server, url: str) -> None:
        if not server.programs:
            unavailable("the server is not ours to restart")

        async def scenario(db: Database) -> None:
            await push(db, image("before"), "before")
            async with aclosing(watch(db, 0)) as watching:
                await take(watching, 3)
                await asyncio.to_thread(server.restart)
                await push(db, image("after"), "after")  # on a new connection
                assert await tags.page(db, APP, "", 10) == ["after", "before"]
                heard = await take(watching, 2)
            assert [change.kind for change in heard] == ["manifests", "tags"]
            async with opened(url) as other:
                token = db.fresh()
                while db.fresh() != token:  # until it listens again
                    token = db.fresh()
                    await asyncio.sleep(0.2)
                await push(other, image("heard"), "heard")
                async with asyncio.timeout(PATIENCE):
                    await db.changed(token)

        using(url, scenario)

    def test_an_absent_server_is_an_error_and_no_hang(
        self, server: postgresql.Server, url: str
    ) -> None:
        if not server.programs:
            unavailable("the server is not ours to stop")

        async def scenario(db: Database) -> None:
            await push(db, image("before"), "a")
            await asyncio.to_thread(server.stop)
            try:
                attempts = (push(db, image(f"{number}"), f"t{number}") for number in range(70))
                outcomes = await asyncio.gather(*attempts, return_exceptions=True)
                assert {type(outcome) for outcome in outcomes} == {MetastoreUnavailable}
                with pytest.raises(MetastoreError):
                    await tags.page(db, APP, "", 10)
            finally:
                await asyncio.to_thread(server.start)
            await push(db, image("after"), "b")
            assert await tags.page(db, APP, "", 10) == ["a", "b"]

        using(url, scenario)

    def test_a_unit_that_loses_the_connection_costs_the_others_nothing(self, url: str) -> None:
        go_on = threading.Event()

        def deadly(tx: Transaction) -> None:
            tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        async def scenario(db: Database) -> None:
            blocking = asyncio.create_task(db.write(lambda tx: go_on.wait(30)))
            await asyncio.sleep(0)
            first = asyncio.create_task(push(db, image("one"), "a"))
            dying = asyncio.create_task(db.write(deadly))
            last = asyncio.create_task(push(db, image("two"), "b"))
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(blocking, first, last)
            with pytest.raises(MetastoreUnavailable):
                await dying
            assert await tags.page(db, APP, "", 10) == ["a", "b"]

        using(url, scenario)

    def test_a_connection_lost_during_commit_is_an_error_and_no_second_try(self, url: str) -> None:
        on_commit(url, "PERFORM pg_terminate_backend(pg_backend_pid())")

        async def scenario(db: Database) -> None:
            with pytest.raises(MetastoreUnavailable, match="during COMMIT"):
                await push(db, image("one"), "bad")
            await push(db, image("two"), "good")
            assert await tags.page(db, APP, "", 10) == ["good"]

        using(url, scenario)

    def test_a_group_that_cannot_be_committed_is_tried_unit_by_unit(self, url: str) -> None:
        on_commit(url, "RAISE EXCEPTION 'no'")
        go_on = threading.Event()

        async def scenario(db: Database) -> None:
            blocking = asyncio.create_task(db.write(lambda tx: go_on.wait(30)))
            await asyncio.sleep(0)
            names = ("a", "bad", "c")
            pushes = [asyncio.create_task(push(db, image(name), name)) for name in names]
            await asyncio.sleep(0)
            go_on.set()
            await blocking
            outcomes = await asyncio.gather(*pushes, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [
                type(None),
                MetastoreError,
                type(None),
            ]
            assert await tags.page(db, APP, "", 10) == ["a", "c"]
            log = await db.fetch("SELECT revision, name FROM changes ORDER BY revision")
            assert [revision for revision, _ in log] == list(range(1, 6))  # none is left out
            assert (await span(db)).newest == 5

        using(url, scenario)

    def test_several_that_start_at_once_migrate_once(self, server: postgresql.Server) -> None:
        program = "import sys; from tidegate.metastore.migrate import migrate; migrate(sys.argv[1])"
        with server.database() as url:
            assert check(url) is SchemaState.EMPTY
            starters = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
            assert [starter.wait() for starter in starters] == [0, 0, 0]
            assert check(url) is SchemaState.CURRENT

    def test_a_database_of_a_newer_program_is_refused(self, url: str) -> None:
        with closing(psycopg.connect(url)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        assert check(url) is SchemaState.CURRENT  # it says that this program still fits
        with closing(psycopg.connect(url)) as connection, connection:
            connection.execute("UPDATE schema_floor SET version = '9999'")
        with pytest.raises(SchemaNewer):
            asyncio.run(open_database(url))


def on_commit(url: str, statement: str) -> None:
    """Have the server run `statement` at each COMMIT that makes the tag `bad`."""
    with closing(psycopg.connect(url)) as connection, connection:
        connection.execute(
            "CREATE FUNCTION intervene() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {statement}; RETURN NULL; END $$".encode()
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER intervene AFTER INSERT ON tags"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
            " WHEN (NEW.name = 'bad') EXECUTE FUNCTION intervene()"
        )
