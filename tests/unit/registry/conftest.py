from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry_client import RegistryClient
from tests.unit.registry.in_process import InProcess, in_process


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[InProcess]:
    """A fresh registry, whose administrator may everything."""
    with in_process(tmp_path) as running:
        yield running


@pytest.fixture
def client(registry: InProcess) -> RegistryClient:
    """The administrator's client of `registry`."""
    return registry.client()
