"""Verification of a store on disk and a database of its own, damaged in every way it knows."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.storage.disks import unreadable_disk
from tidegate.metastore import blobs, links, manifests, uploads
from tidegate.metastore.database import Database
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.mediatype import OCI_MANIFEST
from tidegate.oci.name import RepositoryName, Tag
from tidegate.registry.findings import Fault, Findings, Order
from tidegate.registry.verification import Verification
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import BlobMissing
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.layout import blob_path, quarantine_path

ONE = RepositoryName.parse("team/one")
TWO = RepositoryName.parse("team/two")
NOW = 1_800_000_000.0
MANIFEST = b'{"schemaVersion": 2}'


class Silent:
    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []

    def begin(self, step: str, total: int) -> None:
        self.steps.append((step, total))

    def advance(self, count: int) -> None:
        assert count >= 0


class World:
    """A data directory with a database and a store, and ways to break them."""

    def __init__(self, data: Path, database: Database) -> None:
        self.data = data
        self.database = database
        self.store = BlobStore(Filesystem(data))

    async def push(self, content: bytes, repository: RepositoryName = ONE) -> Digest:
        digest = Digest.of(content)
        upload_id = os.urandom(16).hex()
        receiving = await self.store.receive(upload_id, 0, "sha256")
        receiving.write(memoryview(content))
        received = receiving.end()
        receiving.close()
        size = await self.store.commit(upload_id, digest, received)
        await self.database.write(lambda tx: links.link(tx, repository, digest, size, NOW))
        return digest

    async def push_manifest(self, *names: Digest, content: bytes = MANIFEST) -> Digest:
        digest = Digest.of(content)
        manifest = manifests.Manifest(digest, OCI_MANIFEST, content, blobs=names)
        await self.database.write(
            lambda tx: manifests.put(tx, ONE, manifest, [Tag.parse("v1")], NOW)
        )
        return digest

    async def unlink(self, digest: Digest) -> None:
        await self.database.write(lambda tx: links.unlink(tx, ONE, digest, NOW))

    def file(self, digest: Digest) -> Path:
        return self.data / blob_path(digest)

    def quarantined(self, digest: Digest) -> Path:
        return self.data / quarantine_path(digest)

    def sql(self, statement: str, *parameters: object) -> None:
        """Damage the database as no function of ours would."""
        with sqlite3.connect(self.data / "metadata.db") as connection:
            connection.execute(statement, parameters)
        connection.close()

    async def check(
        self, *, repair: bool = False, sample: float = 100.0, sparse: bool = False
    ) -> Findings:
        order = Order(repair=repair, sample=sample, stale_before=time.time() - 60, sparse=sparse)
        verification = Verification(self.database, self.store, order, Silent(), random.Random(1))
        return await verification.run()

    async def faults(self, *, repair: bool = False) -> list[tuple[Fault, Digest | None, bool]]:
        findings = await self.check(repair=repair)
        return [(each.fault, each.digest, each.repaired) for each in findings.problems]


Scenario = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def opened() -> None:
            url = f"sqlite:///{tmp_path / 'metadata.db'}"
            migrate(url)
            database = await open_database(url)
            try:
                await scenario(World(tmp_path, database))
            finally:
                await database.close()

        asyncio.run(opened())

    return run


def test_a_sound_registry_has_no_problem(play: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        one, two = await world.push(b"one"), await world.push(b"two two")
        await world.push_manifest(one, two)
        findings = await world.check(repair=True)
        assert findings == Findings(blobs=2, bytes=10, hashed_blobs=2, hashed_bytes=10, manifests=1)

    play(scenario)


def test_an_empty_registry_has_no_problem(play: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        assert await world.check(repair=True) == Findings()

    play(scenario)


@pytest.mark.parametrize("damage", [b"CONTENT", b"cont", b"", b"content and more"])
def test_corrupt_bytes_are_set_aside_and_a_push_brings_them_back_everywhere(
    play: Callable[[Scenario], None], damage: bytes
) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content", ONE)
        await world.push(b"content", TWO)
        world.file(digest).write_bytes(damage)
        assert await world.faults() == [(Fault.CORRUPT, digest, False)]
        assert await links.size(world.database, ONE, digest) == 7

        assert await world.faults(repair=True) == [(Fault.CORRUPT, digest, True)]
        assert await links.size(world.database, ONE, digest) is None
        assert world.quarantined(digest).read_bytes() == damage
        with pytest.raises(BlobMissing):
            await world.store.open(digest)
        assert await world.faults() == []

        await world.push(b"content", TWO)
        assert await links.size(world.database, ONE, digest) == 7
        assert await world.faults() == []

    play(scenario)


def test_lost_bytes_read_as_missing_until_they_are_pushed(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        world.file(digest).unlink()
        assert await world.faults() == [(Fault.MISSING, digest, False)]
        assert await world.faults(repair=True) == [(Fault.MISSING, digest, True)]
        assert await links.size(world.database, ONE, digest) is None
        assert await world.faults() == []
        await world.push(b"content")
        assert await links.size(world.database, ONE, digest) == 7

    play(scenario)


def test_bytes_that_are_back_are_found_again(play: Callable[[Scenario], None]) -> None:
    """As after a repair of a registry whose disk was not mounted."""

    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        away = world.file(digest).rename(world.data / "away")
        await world.check(repair=True)
        away.rename(world.file(digest))
        assert await world.faults() == [(Fault.BACK, digest, False)]
        assert await world.faults(repair=True) == [(Fault.BACK, digest, True)]
        assert await links.size(world.database, ONE, digest) == 7

    play(scenario)


def test_a_size_recorded_wrongly_is_corrected(play: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        world.sql("UPDATE blobs SET size = 6 WHERE digest = ?", digest)
        assert await world.faults() == [(Fault.WRONG_SIZE, digest, False)]
        assert await world.faults(repair=True) == [(Fault.WRONG_SIZE, digest, True)]
        assert await links.size(world.database, ONE, digest) == 7
        assert world.file(digest).read_bytes() == b"content"

    play(scenario)


def test_a_corrupt_manifest_is_set_aside_with_its_tags_and_can_be_pushed_again(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        blob = await world.push(b"content")
        digest = await world.push_manifest(blob)
        world.sql("UPDATE contents SET content = ? WHERE digest = ?", b"damaged", digest)
        assert await world.faults() == [(Fault.MANIFEST_CORRUPT, digest, False)]
        assert await world.faults(repair=True) == [(Fault.MANIFEST_CORRUPT, digest, True)]
        assert await manifests.by_digest(world.database, ONE, digest) is None
        assert await manifests.by_tag(world.database, ONE, Tag.parse("v1")) is None
        assert world.quarantined(digest).read_bytes() == b"damaged"
        assert await world.faults() == []

        await world.push_manifest(blob)
        found = await manifests.by_tag(world.database, ONE, Tag.parse("v1"))
        assert found is not None
        assert found.content == MANIFEST
        assert await world.faults() == []

    play(scenario)


def test_bytes_of_a_project_that_are_counted_wrongly_are_counted_again(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        await world.push_manifest(digest)
        world.sql("UPDATE usage SET alone = alone + 1")
        findings = await world.check()
        assert [(each.fault, each.detail, each.repaired) for each in findings.problems] == [
            (
                Fault.USAGE,
                "project team holds 27 + 0 bytes (alone + shared), counted 28 + 0",
                False,
            )
        ]
        assert await world.faults(repair=True) == [(Fault.USAGE, None, True)]
        assert await world.faults() == []

    play(scenario)


def test_a_manifest_that_names_a_blob_without_bytes_is_told(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        manifest = await world.push_manifest(digest)
        world.file(digest).unlink()
        assert await world.faults(repair=True) == [
            (Fault.MISSING, digest, True),
            (Fault.INCOMPLETE, manifest, False),
        ]
        findings = await world.check()
        assert [problem.fault for problem in findings.problems] == [Fault.INCOMPLETE]
        assert digest in findings.problems[0].detail
        assert ONE in findings.problems[0].detail
        await world.push(b"content")
        assert await world.faults() == []

    play(scenario)


def test_images_without_blobs_are_no_problem_where_they_are_accepted(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        await world.push_manifest(Digest.of(b"elsewhere"))
        assert len((await world.check()).problems) == 1
        findings = await world.check(sparse=True)
        assert (findings.problems, findings.incomplete) == ([], 1)

    play(scenario)


def test_a_deleted_manifest_needs_no_blobs(play: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        manifest = await world.push_manifest(digest)
        await world.database.write(lambda tx: manifests.delete(tx, ONE, manifest, NOW))
        await world.unlink(digest)
        assert await world.faults() == []

    play(scenario)


def test_bytes_of_no_repository_are_counted_and_hashed(play: Callable[[Scenario], None]) -> None:
    """A later push would find them stored already, so they have to be right."""

    async def scenario(world: World) -> None:
        good, bad = await world.push(b"good"), await world.push(b"bad")
        world.sql("DELETE FROM links")
        world.sql("DELETE FROM blobs")
        findings = await world.check()
        assert (findings.unlinked_blobs, findings.unlinked_bytes) == (2, 7)
        assert findings.problems == []
        world.file(bad).write_bytes(b"BAD")
        assert await world.faults(repair=True) == [(Fault.CORRUPT, bad, True)]
        assert world.file(good).exists()
        assert not world.file(bad).exists()

    play(scenario)


def test_a_sample_of_nothing_still_finds_what_is_missing_or_cut_short(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        lost, cut, changed = [await world.push(name) for name in (b"lost", b"cut", b"changed")]
        world.file(lost).unlink()
        world.file(cut).write_bytes(b"c")
        world.file(changed).write_bytes(b"CHANGED")
        findings = await world.check(sample=0)
        assert {(problem.fault, problem.digest) for problem in findings.problems} == {
            (Fault.MISSING, lost),
            (Fault.CORRUPT, cut),
        }
        assert findings.hashed_blobs == 1

    play(scenario)


def test_a_sample_hashes_about_so_many(play: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        for number in range(300):
            await world.push(b"%d" % number)
        findings = await world.check(sample=20)
        assert findings.blobs == 300
        assert 30 <= findings.hashed_blobs <= 90

    play(scenario)


def test_uploads_without_a_session_are_removed_once_they_are_old(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        old, young, known, held = (f"{number}" * 32 for number in range(4))
        for upload_id in (old, young, known):
            receiving = await world.store.receive(upload_id, 0, "sha256")
            receiving.write(memoryview(b"bytes"))
            receiving.close()
        holding = await world.store.receive(held, 0, "sha256")
        session = uploads.Upload(known, ONE, "sha256", 5, None, NOW, NOW)
        await world.database.write(lambda tx: uploads.create(tx, session))
        for upload_id in (old, known, held):
            os.utime(world.data / "uploads" / upload_id, (1, 1))

        findings = await world.check()
        assert (findings.stale_uploads, findings.stale_bytes) == (2, 5)
        assert findings.problems == []
        findings = await world.check(repair=True)
        assert (findings.stale_uploads, findings.stale_bytes) == (1, 5)
        left = sorted(file.name for file in (world.data / "uploads").iterdir())
        assert left == [young, known, held]
        holding.close()

    play(scenario)


def test_bytes_that_the_disk_cannot_read_are_set_aside(
    tmp_path: Path, play: Callable[[Scenario], None]
) -> None:
    async def scenario(world: World) -> None:
        with unreadable_disk(tmp_path) as disk:
            world.data, world.store = disk.root, BlobStore(Filesystem(disk.root))
            digest = await world.push(os.urandom(4 << 20))
            disk.lose_after(2 << 20)
            assert await world.faults() == [(Fault.UNREADABLE, digest, False)]
            assert await world.faults(repair=True) == [(Fault.UNREADABLE, digest, True)]
            assert await links.size(world.database, ONE, digest) is None
            assert await world.store.size(digest) is None

    play(scenario)


def test_a_registry_that_is_written_to_meanwhile_has_no_problem(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        stop = asyncio.Event()

        async def push_and_delete() -> int:
            count = 0
            while not stop.is_set():
                digest = await world.push(b"%d" % (count % 50))
                if count % 3 == 0:
                    await world.unlink(digest)
                count += 1
            return count

        writing = asyncio.create_task(push_and_delete())
        for _ in range(10):
            assert (await world.check(repair=True)).problems == []
        stop.set()
        assert await writing > 0

    play(scenario)


def test_a_push_during_a_repair_is_not_undone(play: Callable[[Scenario], None]) -> None:
    """However the steps of both mix, a blob that was acknowledged is there in the end."""

    async def scenario(world: World) -> None:
        for _ in range(30):
            digest = await world.push(b"content")
            world.file(digest).unlink()
            await asyncio.gather(world.check(repair=True), world.push(b"content"))
            assert await links.size(world.database, ONE, digest) == 7
            assert await world.store.verify(digest)

    play(scenario)


def test_a_loss_is_recorded_once_and_undone_by_a_restore(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(world: World) -> None:
        digest = await world.push(b"content")
        assert await world.database.write(lambda tx: blobs.lose(tx, digest))
        assert not await world.database.write(lambda tx: blobs.lose(tx, digest))
        assert await blobs.sizes(world.database, [digest]) == {digest: None}
        assert await blobs.page(world.database, "", 10) == []
        await world.database.write(lambda tx: blobs.restore(tx, digest, 7))
        assert await blobs.page(world.database, "", 10) == [(digest, 7)]
        assert await blobs.page(world.database, digest, 10) == []

    play(scenario)
