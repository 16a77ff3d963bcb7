"""The blob store on both drivers."""

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestMismatch
from tidegate.storage.blobs import BlobStore
from tidegate.storage.driver import Driver, Writer
from tidegate.storage.errors import (
    BlobMissing,
    PathRefused,
    StorageError,
    UploadBusy,
    UploadTruncated,
)
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.layout import blob_path, quarantine_path, upload_path
from tidegate.storage.memory import Memory
from tidegate.storage.receiving import Received, Receiving, RunningHashes

UPLOAD = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


@pytest.fixture(params=["filesystem", "memory"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    return Filesystem(tmp_path) if request.param == "filesystem" else Memory()


@pytest.fixture
def files(tmp_path: Path) -> Filesystem:
    return Filesystem(tmp_path)


async def receive(
    store: BlobStore, upload_id: str, content: bytes, offset: int = 0, algorithm: str = "sha256"
) -> Received:
    receiving = await store.receive(upload_id, offset, algorithm)
    try:
        receiving.write(memoryview(content))
        return receiving.end()
    finally:
        receiving.close()


async def push(store: BlobStore, content: bytes, algorithm: str = "sha256") -> Digest:
    digest = Digest.of(content, algorithm)
    upload_id = os.urandom(16).hex()
    await store.commit(upload_id, digest, await receive(store, upload_id, content, 0, algorithm))
    return digest


async def replace(driver: Driver, path: str, content: bytes) -> None:
    """Damage what is stored, behind the store's back."""
    await driver.delete(path)
    writer = await driver.append(path, 0)
    writer.write(memoryview(content))
    writer.close()


async def content_of(store: BlobStore, digest: Digest) -> bytes:
    with await store.open(digest) as blob:
        return b"".join([piece async for piece in blob.read(0, blob.size)])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [b"", b"content", b"x" * 3_000_000])
def test_what_was_pushed_is_read_back(driver: Driver, content: bytes, algorithm: str) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digest = await push(store, content, algorithm)
        assert await store.size(digest) == len(content)
        assert await content_of(store, digest) == content
        assert await store.verify(digest)
        assert [upload async for upload in store.uploads()] == []

    asyncio.run(scenario())


def test_an_upload_in_chunks_is_hashed_as_it_comes(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"one ")
        assert received == Received(4, Digest.of(b"one "))
        received = await receive(store, UPLOAD, b"two", 4)
        assert received == Received(7, Digest.of(b"one two"))
        assert await store.commit(UPLOAD, Digest.of(b"one two"), received) == 7

    asyncio.run(scenario())


def test_an_empty_blob_needs_no_bytes_to_arrive(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        assert await store.commit(UPLOAD, Digest.of(b""), Received(0, None)) == 0
        assert await content_of(store, Digest.of(b"")) == b""

    asyncio.run(scenario())


def test_another_process_continues_an_upload_which_is_then_hashed_at_its_commit(
    driver: Driver,
) -> None:
    async def scenario() -> None:
        await receive(BlobStore(driver), UPLOAD, b"one ")
        elsewhere = BlobStore(driver)
        received = await receive(elsewhere, UPLOAD, b"two", 4)
        assert received == Received(7, None)
        with pytest.raises(DigestMismatch):
            await elsewhere.commit(UPLOAD, Digest.of(b"one"), received)
        assert await elsewhere.commit(UPLOAD, Digest.of(b"one two"), received) == 7

    asyncio.run(scenario())


def test_a_digest_of_the_other_algorithm_at_the_end_is_checked_against_the_bytes(
    driver: Driver,
) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"content")
        with pytest.raises(DigestMismatch):
            await store.commit(UPLOAD, Digest.of(b"other", "sha512"), received)
        digest = Digest.of(b"content", "sha512")
        assert await store.commit(UPLOAD, digest, received) == 7
        assert await store.verify(digest)

    asyncio.run(scenario())


def test_a_wrong_digest_leaves_the_upload_as_it_is(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"content")
        with pytest.raises(DigestMismatch, match=Digest.of(b"content")):
            await store.commit(UPLOAD, Digest.of(b"other"), received)
        assert await store.size(Digest.of(b"other")) is None
        assert await store.commit(UPLOAD, Digest.of(b"content"), received) == 7

    asyncio.run(scenario())


def test_bytes_that_were_never_recorded_are_no_part_of_the_blob(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"recorded")
        await receive(store, UPLOAD, b", not recorded", received.offset)
        await store.commit(UPLOAD, Digest.of(b"recorded"), received)
        assert await content_of(store, Digest.of(b"recorded")) == b"recorded"

    asyncio.run(scenario())


def test_a_digest_in_the_row_does_not_vouch_for_bytes_older_than_the_process(
    driver: Driver,
) -> None:
    """After a power cut the row may be there and the bytes be zeros."""

    async def scenario() -> None:
        received = await receive(BlobStore(driver), UPLOAD, b"content")
        await replace(driver, upload_path(UPLOAD), bytes(7))
        restarted = BlobStore(driver)
        with pytest.raises(DigestMismatch):
            await restarted.commit(UPLOAD, Digest.of(b"content"), received)
        assert await restarted.size(Digest.of(b"content")) is None

    asyncio.run(scenario())


def test_a_digest_in_the_row_vouches_for_bytes_that_came_while_the_process_lived(
    driver: Driver,
) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        (await store.receive(OTHER, 0, "sha256")).close()
        received = await receive(BlobStore(driver), UPLOAD, b"content")
        await replace(driver, upload_path(UPLOAD), b"CONTENT")  # shows that nobody looks again
        await store.commit(UPLOAD, Digest.of(b"content"), received)
        assert not await store.verify(Digest.of(b"content"))

    asyncio.run(scenario())


def test_a_commit_whose_row_was_lost_is_repeated(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"content")
        digest = Digest.of(b"content")
        assert await store.commit(UPLOAD, digest, received) == 7
        assert await store.commit(UPLOAD, digest, received) == 7
        assert await BlobStore(driver).commit(UPLOAD, digest, received) == 7
        assert await content_of(store, digest) == b"content"

    asyncio.run(scenario())


def test_only_who_sent_the_bytes_finds_them_stored_already(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digest = await push(store, b"a secret")
        for claimed in (
            Received(8, None),
            Received(8, Digest.of(b"something")),
            Received(7, digest),
            Received(8, Digest.of(b"a secret", "sha512")),
        ):
            with pytest.raises(UploadTruncated):
                await store.commit(UPLOAD, digest, claimed)

    asyncio.run(scenario())


def test_a_digest_is_stored_once(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digests = await asyncio.gather(*(push(store, b"the same") for _ in range(8)))
        assert [blob.digest async for blob in store.blobs()] == [digests[0]]
        assert [upload async for upload in store.uploads()] == []

    asyncio.run(scenario())


def test_two_commits_of_one_upload_end_well_or_busy(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"content")
        outcomes = await asyncio.gather(
            *(store.commit(UPLOAD, Digest.of(b"content"), received) for _ in range(4)),
            return_exceptions=True,
        )
        assert 7 in outcomes
        assert all(outcome == 7 or isinstance(outcome, UploadBusy) for outcome in outcomes)
        assert await store.verify(Digest.of(b"content"))

    asyncio.run(scenario())


def test_an_upload_being_received_is_not_committed(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        received = await receive(store, UPLOAD, b"content")
        receiving = await store.receive(UPLOAD, 7, "sha256")
        with pytest.raises(UploadBusy):
            await store.commit(UPLOAD, Digest.of(b"content"), received)
        receiving.close()
        await store.commit(UPLOAD, Digest.of(b"content"), received)

    asyncio.run(scenario())


def test_a_missing_blob_has_no_size_and_cannot_be_opened_or_verified(driver: Driver) -> None:
    async def scenario() -> None:
        store, digest = BlobStore(driver), Digest.of(b"missing")
        assert await store.size(digest) is None
        for call in (store.open(digest), store.verify(digest), store.set_aside(digest)):
            with pytest.raises(BlobMissing):
                await call

    asyncio.run(scenario())


def test_a_discarded_upload_is_gone_and_may_be_discarded_again(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        await receive(store, UPLOAD, b"content")
        assert [(upload.upload_id, upload.size) async for upload in store.uploads()] == [
            (UPLOAD, 7)
        ]
        await store.discard(UPLOAD)
        await store.discard(UPLOAD)
        assert [upload async for upload in store.uploads()] == []
        with pytest.raises(PathRefused):
            await store.discard("../blobs")

    asyncio.run(scenario())


def test_a_window_of_a_blob_is_read(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        body = os.urandom(2_500_000)
        with await store.open(await push(store, body)) as blob:
            pieces = [piece async for piece in blob.read(400_000, 2_000_000)]
        assert b"".join(pieces) == body[400_000:2_400_000]
        assert max(map(len, pieces)) <= 1 << 20

    asyncio.run(scenario())


def test_reading_past_the_end_of_a_blob_is_an_error(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        blob = await store.open(await push(store, b"four"))
        with blob, pytest.raises(StorageError):
            _ = [piece async for piece in blob.read(0, 5)]

    asyncio.run(scenario())


def test_an_open_blob_outlives_its_removal(files: Filesystem) -> None:
    async def scenario() -> None:
        store = BlobStore(files)
        digest = await push(store, b"content")
        with await store.open(digest) as blob:
            assert blob.fd is not None
            await files.delete(blob_path(digest))
            assert [piece async for piece in blob.read(0, 7)] == [b"content"]
        blob.close()

    asyncio.run(scenario())


def test_a_blob_that_nobody_closes_is_closed(files: Filesystem) -> None:
    async def scenario() -> None:
        store = BlobStore(files)
        blob = await store.open(await push(store, b"content"))
        fd = blob.fd
        assert fd is not None
        del blob
        gc.collect()
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(fd)

    asyncio.run(scenario())


def test_corrupt_bytes_are_set_aside_and_the_digest_can_be_pushed_again(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digest = await push(store, b"content")
        for damage in (b"CONTENT", b"shorter", b""):
            await replace(driver, blob_path(digest), damage)
            assert not await store.verify(digest)
            assert await store.set_aside(digest)
            assert await store.size(digest) is None
            assert await driver.stat(quarantine_path(digest)) == len(damage)
            await push(store, b"content")
            assert await store.verify(digest)

    asyncio.run(scenario())


def test_good_bytes_are_not_set_aside(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digest = await push(store, b"content")
        assert not await store.set_aside(digest)
        assert await content_of(store, digest) == b"content"
        assert await driver.stat(quarantine_path(digest)) is None

    asyncio.run(scenario())


def test_good_bytes_are_not_lost_to_older_ones_in_quarantine(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digest = await push(store, b"content")
        await replace(driver, blob_path(digest), b"CONTENT")
        assert await store.set_aside(digest)
        await push(store, b"content")
        assert not await store.set_aside(digest)
        assert await content_of(store, digest) == b"content"

    asyncio.run(scenario())


def test_corrupt_bytes_are_set_aside_by_one_of_two_checks(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        digest = await push(store, b"content")
        await replace(driver, blob_path(digest), b"CONTENT")
        held = await driver.append(blob_path(digest), 7)
        assert not await store.set_aside(digest)
        held.close()
        outcomes = await asyncio.gather(
            *(store.set_aside(digest) for _ in range(4)), return_exceptions=True
        )
        assert outcomes.count(True) == 1
        others = [outcome for outcome in outcomes if outcome is not True]
        assert all(outcome is False or isinstance(outcome, BlobMissing) for outcome in others)

    asyncio.run(scenario())


def test_stray_files_are_neither_blobs_nor_uploads(files: Filesystem, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = BlobStore(files)
        digest = await push(store, b"content")
        (tmp_path / "blobs" / "sha256" / digest.encoded[:2] / "core").write_bytes(b"?")
        (tmp_path / "blobs" / "lost+found").mkdir()
        (tmp_path / "uploads" / ".DS_Store").write_bytes(b"?")
        assert [blob.digest async for blob in store.blobs()] == [digest]
        assert [upload async for upload in store.uploads()] == []

    asyncio.run(scenario())


def test_only_the_most_recent_hashes_are_kept() -> None:
    hashes = RunningHashes(limit=2)
    for number in range(3):
        hashes.put(f"{number}", 1, "sha256", Digest.of(b"").hasher())
    assert hashes.take("0", 1, "sha256") is None
    assert hashes.take("2", 1, "sha256") is not None
    assert hashes.take("2", 1, "sha256") is None
    assert hashes.take("1", 1, "sha512") is None
    assert not hashes.has("1", Received(1, None))


class SlowWriter:
    """A writer whose disk takes as long as it is told."""

    def __init__(self) -> None:
        self.offset = 0
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def write(self, buffer: memoryview) -> None:
        self.reached.set()
        self.go_on.wait()
        self.offset += len(buffer)

    def close(self) -> None:
        pass


def test_a_write_under_way_when_a_request_ends_does_not_count() -> None:
    """The count and the digest of a session stay those of the same bytes."""
    slow = SlowWriter()
    writer: Writer = slow
    receiving = Receiving(RunningHashes(), UPLOAD, writer, "sha256")
    slow.go_on.set()
    receiving.write(memoryview(b"counted"))
    slow.go_on.clear()
    slow.reached.clear()
    writing = threading.Thread(target=receiving.write, args=(memoryview(b", too late"),))
    writing.start()
    slow.reached.wait()
    received = receiving.end()
    slow.go_on.set()
    writing.join()
    assert received == receiving.end() == Received(7, Digest.of(b"counted"))
    with pytest.raises(StorageError):
        receiving.write(memoryview(b"more"))


def test_an_idle_upload_is_discarded_and_a_held_one_is_not(driver: Driver) -> None:
    async def scenario() -> None:
        store = BlobStore(driver)
        receiving = await store.receive(UPLOAD, 0, "sha256")
        receiving.write(memoryview(b"content"))
        assert not await store.discard_idle(UPLOAD)
        received = receiving.end()
        receiving.close()
        await receive(store, OTHER, b"idle")
        assert await store.discard_idle(OTHER)
        assert [upload.upload_id async for upload in store.uploads()] == [UPLOAD]
        assert await store.commit(UPLOAD, Digest.of(b"content"), received) == 7

    asyncio.run(scenario())


def test_corrupt_bytes_from_elsewhere_are_kept_in_quarantine(driver: Driver) -> None:
    async def scenario() -> None:
        store, digest = BlobStore(driver), Digest.of(b"a manifest")
        await store.keep_aside(digest, b"damaged")
        assert await driver.stat(quarantine_path(digest)) == 7
        assert await store.size(digest) is None
        assert [upload async for upload in store.uploads()] == []

    asyncio.run(scenario())
