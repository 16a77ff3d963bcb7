"""LIST of 10,000 ConfigMaps: how fast, and whether anybody else has to wait for it."""

import re
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from tests.bench.api_report import Line
from tests.bench.api_scene import COUNT, LISTED, Api, ApiRefused, name_of, path_of
from tests.bench.jobs import Job, Kind, Outcome
from tests.bench.load import put_load
from tests.bench.process import processor_seconds

PAGE = 500
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
ROUNDS = 7

_CONTINUE = re.compile(rb'"continue":"([^"]*)"')
_HEAD = 1024


@dataclass(frozen=True)
class Way:
    """One way to read all of them."""

    words: str
    accept: str
    limit: int
    item: bytes  # what each object has once in the answer


WAYS = (
    Way("whole", "application/json", 0, b'"serial"'),
    Way(f"pages of {PAGE}", "application/json", PAGE, b'"serial"'),
    Way(f"Table, pages of {PAGE}", TABLE, PAGE, b'"cells"'),
)


def measure(api: Api, server: int, directory: Path, rounds: int) -> list[Line]:
    """The rows of the table."""
    quiet = _gets(api, server, directory, 3.0)
    lines = [Line("GET by 8 clients, nobody lists", *_shown(quiet))]
    for way in WAYS:
        lines.append(_alone(api, server, way, rounds))
        lines.append(_beside(api, server, directory, way))
    return lines


def _alone(api: Api, server: int, way: Way, rounds: int) -> Line:
    connection = api.connect()
    seconds, size, pages = [], 0, 1
    before = processor_seconds(server)
    for _ in range(rounds):
        began = time.perf_counter()
        size, pages = read_all(api, connection, way)
        seconds.append(time.perf_counter() - began)
    spent = (processor_seconds(server) - before) / rounds
    connection.close()
    took = median(seconds)
    each = f", {1000 * took / pages:.1f} ms a page" if pages > 1 else ""
    return Line(
        f"LIST of {COUNT:,} ConfigMaps, {way.words}",
        f"{1000 * took:.0f} ms ({size / took / 1e6:,.0f} MB/s{each})",
        "",
        f"{1000 * spent:.0f} ms",
    )


def _beside(api: Api, server: int, directory: Path, way: Way) -> Line:
    """GETs while one client lists again and again."""
    done = threading.Event()
    listing = threading.Thread(target=_again, args=(api, way, done))
    listing.start()
    try:
        beside = _gets(api, server, directory, 3.0)
    finally:
        done.set()
        listing.join()
    return Line(f"GET by 8 clients, one lists: {way.words}", *_shown(beside))


def _again(api: Api, way: Way, done: threading.Event) -> None:
    while not done.is_set():
        # each time on a connection of its own, so that no worker is spared
        connection = api.connect()
        read_all(api, connection, way)
        connection.close()


def read_all(api: Api, connection: HTTPConnection, way: Way) -> tuple[int, int]:
    """Bytes and pages of all the ConfigMaps; every one has to be there."""
    size = pages = found = 0
    token = ""
    while True:
        path = f"{path_of(LISTED)}?limit={way.limit}&continue={token}"
        connection.request("GET", path, headers={**api.headers, "Accept": way.accept})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise ApiRefused(f"{path}: {answer.status} {content[:500]!r}")
        size += len(content)
        pages += 1
        found += content.count(way.item)
        again = _CONTINUE.search(content, 0, _HEAD)
        token = again[1].decode() if again else ""
        if not token:
            break
    if found != COUNT:
        raise ApiRefused(f"LIST, {way.words}: {found} objects instead of {COUNT}")
    return size, pages


def _gets(api: Api, server: int, directory: Path, seconds: float) -> tuple[Outcome, float]:
    sample = put_load(get_job(api, 8, seconds), server, directory)
    return sample.outcome, sample.server_seconds


def _shown(seen: tuple[Outcome, float]) -> tuple[str, str]:
    outcome, _ = seen
    rate = outcome.requests / outcome.seconds
    return f"{rate:,.0f}/s", f"{1000 * outcome.median:.1f} / {1000 * outcome.p99:.1f}"


def get_job(api: Api, clients: int, seconds: float) -> Job:
    """GETs of one object after the other."""
    return Job(
        kind=Kind.GET,
        port=api.port,
        clients=clients,
        seconds=seconds,
        headers=api.headers,
        paths=tuple(path_of(LISTED, name_of(number * 7 % COUNT)) for number in range(1_000)),
        small=True,
    )
