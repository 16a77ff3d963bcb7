"""The filesystem driver and the blob store on disks that fill up or fail, for real."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.storage.disks import failing_disk, small_disk
from tidegate.oci.digest import Digest
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import StorageError, StorageFull, UploadTruncated
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.receiving import Received

UPLOAD = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
MEGABYTE = os.urandom(1 << 20)


async def push(store: BlobStore, upload_id: str, content: bytes) -> Digest:
    receiving = await store.receive(upload_id, 0, "sha256")
    try:
        receiving.write(memoryview(content))
        received = receiving.end()
    finally:
        receiving.close()
    digest = Digest.of(content)
    await store.commit(upload_id, digest, received)
    return digest


def test_a_disk_that_fills_up_keeps_what_was_stored_and_takes_more_once_there_is_space(
    tmp_path: Path,
) -> None:
    async def scenario(disk: Path) -> None:
        store = BlobStore(Filesystem(disk))
        stored = await push(store, OTHER, MEGABYTE)
        receiving = await store.receive(UPLOAD, 0, "sha256")
        receiving.write(memoryview(MEGABYTE))
        receiving.write(memoryview(MEGABYTE))
        with pytest.raises(StorageFull):
            receiving.write(memoryview(MEGABYTE))
        received = receiving.end()
        receiving.close()
        assert received == Received(2 << 20, Digest.of(MEGABYTE * 2))
        # what did not fit was given back at once, for those who are still writing
        assert (disk / "uploads" / UPLOAD).stat().st_size == received.offset
        assert await store.verify(stored)

        await store.discard(UPLOAD)
        again = await push(store, UPLOAD, MEGABYTE + b"x")
        assert await store.verify(again)
        assert await store.verify(stored)

    with small_disk(tmp_path, "3500k") as disk:
        asyncio.run(scenario(disk))


def test_an_upload_stopped_by_a_full_disk_goes_on_from_what_was_kept(tmp_path: Path) -> None:
    async def scenario(disk: Path) -> None:
        store = BlobStore(Filesystem(disk))
        filling = disk / "filling"
        filling.write_bytes(MEGABYTE * 2)
        receiving = await store.receive(UPLOAD, 0, "sha256")
        receiving.write(memoryview(MEGABYTE))
        with pytest.raises(StorageFull):
            receiving.write(memoryview(MEGABYTE))
        received = receiving.end()
        receiving.close()
        filling.unlink()
        receiving = await store.receive(UPLOAD, received.offset, "sha256")
        receiving.write(memoryview(b"the rest"))
        received = receiving.end()
        receiving.close()
        digest = Digest.of(MEGABYTE + b"the rest")
        assert received == Received(len(MEGABYTE) + 8, digest)
        await store.commit(UPLOAD, digest, received)
        assert await store.verify(digest)

    with small_disk(tmp_path, "3500k") as disk:
        asyncio.run(scenario(disk))


def test_no_space_for_the_directory_publishes_nothing_and_keeps_the_upload(tmp_path: Path) -> None:
    async def scenario(disk: Path) -> None:
        store = BlobStore(Filesystem(disk))
        receiving = await store.receive(UPLOAD, 0, "sha256")
        receiving.write(memoryview(b"content"))
        received = receiving.end()
        receiving.close()
        digest = Digest.of(b"content")
        fillers = _use_up_inodes(disk)
        with pytest.raises(StorageFull):
            await store.commit(UPLOAD, digest, received)
        assert await store.size(digest) is None
        for filler in fillers:
            filler.unlink()
        await store.commit(UPLOAD, digest, received)
        assert await store.verify(digest)

    with small_disk(tmp_path, "4m", nr_inodes=20) as disk:
        asyncio.run(scenario(disk))


def test_no_space_for_an_upload_is_said_as_such(tmp_path: Path) -> None:
    async def scenario(disk: Path) -> None:
        store = BlobStore(Filesystem(disk))
        (await store.receive(OTHER, 0, "sha256")).close()
        _use_up_inodes(disk)
        with pytest.raises(StorageFull):
            await store.receive(UPLOAD, 0, "sha256")

    with small_disk(tmp_path, "4m", nr_inodes=20) as disk:
        asyncio.run(scenario(disk))


def test_a_failed_sync_is_not_acknowledged_by_a_second_try(tmp_path: Path) -> None:
    """Linux reports a failed write-back once and may call the lost pages clean (fsync(2))."""

    async def scenario(disk: Path) -> None:
        store = BlobStore(Filesystem(disk))
        content = MEGABYTE * 4
        with pytest.raises(StorageError):
            await push(store, UPLOAD, content)
        digest = Digest.of(content)
        assert await store.size(digest) is None
        with pytest.raises(UploadTruncated):
            await store.commit(UPLOAD, digest, Received(len(content), digest))
        assert await store.size(digest) is None

    with failing_disk(tmp_path) as disk:
        asyncio.run(scenario(disk))


LIMITED = """
import asyncio, resource, sys
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import StorageFull
from tidegate.storage.filesystem import Filesystem

async def main():
    store = BlobStore(Filesystem(sys.argv[1]))
    receiving = await store.receive(sys.argv[2], 0, "sha256")
    receiving.write(memoryview(b"x" * 100_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    try:
        receiving.write(memoryview(b"y" * 100_000))
    except StorageFull:
        received = receiving.end()
        receiving.close()
        print(received.offset, await store.commit(sys.argv[2], received.digest, received))

asyncio.run(main())
"""


def test_a_file_size_limit_counts_as_a_full_disk(tmp_path: Path) -> None:
    finished = subprocess.run(
        (sys.executable, "-c", LIMITED, str(tmp_path), UPLOAD),
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == "100000 100000\n"
    assert asyncio.run(BlobStore(Filesystem(tmp_path)).verify(Digest.of(b"x" * 100_000)))


def _use_up_inodes(disk: Path) -> list[Path]:
    fillers: list[Path] = []
    while True:
        filler = disk / f"filler-{len(fillers)}"
        try:
            filler.touch()
        except OSError:
            return fillers
        fillers.append(filler)
