"""What `tidegate check` says of copies of other registries' blobs, and does about them."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tidegate.metastore import cached
from tidegate.metastore.cached import Totals
from tidegate.metastore.database import Database
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.registry.copy_verification import CopyVerification
from tidegate.registry.findings import Fault, Findings, Order
from tidegate.storage import layout
from tidegate.storage.cache import BlobCache
from tidegate.storage.filesystem import Filesystem

CONTENTS = (b"one", b"two", b"three")
DIGESTS = [Digest.of(content) for content in CONTENTS]


class Silent:
    """Nobody looks at the progress."""

    def begin(self, step: str, total: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[tuple[Database, BlobCache]]:
    database = await open_database(f"sqlite:///{root / 'metadata.db'}")
    cache = BlobCache(Filesystem(root))
    try:
        yield database, cache
    finally:
        cache.close()
        await database.close()


async def keep(database: Database, cache: BlobCache, content: bytes) -> None:
    digest = Digest.of(content)
    file = await cache.grow(digest, "quay.io", len(content))
    assert file.take()
    file.resume(digest)
    file.write(memoryview(content))
    file.keep()
    file.close()
    await database.write(lambda tx: cached.store(tx, digest, len(content), 1.0, 1.0))


@pytest.mark.parametrize("repair", [False, True])
def test_a_damaged_copy_is_told_of_and_removed_by_a_repair(
    migrated: Path, tmp_path: Path, repair: bool
) -> None:
    shutil.copy(migrated, tmp_path)

    async def scenario() -> None:
        async with opened(tmp_path) as (database, cache):
            for content in CONTENTS:
                await keep(database, cache, content)
            (tmp_path / layout.cache_path(DIGESTS[1])).write_bytes(b"?wo")
            order = Order(repair=repair, sample=100, stale_before=0.0)
            findings = Findings()
            chance = random.Random(1)
            await CopyVerification(database, cache, order, Silent(), chance).run(findings)
            assert (findings.copies, findings.copy_bytes) == (3, 11)
            (problem,) = findings.problems
            assert (problem.fault, problem.digest) == (Fault.COPY, DIGESTS[1])
            assert problem.repaired is repair
            left = 2 if repair else 3
            assert len([each async for each in cache.copies()]) == left
            assert (await cached.totals(database)).copies == left

    asyncio.run(scenario())


def test_a_sample_of_none_hashes_nothing(migrated: Path, tmp_path: Path) -> None:
    shutil.copy(migrated, tmp_path)

    async def scenario() -> None:
        async with opened(tmp_path) as (database, cache):
            await keep(database, cache, b"one")
            (tmp_path / layout.cache_path(DIGESTS[0])).write_bytes(b"?ne")
            order = Order(repair=True, sample=0, stale_before=0.0)
            findings = Findings()
            await CopyVerification(database, cache, order, Silent(), random.Random()).run(findings)
            assert (findings.problems, findings.copies) == ([], 1)
            assert await cached.totals(database) == Totals(1, 3)

    asyncio.run(scenario())
