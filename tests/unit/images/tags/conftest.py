"""The API of tags, with the stream shop/web."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.images.tags.tag_api import TagApi


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TagApi]:
    api = TagApi(tmp_path)
    api.stream()
    yield api
    api.close()
