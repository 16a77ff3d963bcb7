import asyncio
from collections.abc import Iterator

import pytest

from tests.unit.apimachinery.http.in_process import Api


@pytest.fixture
def api() -> Iterator[Api]:
    with asyncio.Runner() as runner:
        yield Api(runner)
