"""The two engines, each through the suites of `object_store.py` and its sibling."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import postgresql
from tests.conformance.object_store import ObjectStoreSuite
from tests.conformance.object_store_changes import ObjectStoreChangesSuite
from tidegate.metastore.migrate import migrate


class Suites(ObjectStoreSuite, ObjectStoreChangesSuite):
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
