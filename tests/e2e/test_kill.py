"""SIGKILL at random moments during 200 pushes loses nothing that was acknowledged.

A worker is killed, or the whole server with its supervisor. Afterwards everything acknowledged is
there and verifies, interrupted uploads go on or expire, and no temporary file stays behind.
"""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.e2e.pushing import Crowd, resume, verify
from tests.images import small_image
from tests.registry_client import client_of
from tests.server import Server, wait_until

PUSHES = 200
KILLS = {"kill_a_worker": 12, "kill_everything": 8}


def kill_a_worker(server: Server, choice: random.Random) -> None:
    """SIGKILL to one worker; the supervisor starts another."""
    before = server.worker_ids()
    victim = choice.choice(before)
    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: victim not in server.worker_ids() and len(server.worker_ids()) == len(before),
        what="the worker to be replaced",
    )


def kill_everything(server: Server, choice: random.Random) -> None:
    """SIGKILL to the whole server, then a start on the same data and port."""
    server.kill()
    server.start()


@pytest.mark.parametrize("kill", [kill_a_worker, kill_everything])
def test_nothing_acknowledged_is_lost_and_nothing_stays_behind(
    start: Start, kill: Callable[[Server, random.Random], None]
) -> None:
    survive(start(workers=2), kill)


def test_nothing_is_lost_either_when_the_metadata_are_in_postgresql(start: Start) -> None:
    with postgresql.server() as own, own.database() as url:
        survive(start(workers=2, settings={"database": url}), kill_everything)


def test_a_supervisor_killed_alone_takes_its_workers_along(start: Start) -> None:
    server = start(workers=2)
    assert server.process is not None
    workers = server.worker_ids()
    os.kill(server.process.pid, signal.SIGKILL)
    server.wait()
    wait_until(
        lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers),
        what="the workers to end",
    )
    server.start()  # on the same port and data, so both are free
    with client_of(server) as client:
        client.push("kill/after", small_image("after"), "1")


def survive(server: Server, kill: Callable[[Server, random.Random], None]) -> None:
    """Push while killing, then look for losses and for what stays behind."""
    choice = random.Random(20)
    crowd = Crowd(server, PUSHES)
    crowd.start()
    for when in sorted(choice.sample(range(5, PUSHES - 5), KILLS[kill.__name__])):
        wait_until(lambda: crowd.begun >= when or not crowd.working, seconds=120, what="pushes")  # noqa: B023
        # a random moment within the push, not only its beginning
        served = server.files("uploads")
        if served and choice.random() < 0.5:
            wait_until(
                lambda: server.files("uploads") != served or not crowd.working,  # noqa: B023
                what="progress, unless these were left behind and all pushes are over",
            )
        kill(server, choice)
    crowd.join()
    if kill is kill_everything:
        server.kill()  # once more, at rest
        server.start()
    ledger = crowd.ledger
    assert not ledger.refused, "\n".join(ledger.refused)
    assert len(ledger.manifests) > PUSHES // 2, "the kills left too little to say anything"
    assert ledger.interrupted, "no kill met an upload"
    with client_of(server) as client:
        verify(client, ledger)
        for upload in ledger.interrupted[::2]:
            resume(client, upload)
    server.stop()
    assert_the_rest_expires(server)
    checked = server.check()
    assert checked.returncode == 0, checked.stdout + checked.stderr


def assert_the_rest_expires(server: Server) -> None:
    """With a short expiry, no upload and no temporary file outlives the next purge."""
    server.settings = {**server.settings, "upload_expiry": "0.5", "purge_interval": "0.5"}
    server.start()
    wait_until(lambda: not server.files("uploads"), what=f"a purge of {server.data}/uploads")
    server.stop()
