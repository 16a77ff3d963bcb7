"""What a storage driver is: every driver passes this suite.

A driver's own test is a subclass with one fixture, `driver`.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tidegate.storage.driver import Driver, Entry, LocalFiles
from tidegate.storage.errors import (
    BlobMissing,
    PathRefused,
    StorageError,
    UploadBusy,
    UploadTruncated,
)

UPLOAD = "uploads/0123456789abcdef"
BLOB = "blobs/sha256/ab/abcd"

OUTSIDE = ("", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", "a\0b")
"""Paths that a store must not follow, whoever made them up."""


async def store(driver: Driver, path: str, content: bytes, staging: str = UPLOAD) -> None:
    """Write `content` and publish it at `path`."""
    writer = await driver.append(staging, 0)
    writer.write(memoryview(content))
    await driver.publish(writer, path)


async def content(driver: Driver, path: str) -> bytes:
    size = await driver.stat(path)
    assert size is not None
    return b"".join([piece async for piece in driver.read(path, 0, size)])


async def entries(driver: Driver, prefix: str) -> list[Entry]:
    return [entry async for entry in driver.list(prefix)]


def each_method(driver: Driver, path: str) -> list[Callable[[], Awaitable[object]]]:
    """Every way to name a path to a driver."""

    async def read() -> None:
        async for _ in driver.read(path, 0, 1):
            pass

    async def publish() -> None:
        writer = await driver.append(UPLOAD, 0)
        await driver.publish(writer, path)

    return [
        lambda: driver.stat(path),
        read,
        lambda: driver.append(path, 0),
        publish,
        lambda: driver.put(UPLOAD, b"x", path),
        lambda: driver.put(path, b"x", BLOB),
        lambda: driver.delete(path),
        lambda: entries(driver, path + "/"),
    ]


class StorageDriverSuite:
    """The suite; collected through its subclasses only."""

    def test_what_was_published_is_read_back(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"some bytes")
            assert await driver.stat(BLOB) == 10
            assert await content(driver, BLOB) == b"some bytes"
            assert await driver.stat(UPLOAD) is None

        asyncio.run(scenario())

    def test_what_is_put_at_once_is_read_back_and_leaves_nothing_else(self, driver: Driver) -> None:
        async def scenario() -> None:
            await driver.put(UPLOAD, b"hello", BLOB)
            assert await content(driver, BLOB) == b"hello"
            await driver.put(UPLOAD, b"hello", BLOB)  # what is there is kept
            assert await content(driver, BLOB) == b"hello"
            assert await entries(driver, "uploads/") == []

        asyncio.run(scenario())

    def test_an_empty_file_can_be_published(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"")
            assert await driver.stat(BLOB) == 0
            assert await content(driver, BLOB) == b""

        asyncio.run(scenario())

    def test_a_window_of_a_file_is_read(self, driver: Driver) -> None:
        async def scenario() -> None:
            body = bytes(range(256)) * 10_000
            await store(driver, BLOB, body)
            pieces = [piece async for piece in driver.read(BLOB, 1_000, 2_000_000)]
            assert b"".join(pieces) == body[1_000:2_001_000]
            assert all(pieces)

        asyncio.run(scenario())

    def test_reading_past_the_end_is_an_error_and_not_a_short_answer(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"four")
            with pytest.raises(StorageError):
                async for _ in driver.read(BLOB, 0, 5):
                    pass

        asyncio.run(scenario())

    def test_a_missing_file_has_no_size_and_cannot_be_read(self, driver: Driver) -> None:
        async def scenario() -> None:
            assert await driver.stat(BLOB) is None
            with pytest.raises(BlobMissing):
                async for _ in driver.read(BLOB, 0, 1):
                    pass
            if isinstance(driver, LocalFiles):
                with pytest.raises(BlobMissing):
                    driver.open(BLOB)

        asyncio.run(scenario())

    def test_a_directory_is_no_file(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"some bytes")
            assert await driver.stat("blobs/sha256") is None
            assert await driver.stat(BLOB + "/below") is None
            assert not await driver.delete(BLOB + "/below")

        asyncio.run(scenario())

    def test_appending_goes_on_at_an_offset(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"one "))
            assert writer.offset == 4
            writer.close()
            writer = await driver.append(UPLOAD, 4)
            assert writer.offset == 4
            writer.write(memoryview(b"two"))
            writer.close()
            assert await content(driver, UPLOAD) == b"one two"

        asyncio.run(scenario())

    def test_bytes_beyond_the_offset_are_cut_off_by_the_first_write(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"kept, lost by a crash before it was recorded"))
            writer.close()
            writer = await driver.append(UPLOAD, 6)
            writer.write(memoryview(b"new"))
            writer.close()
            assert await content(driver, UPLOAD) == b"kept, new"

        asyncio.run(scenario())

    def test_holding_an_upload_without_writing_leaves_no_trace(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"another request is further"))
            writer.close()
            (await driver.append(UPLOAD, 0)).close()
            assert await content(driver, UPLOAD) == b"another request is further"

        asyncio.run(scenario())

    def test_bytes_beyond_the_offset_are_not_published(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"kept, not recorded"))
            writer.close()
            await driver.publish(await driver.append(UPLOAD, 4), BLOB)
            assert await content(driver, BLOB) == b"kept"

        asyncio.run(scenario())

    def test_an_upload_shorter_than_its_session_says_is_refused(self, driver: Driver) -> None:
        async def scenario() -> None:
            with pytest.raises(UploadTruncated):
                await driver.append(UPLOAD, 1)
            assert await driver.stat(UPLOAD) is None
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"1234"))
            writer.close()
            with pytest.raises(UploadTruncated):
                await driver.append(UPLOAD, 5)
            (await driver.append(UPLOAD, 4)).close()

        asyncio.run(scenario())

    def test_one_writer_at_a_time(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            with pytest.raises(UploadBusy):
                await driver.append(UPLOAD, 0)
            other = await driver.append(UPLOAD + "0", 0)
            other.close()
            writer.close()
            (await driver.append(UPLOAD, 0)).close()

        asyncio.run(scenario())

    def test_publishing_lets_go_of_the_file(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            await driver.publish(writer, BLOB)
            writer.close()
            with pytest.raises(StorageError):
                writer.write(memoryview(b"late"))
            await store(driver, BLOB, b"next", UPLOAD)

        asyncio.run(scenario())

    def test_a_closed_writer_writes_nothing(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.close()
            writer.close()
            with pytest.raises(StorageError):
                writer.write(memoryview(b"late"))
            assert await driver.stat(UPLOAD) == 0

        asyncio.run(scenario())

    def test_publishing_over_the_same_size_keeps_what_is_there(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"first")
            before = (await entries(driver, "blobs/"))[0]
            await store(driver, BLOB, b"other")
            assert await content(driver, BLOB) == b"first"
            assert await driver.stat(UPLOAD) is None
            assert (await entries(driver, "blobs/"))[0].modified >= before.modified

        asyncio.run(scenario())

    def test_publishing_over_another_size_repairs_it(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"damag")
            await store(driver, BLOB, b"complete")
            assert await content(driver, BLOB) == b"complete"
            assert await driver.stat(UPLOAD) is None

        asyncio.run(scenario())

    def test_a_file_can_be_published_where_it_is(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"content")
            await driver.publish(await driver.append(BLOB, 7), BLOB)
            assert await content(driver, BLOB) == b"content"

        asyncio.run(scenario())

    def test_an_upload_removed_while_it_is_written_is_not_published(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"cancelled"))
            assert await driver.delete(UPLOAD)
            again = await driver.append(UPLOAD, 0)
            again.write(memoryview(b"somebody else's"))
            again.close()
            with pytest.raises(UploadTruncated):
                await driver.publish(writer, BLOB)
            assert await driver.stat(BLOB) is None
            assert await content(driver, UPLOAD) == b"somebody else's"

        asyncio.run(scenario())

    def test_one_of_two_concurrent_publications_is_stored(self, driver: Driver) -> None:
        async def scenario() -> None:
            await asyncio.gather(
                *(store(driver, BLOB, b"x" * 100_000, f"{UPLOAD}{n}") for n in range(8))
            )
            assert await content(driver, BLOB) == b"x" * 100_000
            assert [entry.path for entry in await entries(driver, "blobs/")] == [BLOB]
            assert await entries(driver, "uploads/") == []

        asyncio.run(scenario())

    def test_deleting_says_whether_there_was_a_file(self, driver: Driver) -> None:
        async def scenario() -> None:
            await store(driver, BLOB, b"content")
            assert await driver.delete(BLOB)
            assert not await driver.delete(BLOB)
            assert await driver.stat(BLOB) is None

        asyncio.run(scenario())

    def test_listing_finds_every_file_below_a_prefix(self, driver: Driver) -> None:
        async def scenario() -> None:
            paths = [f"blobs/sha256/{n % 7:02x}/{n:04x}" for n in range(600)]
            for path in paths:
                await store(driver, path, path.encode())
            (await driver.append(UPLOAD, 0)).close()
            found = await entries(driver, "blobs/")
            assert sorted(entry.path for entry in found) == sorted(paths)
            assert all(entry.size == len(entry.path) for entry in found)
            assert all(entry.modified > 1_600_000_000 for entry in found)
            assert [entry.path for entry in await entries(driver, "blobs/sha256/03/")] == sorted(
                path for path in paths if "/03/" in path
            )
            assert await entries(driver, "quarantine/") == []

        asyncio.run(scenario())

    def test_a_prefix_names_a_directory(self, driver: Driver) -> None:
        with pytest.raises(PathRefused):
            asyncio.run(entries(driver, "blobs"))

    @pytest.mark.parametrize("path", OUTSIDE)
    def test_a_path_never_leaves_the_store(self, driver: Driver, path: str) -> None:
        for number in range(6):

            async def scenario(number: int = number) -> None:
                with pytest.raises(PathRefused):
                    await each_method(driver, path)[number]()

            asyncio.run(scenario())

    def test_a_refused_target_leaves_the_upload_for_another_try(self, driver: Driver) -> None:
        async def scenario() -> None:
            writer = await driver.append(UPLOAD, 0)
            writer.write(memoryview(b"content"))
            with pytest.raises(PathRefused):
                await driver.publish(writer, "../outside")
            await driver.publish(await driver.append(UPLOAD, 7), BLOB)
            assert await content(driver, BLOB) == b"content"

        asyncio.run(scenario())
