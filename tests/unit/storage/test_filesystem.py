"""What only the filesystem driver promises: modes, links, locks, cancelled calls."""

import asyncio
import contextlib
import gc
import os
import stat
import threading
from pathlib import Path

import pytest

from tidegate.storage.errors import BlobMissing, StorageError, UploadBusy
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.memory import Memory

UPLOAD = "uploads/0123456789abcdef"
BLOB = "blobs/sha256/ab/abcd"


async def store(driver: Filesystem, path: str, content: bytes) -> None:
    writer = await driver.append(UPLOAD, 0)
    writer.write(memoryview(content))
    await driver.publish(writer, path)


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_what_is_stored_is_nobody_elses(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        asyncio.run(store(Filesystem(tmp_path / "store"), BLOB, b"secret"))
    finally:
        os.umask(before)
    for found in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        wanted = 0o700 if found.is_dir() else 0o600
        assert stat.S_IMODE(found.stat().st_mode) == wanted, found


def test_a_symbolic_link_is_neither_read_nor_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path / "store")
        await store(driver, BLOB, b"content")
        outside = tmp_path / "outside"
        outside.write_bytes(b"outside")
        for path in (UPLOAD, BLOB + "0"):
            (tmp_path / "store" / path).symlink_to(outside)
        assert await driver.stat(BLOB + "0") is None
        with pytest.raises(BlobMissing):
            driver.open(BLOB + "0")
        with pytest.raises(StorageError):
            await driver.append(UPLOAD, 0)
        assert [entry.path async for entry in driver.list("blobs/")] == [BLOB]
        await driver.delete(UPLOAD)
        assert outside.read_bytes() == b"outside"

    asyncio.run(scenario())


def test_a_symbolic_link_where_a_blob_belongs_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path / "store")
        await store(driver, BLOB, b"first")
        outside = tmp_path / "outside"
        outside.write_bytes(b"evil!")
        (tmp_path / "store" / BLOB).unlink()
        (tmp_path / "store" / BLOB).symlink_to(outside)
        await store(driver, BLOB, b"first")
        assert (tmp_path / "store" / BLOB).read_bytes() == b"first"
        assert not (tmp_path / "store" / BLOB).is_symlink()
        assert outside.read_bytes() == b"evil!"

    asyncio.run(scenario())


def test_the_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    asyncio.run(store(Filesystem(tmp_path / "store"), BLOB, b"content"))
    assert (tmp_path / "disk" / BLOB).read_bytes() == b"content"


def test_a_directory_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        await store(driver, BLOB, b"content")
        await driver.delete(BLOB)
        for directory in ("blobs/sha256/ab", "blobs/sha256", "blobs", "uploads"):
            (tmp_path / directory).rmdir()
        await store(driver, BLOB, b"content")
        assert await driver.stat(BLOB) == 7

    asyncio.run(scenario())


