"""The drivers that ship, each through the suite of `storage_driver`."""

from pathlib import Path

import pytest

from tests.conformance.storage_driver import StorageDriverSuite
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.memory import Memory


class TestFilesystem(StorageDriverSuite):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Filesystem:
        return Filesystem(tmp_path / "store")


class TestMemory(StorageDriverSuite):
    @pytest.fixture
    def driver(self) -> Memory:
        return Memory()
