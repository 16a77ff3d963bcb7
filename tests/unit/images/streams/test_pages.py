"""Pages of streams that would be too large end early, and go on with their token."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.images.streams.test_stream import World, pushed
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions, Page
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.pages import Bounds, shown
from tidegate.images.streams.rendering import heading
from tidegate.images.streams.storage import Streams, StreamStorage
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.documents import Documents
from tidegate.metastore.open import open_database
from tidegate.oci.name import RepositoryName

NAMES = [RepositoryName(f"shop/s{number}") for number in range(5)]
LARGE = NAMES[1]
BOUNDS = Bounds(paged=10_000, whole=10_000, together=1)
CALL = Call(user=User("ann"), verb="list", namespace="shop")


class Nobody:
    async def authorize(self, _user: User, _asked: Attributes) -> bool:
        return False


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Five streams, one of which is large."""
    world = World(tmp_path)
    for name in NAMES:
        world.make(name)

    def push(stream: Stream) -> None:
        for number in range(100):
            stream.record(f"t{number}", pushed(LARGE, "d"), Actor("ann", PUSH, 1.0))

    world.change(push, LARGE)
    return f"sqlite:///{tmp_path / 'metadata.db'}"


def pages(url: str, options: ListOptions, bounds: Bounds) -> list[Page]:
    """All pages from the first on."""

    async def read(options: ListOptions) -> list[Page]:
        database = await open_database(url)
        try:
            store = Documents(database)
            streams = Streams(store, database, Nobody(), Hosts(), RegistryConfig(store))
            found: list[Page] = []
            while not found or found[-1].token:
                headers = await streams.headers.list(CALL, options)
                found.append(await shown(streams.renderings, headers, options, bounds))
                options = replace(options, token=found[-1].token)
            whole = await StreamStorage(streams).list(CALL, ListOptions(selection=Selection()))
            assert [each for page in found for each in page.bodies] == whole.bodies
            return found
        finally:
            await database.close()

    return asyncio.run(read(options))


def names(page: Page) -> list[str]:
    return [str(heading(each).name) for each in page.bodies]


@pytest.mark.parametrize("limit", [0, 4, 100])
def test_a_page_ends_after_what_makes_it_too_large(url: str, limit: int) -> None:
    first, *more = pages(url, ListOptions(selection=Selection(), limit=limit), BOUNDS)
    assert names(first) == NAMES[:2]
    assert first.remaining == 3
    assert [each for page in more for each in names(page)] == NAMES[2:]
    assert {page.revision for page in more} == {first.revision}


def test_what_is_left_of_a_selection_is_not_counted(url: str) -> None:
    selection = Selection(fields=(("metadata.namespace", "shop", True),))
    first, *_ = pages(url, ListOptions(selection=selection, limit=4), BOUNDS)
    assert names(first) == NAMES[:2]
    assert first.remaining is None


def test_the_last_stream_of_a_page_may_be_the_large_one(url: str) -> None:
    first, second, _ = pages(url, ListOptions(selection=Selection(), limit=2), BOUNDS)
    assert (names(first), first.remaining) == (NAMES[:2], 3)
    assert names(second) == NAMES[2:4]
