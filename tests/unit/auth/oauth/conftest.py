from collections.abc import Iterator

import pytest

from tests.unit.auth.oauth.site import Site, new_site


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as made:
        yield made
