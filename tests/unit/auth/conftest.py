from collections.abc import Iterator

import pytest

from tests.unit.auth.world import World, new_world


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as made:
        yield made
