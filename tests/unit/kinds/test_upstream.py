"""What is shown of other registries, and of the work that waits for them."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import NotFound
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.kinds.work.upstream import UPSTREAMS, Upstream
from tidegate.kinds.work.upstream_storage import UpstreamStorage
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.upstreams import Upstreams

NOW = 100_000.0

CALL = Call(user=User("ann"), verb="list")


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path)}"


def fill(tx: Transaction) -> None:
    for number, lane in enumerate(
        ("docker.io", "docker.io", "docker.io (shop)", "quay.io", "shop", "")
    ):
        jobs.enqueue(tx, "look", f"{number}", due=NOW - 100 - number, lane=lane, now=0.0)
    jobs.enqueue(tx, "look", "later", due=NOW + 5, lane="ghcr.io", now=0.0)


def with_upstreams(url: str, scenario: Callable[[Database], Awaitable[None]]) -> None:
    """A registry that set limits, for nobody and for an account, and one that fails."""

    async def run() -> None:
        database = await open_database(url)
        try:
            await database.write(fill)
            known = Upstreams(database, lambda: NOW, lambda: 0.5)
            await known.learn("docker.io", "", 100, 21_600.0, 40.0)
            await known.learn("docker.io", "robot/ci", 200, 21_600.0, 200.0)
            for _ in range(5):
                await known.failed("far.example:5000", "no route to host")
            await scenario(database)
        finally:
            await database.close()

    asyncio.run(run())


async def listed(storage: UpstreamStorage, limit: int = 0, **fields: str) -> list[Upstream]:
    chosen = tuple((path.replace("_", "."), value, True) for path, value in fields.items())
    found: list[Upstream] = []
    token = ""
    while True:
        options = ListOptions(selection=Selection(fields=chosen), limit=limit, token=token)
        page = await storage.list(CALL, options)
        found += [msgspec.json.decode(each, type=Upstream) for each in page.bodies]
        token = page.token
        if not token:
            return found


def row(upstream: Upstream) -> list[Any]:
    return [upstream.metadata.name, *(each.cell(upstream, NOW) for each in UPSTREAMS.columns)]


def test_limits_queues_and_failures_are_in_one_table(url: str) -> None:
    async def scenario(database: Database) -> None:
        found = await listed(UpstreamStorage(database, lambda: NOW))
        assert [row(each) for each in found] == [
            ["docker.io", "100/6h", 40, 3, "102s", "", ""],
            ["far.example:5000", "", None, 0, "", "for 10s", "no route to host"],
            ["quay.io", "", None, 1, "103s", "", ""],
            ["robot|ci@docker.io", "200/6h", 200, 0, "", "", ""],
        ]

    with_upstreams(url, scenario)


def test_what_comes_back_is_counted(url: str) -> None:
    async def scenario(database: Database) -> None:
        (hub,) = await listed(UpstreamStorage(database, lambda: NOW + 2160), spec_host="docker.io",
                              spec_account="")  # fmt: skip
        assert hub.status.remaining == 50

    with_upstreams(url, scenario)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_hold_every_registry_once(url: str, limit: int) -> None:
    async def scenario(database: Database) -> None:
        storage = UpstreamStorage(database, lambda: NOW)
        assert await listed(storage, limit) == await listed(storage)

    with_upstreams(url, scenario)


def test_one_registry_is_read_by_its_name(url: str) -> None:
    async def scenario(database: Database) -> None:
        storage = UpstreamStorage(database, lambda: NOW)
        (everything, *_) = await listed(storage)
        body = await storage.get(CALL, "docker.io")
        assert msgspec.json.decode(body, type=Upstream) == everything
        with pytest.raises(NotFound):
            await storage.get(CALL, "shop")
        await known_by_refusal(database, storage)

    async def known_by_refusal(database: Database, storage: UpstreamStorage) -> None:
        await Upstreams(database, lambda: NOW).refused("quay.io", "", 90.0)
        quay = msgspec.json.decode(await storage.get(CALL, "quay.io"), type=Upstream)
        assert quay.status.closed_until == "1970-01-02T03:48:10Z"

    with_upstreams(url, scenario)
