"""From a write to the watchers: how long until each of a thousand was told.

The writer is this process, the watchers are another one (`watchers.py`). Invariant: every watcher
was told of every write, in order, or there is no figure.
"""

import json
import subprocess
import sys
import time
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


def watch_and_write(api: Api, server: int, writes: int, pause: float) -> Fanout:
    """Have a thousand watchers and write so often, a write every `pause` seconds."""
    revision = json.loads(api.ask("GET", path_of(WATCHED)))["metadata"]["resourceVersion"]
    job = WatchJob(
        api.port, f"{path_of(WATCHED)}?watch=1&resourceVersion={revision}", WATCHERS, api.headers
    )
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
        written = _write(api, writes, pause)
        said, failed = process.communicate(f"{writes}\n")
        spent = processor_seconds(server) - before
        if process.returncode:
            raise ApiRefused(failed[-2000:])
    result = json.loads(said)
    if result["serials"] != [str(number) for number in range(writes)]:
        raise ApiRefused(f"a watcher was told of other writes: {result['serials'][:20]}")
    return _fanout(written, result, spent, began)


def _write(api: Api, writes: int, pause: float) -> list[Write]:
    name, written = name_of(0), []
    connection = api.connect()
    connection.connect()
    due = time.perf_counter()
    for number in range(writes):
        time.sleep(max(due - time.perf_counter(), 0.0))
        due += pause
        sent = time.perf_counter()
        wanted = config_map(WATCHED, name, str(number))
        api.send(connection, "PUT", path_of(WATCHED, name), wanted).read()
        written.append(Write(sent, time.perf_counter()))
    connection.close()
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
