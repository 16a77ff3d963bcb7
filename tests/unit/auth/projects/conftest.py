from collections.abc import Iterator

import pytest

from tests.unit.auth.projects.world import ProjectWorld


@pytest.fixture
def world() -> Iterator[ProjectWorld]:
    made = ProjectWorld()
    yield made
    made.runner.close()
