"""A job goes on when the process that does it is killed: real processes, both engines."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import postgresql
from tidegate.metastore import jobs
from tidegate.metastore.jobs import Job
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

PROGRAM = """
import asyncio, sys
from tidegate.controllers.jobs import Limits, run_jobs
from tidegate.metastore.open import open_database

url, mark, hangs = sys.argv[1], sys.argv[2], sys.argv[3] == "hang"

async def work(job, progress):
    begun = job.position
    await progress.tell(position=f"{begun}{mark}", done=len(begun) + 1)
    print("begun", flush=True)
    if hangs:
        await asyncio.Event().wait()
    return None

async def main():
    database = await open_database(url)
    await run_jobs(database, "copy", work, limits=Limits(lease=2.0))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of either engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'metadata.db'}"
        migrate(url)
        yield url
        return
    server: postgresql.Server = request.getfixturevalue("server")
    with server.database() as url:
        migrate(url)
        yield url


async def enqueue(url: str) -> None:
    database = await open_database(url)
    await database.write(lambda tx: jobs.enqueue(tx, "copy", "one", due=tx.now(), total=2))
    await database.close()


async def finished(url: str) -> Job:
    """The job, once it is done."""
    database = await open_database(url)
    try:
        async with asyncio.timeout(60):
            while True:
                job = await jobs.find(database, "copy", "one")
                assert job is not None
                if job.due_at is None and not job.holder:
                    return job
                await asyncio.sleep(0.05)
    finally:
        await database.close()


@contextlib.contextmanager
def worker(url: str, mark: str, hangs: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that does the job, or hangs in it; killed in the end."""
    command = [sys.executable, "-c", PROGRAM, url, mark, hangs]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"


def test_another_process_goes_on_where_a_killed_one_was(url: str) -> None:
    asyncio.run(enqueue(url))
    with worker(url, "A", "hang") as first:
        wait_for_begin(first)
        with worker(url, "B", "go") as second:
            first.send_signal(signal.SIGKILL)
            wait_for_begin(second)
            job = asyncio.run(finished(url))
    assert (job.position, job.done, job.total) == ("AB", 2, 2)
    assert (job.attempts, job.error) == (0, "")


def test_one_that_was_stopped_for_too_long_gives_up_when_it_goes_on(url: str) -> None:
    asyncio.run(enqueue(url))
    with worker(url, "A", "hang") as first:
        wait_for_begin(first)
        first.send_signal(signal.SIGSTOP)
        with worker(url, "B", "go") as second:
            wait_for_begin(second)
            assert asyncio.run(finished(url)).position == "AB"
        first.send_signal(signal.SIGCONT)
        assert first.stderr is not None
        assert "another process may be doing this by now" in first.stderr.readline()
    job = asyncio.run(finished(url))
    assert (job.position, job.attempts, job.error) == ("AB", 0, "")
