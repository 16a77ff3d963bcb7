"""The run of the Kubernetes API: one object, lists of 10,000, 1,000 watchers, one decision."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.bench import decisions, lists
from tests.bench.api_report import Line, milliseconds, table
from tests.bench.api_scene import Api, fill, log_in
from tests.bench.fanout import WATCHERS, watch_and_write
from tests.bench.load import put_load
from tests.bench.servers import Tidegate

SINGLE, RATE = 10, 20
"""Writes one by one, a second apart; and writes a second."""

Say = Callable[[str], None]


def measure(peer: Tidegate, directory: Path, pattern: str, rounds: int, say: Say) -> str:
    """Start the server, fill it, measure what matches; the table."""
    peer.start()
    api, server = log_in(peer), peer.process(False)
    parts: dict[str, Callable[[], Iterator[Line]]] = {
        "GET": lambda: _gets(api, server, directory, rounds),
        "LIST": lambda: iter(lists.measure(api, server, directory, 2 * rounds + 1)),
        "watch": lambda: _watches(api, server),
        "decision": lambda: iter(decisions.measure(directory)),
    }
    fill(peer, api)
    found = []
    for words, part in parts.items():
        if re.search(pattern, words):
            for line in part():
                say(f"{line.work}: {line.figure} {line.latencies} {line.processor}")
                found.append(line)
    return table(found)


def _gets(api: Api, server: int, directory: Path, rounds: int) -> Iterator[Line]:
    for clients in (1, 8, 64):
        job = lists.get_job(api, clients, 3.0)
        samples = [put_load(job, server, directory) for _ in range(rounds)]
        rate = median(each.requests_a_second for each in samples)
        p50 = median(each.outcome.median for each in samples)
        p99 = median(each.outcome.p99 for each in samples)
        spent = median(each.server_seconds / each.outcome.requests for each in samples)
        yield Line(
            f"GET one ConfigMap, {clients} client{'s' if clients > 1 else ''}",
            f"{rate:,.0f}/s",
            f"{1000 * p50:.2f} / {1000 * p99:.2f}",
            f"{1000 * spent:.3f} ms a request",
        )


def _watches(api: Api, server: int) -> Iterator[Line]:
    for words, writes, pause in (
        ("one write", SINGLE, 1.0),
        (f"{RATE} writes/s", 10 * RATE, 1 / RATE),
    ):
        seen = watch_and_write(api, server, writes, pause)
        name = f"{WATCHERS:,} watchers, {words}"
        rate = f"{seen.deliveries / seen.seconds:,.0f} events/s"
        spent = f"{1e6 * seen.server_seconds / seen.deliveries:.0f} µs an event"
        client = f"{1e6 * seen.client_seconds / seen.deliveries:.0f}"
        yield Line(
            f"{name}: from the request to each delivery",
            rate,
            milliseconds(seen.from_request),
            f"{spent} (the client's: {client})",
        )
        yield Line(f"{name}: from its answer", "", milliseconds(seen.from_answer))
