from collections.abc import Iterator

import pytest

from tests.unit.auth.serviceaccounts.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.make_namespace()
    yield made
    made.runner.close()
