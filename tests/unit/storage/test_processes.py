"""Several processes on one store, and processes that are killed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.oci.digest import Digest
from tidegate.storage.blobs import BlobStore
from tidegate.storage.errors import UploadBusy
from tidegate.storage.filesystem import Filesystem

UPLOAD = "0123456789abcdef" * 2

HOLD = """
import asyncio, sys, time
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem

async def main():
    receiving = await BlobStore(Filesystem(sys.argv[1])).receive(sys.argv[2], 0, "sha256")
    receiving.write(memoryview(b"held"))
    print("held", flush=True)
    time.sleep(600)

asyncio.run(main())
"""

COMMIT_TOGETHER = """
import asyncio, sys
from tidegate.oci.digest import Digest
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem

async def main():
    store = BlobStore(Filesystem(sys.argv[1]))
    contents = [bytes([number]) * 200_000 for number in range(20)]
    sessions = []
    for number, content in enumerate(contents):
        upload_id = f"{int(sys.argv[2]):016x}{number:016x}"
        receiving = await store.receive(upload_id, 0, "sha256")
        receiving.write(memoryview(content))
        sessions.append((upload_id, receiving.end()))
        receiving.close()
    print("ready", flush=True)
    sys.stdin.readline()
    for upload_id, received in sessions:
        assert await store.commit(upload_id, received.digest, received) == 200_000

asyncio.run(main())
"""

PUSH_UNTIL_KILLED = """
import asyncio, itertools, os, sys
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem

async def push(store, content):
    upload_id = os.urandom(16).hex()
    receiving = await store.receive(upload_id, 0, "sha256")
    for start in range(0, len(content), 65536):
        await asyncio.to_thread(receiving.write, memoryview(content)[start:start + 65536])
    received = receiving.end()
    receiving.close()
    await store.commit(upload_id, received.digest, received)
    os.write(1, f"{received.digest}\\n".encode())

async def lane(store, number):
    for turn in itertools.count():
        size = 200_000 if turn % 2 else 500
        await push(store, os.urandom(32) + bytes([number]) * size)

async def main():
    store = BlobStore(Filesystem(sys.argv[1]))
    await asyncio.gather(*(lane(store, number) for number in range(4)))

asyncio.run(main())
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-c", code, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_an_upload_held_by_another_process_is_busy_until_that_is_killed(tmp_path: Path) -> None:
    async def hold() -> bytes:
        store = BlobStore(Filesystem(tmp_path))
        with pytest.raises(UploadBusy):
            await store.receive(UPLOAD, 0, "sha256")
        child.kill()
        child.wait()
        receiving = await store.receive(UPLOAD, 4, "sha256")
        receiving.close()
        return (tmp_path / "uploads" / UPLOAD).read_bytes()

    with start(HOLD, str(tmp_path), UPLOAD) as child:
        assert line(child) == "held"
        assert asyncio.run(hold()) == b"held"


def test_two_processes_that_commit_the_same_digests_store_each_once(tmp_path: Path) -> None:
    with (
        start(COMMIT_TOGETHER, str(tmp_path), "1") as one,
        start(COMMIT_TOGETHER, str(tmp_path), "2") as two,
    ):
        assert line(one) == line(two) == "ready"
        for child in (one, two):
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.close()
        assert one.wait() == two.wait() == 0

    async def found() -> list[Digest]:
        store = BlobStore(Filesystem(tmp_path))
        assert [upload async for upload in store.uploads()] == []
        return [blob.digest async for blob in store.blobs() if await store.verify(blob.digest)]

    expected = [Digest.of(bytes([number]) * 200_000) for number in range(20)]
    assert sorted(asyncio.run(found())) == sorted(expected)


def test_a_kill_at_any_moment_leaves_nothing_or_a_complete_blob(tmp_path: Path) -> None:
    chance = random.Random(20)
    acknowledged: set[Digest] = set()
    for _ in range(12):
        with start(PUSH_UNTIL_KILLED, str(tmp_path)) as child:
            acknowledged.add(Digest.parse(line(child)))
            time.sleep(chance.uniform(0, 0.1))
            os.kill(child.pid, signal.SIGKILL)
            assert child.stdout is not None
            # the last line may have been cut short
            acknowledged |= {
                Digest.parse(text.strip()) for text in child.stdout if text.endswith("\n")
            }

    async def complete() -> set[Digest]:
        store = BlobStore(Filesystem(tmp_path))
        return {blob.digest async for blob in store.blobs() if await store.verify(blob.digest)}

    stored = asyncio.run(complete())
    assert acknowledged <= stored
    assert len([*(tmp_path / "blobs").rglob("*/*/*")]) == len(stored)

    async def resume() -> None:
        """What was interrupted is held by nobody, and goes on or goes away."""
        store = BlobStore(Filesystem(tmp_path))
        for upload in [upload async for upload in store.uploads()]:
            receiving = await store.receive(upload.upload_id, upload.size, "sha256")
            receiving.write(memoryview(b"!"))
            received = receiving.end()
            receiving.close()
            content = (tmp_path / "uploads" / upload.upload_id).read_bytes()
            await store.commit(upload.upload_id, Digest.of(content), received)
        assert [upload async for upload in store.uploads()] == []

    asyncio.run(resume())
    assert asyncio.run(complete()) >= stored
