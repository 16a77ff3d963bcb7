"""`tidegate check` as its user meets it: a process, its output and its exit status."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidegate.cli.program import program
from tidegate.metastore import links
from tidegate.metastore.database import Database
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem
from tidegate.storage.layout import blob_path

REPOSITORY = RepositoryName.parse("team/app")


def begin(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Start the command; it runs its own program when this returns, and holds no file of ours."""
    environment = {name: value for name, value in os.environ.items() if "TIDEGATE" not in name}
    return subprocess.Popen(
        (sys.executable, "-m", "tidegate", "check", *map(str, arguments)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "COLUMNS": "200"},
    )


def finish(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def check(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return finish(begin(*arguments))


def checked(*arguments: str | Path, status: int) -> Any:
    return read(check(*arguments, "--json"), status)


def read(finished: "subprocess.CompletedProcess[str]", status: int) -> Any:
    assert finished.returncode == status, finished.stderr
    assert finished.stderr == ""
    return json.loads(finished.stdout)


async def push(database: Database, store: BlobStore, content: bytes) -> Digest:
    digest = Digest.of(content)
    upload_id = os.urandom(16).hex()
    receiving = await store.receive(upload_id, 0, "sha256")
    receiving.write(memoryview(content))
    received = receiving.end()
    receiving.close()
    size = await store.commit(upload_id, digest, received)
    await database.write(lambda tx: links.link(tx, REPOSITORY, digest, size, 1.0))
    return digest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with two blobs."""

    async def fill() -> None:
        url = f"sqlite:///{tmp_path / 'metadata.db'}"
        migrate(url)
        database = await open_database(url)
        store = BlobStore(Filesystem(tmp_path))
        await push(database, store, b"one")
        await push(database, store, b"two")
        await database.close()

    asyncio.run(fill())
    return tmp_path


def test_a_sound_registry_exits_with_0(data: Path) -> None:
    finished = check("--data", data)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "2 blobs, 6 bytes, 2 of them hashed" in finished.stdout
    assert "no problem found" in finished.stdout


def test_the_result_can_be_had_as_json(data: Path) -> None:
    assert checked("--data", data, status=0) == {
        "blobs": {"count": 2, "bytes": 6, "hashed": 2, "hashedBytes": 6},
        "manifests": {"count": 0, "incomplete": 0},
        "unlinked": {"count": 0, "bytes": 0},
        "staleUploads": {"count": 0, "bytes": 0},
        "copies": {"count": 0, "bytes": 0},
        "problems": [],
    }


def test_corrupt_bytes_exit_with_1_until_they_are_repaired(data: Path) -> None:
    digest = Digest.of(b"one")
    (data / blob_path(digest)).write_bytes(b"ONE")
    finished = check("--data", data)
    assert finished.returncode == 1
    assert digest in finished.stdout
    assert "1 problems found; --repair" in finished.stdout

    problem = {
        "fault": "corrupt",
        "digest": digest,
        "detail": "3 bytes that have another digest",
        "repaired": False,
    }
    assert checked("--data", data, status=1)["problems"] == [problem]
    repaired = checked("--data", data, "--repair", status=1)["problems"]
    assert repaired == [{**problem, "repaired": True}]
    assert checked("--data", data, status=0)["blobs"]["count"] == 1


def test_a_sample_is_taken_on_demand(data: Path) -> None:
    document = checked("--data", data, "--sample", "0", status=0)
    assert document["blobs"] == {"count": 2, "bytes": 6, "hashed": 0, "hashedBytes": 0}


@pytest.mark.parametrize("sample", ["-1", "101", "nan", "all"])
def test_a_sample_is_a_percentage(data: Path, sample: str) -> None:
    result = CliRunner().invoke(program, ["check", "--data", str(data), "--sample", sample])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "--sample" in result.stderr


def test_what_cannot_be_checked_exits_with_2_and_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for data in ("missing", "empty", "file"):
        finished = check("--data", tmp_path / data)
        assert finished.returncode == 2
        assert finished.stdout == ""
        assert finished.stderr.startswith("tidegate: ")
        assert finished.stderr.count("\n") == 1
    assert not (tmp_path / "missing").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_repair_shares_the_database_with_a_server_that_writes(data: Path) -> None:
    async def write_meanwhile() -> None:
        database = await open_database(f"sqlite:///{data / 'metadata.db'}")
        store = BlobStore(Filesystem(data))
        for turn in range(3):
            (data / blob_path(Digest.of(b"one"))).unlink()
            process = begin("--data", data, "--repair", "--json")
            running = asyncio.create_task(asyncio.to_thread(finish, process))
            count = 0
            while not running.done():
                await push(database, store, b"%d-%d" % (turn, count))
                count += 1
            faults = [problem["fault"] for problem in read(await running, 1)["problems"]]
            assert faults == ["missing"]
            assert count > 0
            await push(database, store, b"one")
        await database.close()

    asyncio.run(write_meanwhile())
    assert checked("--data", data, status=0)["problems"] == []
