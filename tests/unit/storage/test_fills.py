"""A growing copy, as the processes that share it see it; and one whose writer is killed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.storage.disks import small_disk
from tidegate.oci.digest import Digest
from tidegate.storage import layout
from tidegate.storage.cache import BlobCache
from tidegate.storage.errors import StorageError, StorageFull
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.fills import FillFile, Sight, State
from tidegate.storage.memory import Memory

CONTENT = random.Random(5).randbytes(300_000)
DIGEST = Digest.of(CONTENT)
SOURCE = "quay.io"


def grow(root: Path, source: str = SOURCE, size: int = len(CONTENT)) -> FillFile:
    """The file of the fill, as another process opens it."""
    return Filesystem(root).grow(layout.fill_path(DIGEST, source), layout.cache_path(DIGEST), size)


def copy_of(root: Path) -> bytes | None:
    opened = BlobCache(Filesystem(root)).open(DIGEST)
    if opened is None:
        return None
    with opened:
        return asyncio.run(opened.whole())


def read(file: FillFile, count: int) -> bytes:
    return os.pread(file.fd, count, 0)


def test_readers_see_all_but_the_last_byte_until_the_digest_is_verified(tmp_path: Path) -> None:
    writer, reader = grow(tmp_path), grow(tmp_path)
    assert writer.take()
    assert not reader.take()
    assert writer.resume(DIGEST) == 0
    writer.write(memoryview(CONTENT)[:100_000])
    assert reader.look() == Sight(State.GROWING, 100_000)
    writer.write(memoryview(CONTENT)[100_000:])
    assert reader.look() == Sight(State.GROWING, len(CONTENT) - 1)
    assert copy_of(tmp_path) is None
    assert writer.is_right(DIGEST)
    writer.keep()
    assert reader.look() == Sight(State.WHOLE, len(CONTENT))
    assert read(reader, len(CONTENT)) == CONTENT == copy_of(tmp_path)


def test_a_copy_that_is_not_kept_is_read_to_its_end_by_who_has_begun(tmp_path: Path) -> None:
    writer, reader = grow(tmp_path), grow(tmp_path)
    assert writer.take()
    writer.resume(DIGEST)
    writer.write(memoryview(CONTENT))
    writer.finish()
    assert reader.look() == Sight(State.WHOLE, len(CONTENT))
    assert read(reader, len(CONTENT)) == CONTENT
    assert copy_of(tmp_path) is None


def test_bytes_that_are_not_the_blob_are_nobodys(tmp_path: Path) -> None:
    writer, reader = grow(tmp_path), grow(tmp_path)
    assert writer.take()
    writer.resume(DIGEST)
    writer.write(memoryview(b"x" + CONTENT[1:]))
    assert not writer.is_right(DIGEST)
    writer.drop()
    assert reader.look() == Sight(State.WORTHLESS, 0)
    assert read(reader, 100) == b""
    assert not grow(tmp_path).is_right(DIGEST)


def test_another_goes_on_where_the_writer_stopped(tmp_path: Path) -> None:
    first, second = grow(tmp_path), grow(tmp_path)
    assert first.take()
    first.resume(DIGEST)
    first.write(memoryview(CONTENT)[:123_456])
    duplicate = os.dup(first.fd)  # a reader's, which must not hold the fill up
    first.release()
    first.close()
    assert second.take()
    assert second.resume(DIGEST) == 123_456
    second.write(memoryview(CONTENT)[123_456:])
    assert second.is_right(DIGEST)
    second.keep()
    assert copy_of(tmp_path) == CONTENT
    os.close(duplicate)


def test_nobody_takes_a_fill_that_has_ended(tmp_path: Path) -> None:
    writer, late = grow(tmp_path), grow(tmp_path)
    assert writer.take()
    writer.resume(DIGEST)
    writer.write(memoryview(CONTENT))
    writer.keep()
    writer.release()
    assert not late.take()
    again = grow(tmp_path)  # somebody begins anew meanwhile
    assert again.take()
    assert late.look() == Sight(State.WHOLE, len(CONTENT))


def test_what_a_power_cut_left_longer_than_the_blob_is_begun_anew(tmp_path: Path) -> None:
    writer = grow(tmp_path)
    os.ftruncate(writer.fd, len(CONTENT) + 1)
    assert writer.take()
    assert writer.resume(DIGEST) == 0
    assert read(writer, 1) == b""


def test_zeros_that_a_power_cut_left_are_found_out(tmp_path: Path) -> None:
    writer = grow(tmp_path)
    os.ftruncate(writer.fd, 1000)
    assert writer.take()
    assert writer.resume(DIGEST) == 1000
    writer.write(memoryview(CONTENT)[1000:])
    assert not writer.is_right(DIGEST)


def test_each_registry_fills_a_file_of_its_own(tmp_path: Path) -> None:
    ours, theirs = grow(tmp_path), grow(tmp_path, "evil.example")
    assert ours.take()
    assert theirs.take()
    ours.resume(DIGEST)
    theirs.resume(DIGEST)
    ours.write(memoryview(CONTENT))
    assert theirs.look() == Sight(State.GROWING, 0)
    ours.keep()
    theirs.write(memoryview(CONTENT))
    theirs.keep()
    assert copy_of(tmp_path) == CONTENT


def test_an_empty_blob_is_whole_at_once(tmp_path: Path) -> None:
    empty = Digest.of(b"")
    file = Filesystem(tmp_path).grow(layout.fill_path(empty, SOURCE), layout.cache_path(empty), 0)
    assert file.take()
    file.resume(empty)
    assert file.look() == Sight(State.GROWING, 0)
    assert file.is_right(empty)
    file.keep()
    assert file.look() == Sight(State.WHOLE, 0)


def test_a_full_disk_leaves_what_came_before(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        size = 4 << 20
        writer = grow(disk, size=size)
        assert writer.take()
        writer.resume(DIGEST)
        writer.write(memoryview(bytes(500_000)))
        with pytest.raises(StorageFull):
            writer.write(memoryview(bytes(2_000_000)))
        assert writer.offset == 500_000 == os.fstat(writer.fd).st_size
        duplicate = os.dup(writer.fd)
        hashed = writer.hashed()
        writer.leave()
        writer.close()
        assert os.pread(duplicate, 10, 499_990) == bytes(10)
        assert hashed.offset == 500_000
        assert hashed.running.hexdigest() == Digest.of(bytes(500_000)).encoded
        os.close(duplicate)


FILL = """
import sys, time
from tidegate.oci.digest import Digest
from tidegate.storage import layout
from tidegate.storage.filesystem import Filesystem

