"""From a write to the watchers: how long until each of them was told.

The writer is this process, the watchers are another one (`watchers.py`). Invariant: every watcher
was told of every write, in order, or there is no figure.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tests.bench.api_scene import WATCHED, Api, ApiRefused, config_map, name_of, path_of
from tests.bench.process import processor_seconds
from tests.bench.watchers import WatchJob

WATCHERS = 1_000


@dataclass(frozen=True)
class Fanout:
    """Sorted seconds from the request and from its answer to each delivery of each event."""

    from_request: list[float]
    from_answer: list[float]
    server_seconds: float
    client_seconds: float  # of the watchers
    deliveries: int
    seconds: float


@dataclass(frozen=True)
class Write:
    sent: float
    answered: float


@dataclass(frozen=True)
class Watched:
    """What is watched by how many, and how the events of one watcher are told apart."""

    path: str
    watchers: int
    pattern: str  # of what each event has once


def watch_and_write(api: Api, server: int, writes: int, pause: float) -> Fanout:
    """Have a thousand watchers and write so often, a write every `pause` seconds."""
    revision = json.loads(api.ask("GET", path_of(WATCHED)))["metadata"]["resourceVersion"]
    path = f"{path_of(WATCHED)}?watch=1&resourceVersion={revision}"
    connection = api.connect()
    connection.connect()

    def put(number: int) -> None:
        name = name_of(0)
        wanted = config_map(WATCHED, name, str(number))
        api.send(connection, "PUT", path_of(WATCHED, name), wanted).read()

    watched = Watched(path, WATCHERS, '"serial":"([^"]*)"')
    seen, serials = tell(api, server, watched, put, writes, pause)
    connection.close()
    if serials != [str(number) for number in range(writes)]:
        raise ApiRefused(f"a watcher was told of other writes: {serials[:20]}")
    return seen


def tell(
    api: Api,
    server: int,
    watched: Watched,
    write: Callable[[int], None],
    writes: int,
    pause: float,
) -> tuple[Fanout, list[str]]:
    """Watch, write every `pause` seconds, and what of one watcher's events fits the pattern."""
    job = WatchJob(api.port, watched.path, watched.watchers, api.headers, watched.pattern)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.watchers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "watching\n":
            raise ApiRefused(process.communicate()[1][-2000:])
        time.sleep(1.0)
        before, began = processor_seconds(server), time.perf_counter()
        written = _write(write, writes, pause)
        said, failed = process.communicate(f"{writes}\n")
        spent = processor_seconds(server) - before
        if process.returncode:
            raise ApiRefused(failed[-2000:])
    result = json.loads(said)
    return _fanout(written, result, spent, began), result["serials"]


def _write(write: Callable[[int], None], writes: int, pause: float) -> list[Write]:
    written = []
    due = time.perf_counter()
    for number in range(writes):
        time.sleep(max(due - time.perf_counter(), 0.0))
        due += pause
        sent = time.perf_counter()
        write(number)
        written.append(Write(sent, time.perf_counter()))
    time.sleep(min(pause, 1.0))
    return written


def _fanout(
    written: list[Write], result: dict[str, list[list[float]]], spent: float, began: float
) -> Fanout:
    pairs = list(zip(written, result["times"], strict=True))
    ended = max(max(times) for _, times in pairs)
    return Fanout(
        sorted(time - write.sent for write, times in pairs for time in times),
        sorted(time - write.answered for write, times in pairs for time in times),
        spent,
        float(result["client_seconds"]),  # type: ignore[arg-type]
        sum(len(times) for _, times in pairs),
        ended - began,
    )
