"""A migrated SQLite database for each test."""

import shutil
from pathlib import Path

import pytest

from tidegate.metastore.migrate import migrate


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    """The database file of the test."""
    return Path(shutil.copy(migrated_file, tmp_path))


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"
