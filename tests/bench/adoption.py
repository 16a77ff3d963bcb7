"""What the adoption of older images costs, and what pushes and pulls notice of it.

    python -m tests.bench.adoption DIRECTORY [--manifests N] [--repositories N] [--configs N]
                                             [--database URL] [--keep] [--seconds N]

Stores manifests as the version before image streams did, a tag for each, starts a server on them
and pushes and pulls until all is taken over. `--configs` of them have a configuration of their own
on disk. By hand, before a claim; Linux only.
"""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tests.bench.process import memory, processor_seconds
from tests.images import small_image
from tests.older import fill_current, fill_older, unpack, write_configurations
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving

REMAINING = "tidegate_adoption_remaining_"


@dataclass
class Samples:
    """Milliseconds of one kind of request."""

    name: str
    taken: list[float] = field(default_factory=list)

    def told(self) -> str:
        if not self.taken:
            return f"{self.name}: none"
        ordered = sorted(self.taken)
        p50, p99 = (ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
        return (
            f"{self.name}: {len(ordered)}, p50 {p50:.1f} ms,"
            f" p99 {p99:.1f} ms, longest {ordered[-1]:.1f} ms"
        )


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def remaining(client: RegistryClient) -> tuple[int, int]:
    """Tags and manifests that are left."""
    text = client.http.get("/extensions/v2/metrics").text
    values = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    return int(values[f"{REMAINING}tags"]), int(values[f"{REMAINING}manifests"])


def stored(data: Path) -> int:
    """Bytes of the embedded database and its log."""
    return sum(path.stat().st_size for path in data.glob("metadata.db*"))


def measure(server: Server, least: float, most: float) -> Iterator[str]:
    """Push and pull until nothing is left: at least and at most for so many seconds."""
    assert server.process is not None
    samples = Samples("pushes"), Samples("pulls of what is there"), Samples("pulls of the pushed")
    base = small_image("bench")
    with client_of(server) as client:
        client.push("bench/pushed", base, "first")
        began, told, largest, number = time.monotonic(), 0.0, 0, 0
        used = processor_seconds(server.process.pid)
        while True:
            number += 1
            exchanges: tuple[Callable[[], httpx.Response], ...] = (
                partial(client.put_manifest, "bench/pushed", f"t{number}", base.manifest),
                partial(client.manifest, "older0/r0", f"v{number % 10}"),
                partial(client.manifest, "bench/pushed", f"t{number}"),
            )
            for sample, exchange in zip(samples, exchanges, strict=True):
                start = time.perf_counter()
                answer = exchange()
                sample.taken.append(1000 * (time.perf_counter() - start))
                assert answer.status_code in (200, 201), answer.text
            time.sleep(0.05)
            now = time.monotonic() - began
            if now - told >= 10.0:
                told = now
                left = remaining(client)
                held = memory(server.process.pid)
                largest = max(largest, held.largest)
                yield (
                    f"{now:.0f} s: {left[0]} tags, {left[1]} manifests left;"
                    f" largest process {held.largest / 1e6:.0f} MB,"
                    f" metadata {stored(server.data) / 1e6:.0f} MB"
                )
                if now > most or (left == (0, 0) and now > least):
                    break
        used = processor_seconds(server.process.pid) - used
    yield f"{now:.0f} s, {used:.0f} s of processor, largest process {largest / 1e6:.0f} MB"
    yield from (sample.told() for sample in samples)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.adoption")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--manifests", type=int, default=1_000_000)
    parser.add_argument("--repositories", type=int, default=1_000)
    parser.add_argument("--configs", type=int, default=0)
    parser.add_argument("--database", default="")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop before it is done")
    parser.add_argument("--keep", action="store_true", help="start on what an earlier run stored")
    options = parser.parse_args()
    settings = {"database": options.database} if options.database else {}
    options.directory.mkdir(parents=True, exist_ok=True)
    server = Server(options.directory / "data", settings=settings)
    size = (options.manifests, options.repositories, options.configs)
    if not options.keep:
        began = time.monotonic()
        if options.database:
            with serving(server):
                pass
            asyncio.run(fill_current(options.database, *size))
            write_configurations(server.data, options.configs)
        else:
            fill_older(unpack(options.directory), *size)
        say(f"stored {options.manifests} manifests in {time.monotonic() - began:.0f} s")
    say(f"metadata {stored(server.data) / 1e6:.0f} MB before")
    with serving(server):
        for line in measure(server, 0.0, options.seconds):
            say(line)
        if options.seconds != math.inf:
            return
        say("with nothing left to take over:")
        for line in measure(server, 20.0, 20.0):
            say(line)


if __name__ == "__main__":
    main()
