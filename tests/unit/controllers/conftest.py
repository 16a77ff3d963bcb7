"""A migrated SQLite database for each test that asks for its `url`."""

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
def url(migrated_file: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path)}"