digest = Digest(sys.argv[2])
path = layout.fill_path(digest, sys.argv[3])
file = Filesystem(sys.argv[1]).grow(path, layout.cache_path(digest), int(sys.argv[4]))
assert file.take()
file.resume(digest)
content = sys.stdin.buffer.read(200_000)
file.write(memoryview(content))
print("written", flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_wrote_is_gone_on_with(tmp_path: Path) -> None:
    process = subprocess.Popen(
        (sys.executable, "-c", FILL, str(tmp_path), DIGEST, SOURCE, str(len(CONTENT))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(CONTENT[:200_000])
    process.stdin.flush()
    assert process.stdout.readline() == b"written\n"
    follower = grow(tmp_path)
    assert not follower.take()
    assert follower.look() == Sight(State.GROWING, 200_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert follower.take()
    assert follower.resume(DIGEST) == 200_000
    follower.write(memoryview(CONTENT)[200_000:])
    assert follower.is_right(DIGEST)


def test_the_cache_lists_removes_and_verifies_its_copies(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache = BlobCache(Filesystem(tmp_path))
        assert cache.open(DIGEST) is None
        file = await cache.grow(DIGEST, SOURCE, len(CONTENT))
        assert file.take()
        file.resume(DIGEST)
        (fill,) = [each async for each in cache.fills()]
        assert not await cache.discard_idle(fill)  # somebody is at it
        file.write(memoryview(CONTENT))
        file.keep()
        file.close()
        (found,) = [each async for each in cache.copies()]
        assert (found.digest, found.size) == (DIGEST, len(CONTENT))
        assert await cache.verify(DIGEST)
        with (tmp_path / layout.cache_path(DIGEST)).open("r+b") as damaged:
            damaged.write(b"?")
        assert not await cache.verify(DIGEST)
        opened = cache.open(DIGEST)
        assert opened is not None
        assert await cache.remove(DIGEST)
        assert not await cache.remove(DIGEST)
        assert len(await opened.whole()) == len(CONTENT)  # who reads it may go on
        opened.close()
        cache.close()

    asyncio.run(scenario())


def test_an_abandoned_fill_is_discarded(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache = BlobCache(Filesystem(tmp_path))
        file = await cache.grow(DIGEST, SOURCE, len(CONTENT))
        assert file.take()
        file.write(memoryview(CONTENT)[:10])
        file.release()
        (fill,) = [each async for each in cache.fills()]
        assert fill.size == 10
        assert await cache.discard_idle(fill)
        assert [each async for each in cache.fills()] == []
        assert file.look().state is State.WORTHLESS
        cache.close()

    asyncio.run(scenario())


def test_a_store_without_files_has_no_cache() -> None:
    async def scenario() -> None:
        cache = BlobCache(Memory())
        assert not cache.is_there
        assert cache.open(DIGEST) is None
        with pytest.raises(StorageError):
            await cache.grow(DIGEST, SOURCE, 1)
        cache.close()

    asyncio.run(scenario())