def test_descriptors_are_not_inherited_by_other_programs(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        await store(driver, BLOB, b"content")
        fd = driver.open(BLOB)
        assert not os.get_inheritable(fd)
        assert os.pread(fd, 100, 0) == b"content"
        os.close(fd)

    asyncio.run(scenario())


def test_an_open_file_is_read_to_its_end_after_it_was_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        await store(driver, BLOB, b"content")
        fd = driver.open(BLOB)
        await driver.delete(BLOB)
        assert os.pread(fd, 100, 0) == b"content"
        os.close(fd)

    asyncio.run(scenario())


def test_a_damaged_tree_is_an_error_of_the_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        (tmp_path / "blobs").write_bytes(b"a file where a directory belongs")
        assert await driver.stat(BLOB) is None
        writer = await driver.append(UPLOAD, 0)
        with pytest.raises(StorageError):
            await driver.publish(writer, BLOB)
        with pytest.raises(StorageError):
            _ = [entry async for entry in driver.list("blobs/")]
        (tmp_path / UPLOAD).unlink()
        (tmp_path / UPLOAD).mkdir()
        with pytest.raises(StorageError):
            await driver.delete(UPLOAD)
        with pytest.raises(StorageError):
            await driver.append(UPLOAD, 0)

    asyncio.run(scenario())


def test_a_name_too_long_for_the_disk_is_an_error_of_the_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        (await driver.append(UPLOAD, 0)).close()
        with pytest.raises(StorageError):
            await driver.stat("uploads/" + "x" * 300)

    asyncio.run(scenario())


def test_a_file_published_between_opening_and_locking_is_not_appended_to(tmp_path: Path) -> None:
    """A descriptor opened as an upload may be a blob's by the time it is locked."""

    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        for _ in range(200):
            await store(driver, BLOB, b"")  # makes the directories

            async def publish() -> None:
                writer = await driver.append(UPLOAD, 0)
                writer.write(memoryview(b"blob"))
                await driver.publish(writer, BLOB)

            async def append() -> None:
                writer = await driver.append(UPLOAD, 0)
                writer.write(memoryview(b"other"))
                writer.close()

            outcomes = await asyncio.gather(publish(), append(), return_exceptions=True)
            for outcome in outcomes:
                assert outcome is None or isinstance(outcome, UploadBusy)
            assert await driver.stat(BLOB) in (0, 4)
            await driver.delete(BLOB)
            await driver.delete(UPLOAD)

    asyncio.run(scenario())


def test_an_append_that_is_cancelled_holds_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        (await driver.append(UPLOAD, 0)).close()
        files = open_files()
        for _ in range(50):
            opening = asyncio.ensure_future(driver.append(UPLOAD, 0))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            while True:
                try:
                    (await driver.append(UPLOAD, 0)).close()
                except UploadBusy:
                    await asyncio.sleep(0.001)
                    continue
                break
        assert open_files() == files

    asyncio.run(scenario())


def test_a_publication_that_is_cancelled_happens_or_not_and_lets_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = open_files()
        for number in range(30):
            driver = Filesystem(tmp_path)
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"x" * 10_000))
            publishing = asyncio.ensure_future(driver.publish(writer, f"{BLOB}{number}"))
            for _ in range(number % 3 + 1):
                await asyncio.sleep(0)
            publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await publishing
            driver.close()  # waits for what has begun
            assert open_files() == files
            found = await driver.stat(UPLOAD), await driver.stat(f"{BLOB}{number}")
            assert found in [(10_000, None), (None, 10_000)]

    asyncio.run(scenario())


def test_closing_during_a_write_waits_until_that_has_ended(tmp_path: Path) -> None:
    """Else the descriptor's number could be another file's while the write goes on."""

    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        buffer = memoryview(bytes(8 << 20))
        for _ in range(10):
            writer = await driver.append(UPLOAD, 0)
            writing = threading.Thread(target=writer.write, args=(buffer,))
            writing.start()
            writer.close()
            writing.join()
            assert await driver.stat(UPLOAD) == len(buffer)
            await driver.delete(UPLOAD)

    asyncio.run(scenario())


def test_a_large_upload_is_written_whole_with_write_back_started_on_the_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        writer = await driver.append(UPLOAD, 0)
        piece = os.urandom(3 << 20)
        for _ in range(8):
            writer.write(memoryview(piece))
        await driver.publish(writer, BLOB)
        assert (tmp_path / BLOB).read_bytes() == piece * 8

    asyncio.run(scenario())


def test_any_buffer_of_bytes_can_be_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = Filesystem(tmp_path)
        writer = await driver.append(UPLOAD, 0)
        writer.write(memoryview(bytearray(b"12345678")).cast("H"))
        writer.write(memoryview(b"x1y2")[::1])
        writer.write(memoryview(b""))
        await driver.publish(writer, BLOB)
        assert (tmp_path / BLOB).read_bytes() == b"12345678x1y2"

    asyncio.run(scenario())


def test_a_writer_of_another_driver_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        files, memory = Filesystem(tmp_path), Memory()
        with pytest.raises(TypeError):
            await files.publish(await memory.append(UPLOAD, 0), BLOB)
        with pytest.raises(TypeError):
            await memory.publish(await files.append(UPLOAD, 0), BLOB)
        gc.collect()

    asyncio.run(scenario())
