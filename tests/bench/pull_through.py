"""What pulls of another registry's images cost, with and without that registry.

    python -m tests.bench.pull_through [--pulls N] [--size MB] [--clients N] [--silences N]
        [--parts kept,first,cold]

`kept`: single pulls of what is here, first with the other registry answering, then with one that
takes every request and answers none. `first`: the first pull of a due tag that finds it so, of a
registry that answered well just before, again and again. `cold`: many clients want one large blob
that nobody has pulled yet; meanwhile somebody asks for a manifest, again and again. By hand, before
a claim.
"""

import argparse
import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.bench.api_report import percentile
from tests.e2e.pulling_through import World, large, world
from tests.faults import Hang
from tests.server import PASSWORD, USERNAME, Server
from tests.tools import require

MEGABYTE = 1 << 20
KNOWN = 30
"""Answers before each silence: how long a registry usually takes is known, and that which came late
of the last silence is no part of it."""
HEADER = "| pulls | p50 | p99 | longest |\n|---|---:|---:|---:|"
COLD = (
    "| cold blob | all have it after | read of the other registry"
    " | HEAD p99 before / meanwhile | memory of a worker, before / most |\n"
    "|---|---:|---:|---:|---:|"
)


def timed(work: Callable[[], httpx.Response], count: int) -> list[float]:
    """Milliseconds of each, in order."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        answer = work()
        taken.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
    return taken


def row(name: str, taken: list[float]) -> str:
    ordered = sorted(taken)
    p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
    return f"| {name} | {p50:.1f} ms | {p99:.1f} ms | {ordered[-1]:.0f} ms |"


def kept(here: World, options: argparse.Namespace) -> Iterator[str]:
    """What is here, while the other registry answers and while it does not."""
    pushable = large(random.Random(1).randbytes(MEGABYTE))
    imported, blob = here.imported(pushable), pushable.blobs[-1]
    here.allow_without_tls()
    fresh = {"tidegate.io/proxy": here.far.address, "tidegate.io/proxy-freshness": "0s"}
    project, name = here.project(**fresh), here.put(pushable)
    works: dict[str, Callable[[], httpx.Response]] = {
        "manifest of an imported image by tag": lambda: here.registry.manifest(imported, "v1"),
        "its blob of 1 MB": lambda: here.registry.blob(imported, blob.digest),
        "mirrored tag that is due": lambda: here.registry.manifest(f"{project}/{name}", "v1"),
        "blob of 1 MB of a mirrored image": lambda: here.registry.blob(
            f"{project}/{name}", blob.digest
        ),
    }
    for work in works.values():
        timed(work, 3)
    for state in ("answering", "black-holed"):
        if state == "black-holed":
            here.far.always(Hang())
        for what, work in works.items():
            yield row(f"{what}, the other registry {state}", timed(work, options.pulls))
    here.far.honest()


def first(here: World, options: argparse.Namespace) -> Iterator[str]:
    """A due tag, while the other registry answers, and the first to find that it no longer does."""
    here.allow_without_tls()
    fresh = {"tidegate.io/proxy": here.far.address, "tidegate.io/proxy-freshness": "0s"}
    path = f"{here.project(**fresh)}/{here.put(large(os.urandom(1000)))}"

    def pull() -> httpx.Response:
        return here.registry.manifest(path, "v1")

    answering, silent = [], []
    for _ in range(options.silences):
        answering += timed(pull, KNOWN)
        here.far.always(Hang())
        silent += timed(pull, 1)
        here.far.honest()
        while "warning" in pull().headers:  # until the answer that came late was heard
            time.sleep(0.01)
    yield row("mirrored tag that is due, the other registry answering", answering)
    yield row(f"the first one that it does not answer, {options.silences} times", silent)


def resident(server: Server) -> float:
    """Megabytes of the largest worker."""
    sizes = []
    for worker in server.worker_ids():
        status = Path(f"/proc/{worker}/status").read_text()
        sizes += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    return max(sizes) / 1024


class Asking:
    """Somebody who asks for a manifest again and again, and looks at the server's memory."""

    def __init__(self, here: World, path: str) -> None:
        self._server, self._url = here.server, here.server.url + path
        self._ended = threading.Event()
        self.taken: list[float] = []
        self.memory = 0.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(auth=(USERNAME, PASSWORD), trust_env=False, timeout=60) as client:
            while not self._ended.wait(0.01):
                self.taken += timed(lambda: client.head(self._url), 1)
                self.memory = max(self.memory, resident(self._server))


def cold(here: World, options: argparse.Namespace) -> str:
    """Many clients of a blob that nobody has pulled yet."""
    chance = random.Random(2)
    content = b"".join(chance.randbytes(MEGABYTE) for _ in range(options.size))
    pushable, small = large(content), large(os.urandom(1000))
    imported, other = here.imported(pushable), here.imported(small)
    url = f"{here.server.url}/v2/{imported}/blobs/{pushable.blobs[-1].digest}"
    words = [require("curl"), "-s", "-o", "/dev/null", "-w", "%{size_download}"]
    words += ["-u", f"{USERNAME}:{PASSWORD}", url]
    path = f"/v2/{other}/manifests/v1"
    with Asking(here, path) as before:
        time.sleep(2)
    here.far.forget()
    began = time.perf_counter()
    with Asking(here, path) as meanwhile:
        clients = [
            subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            for _ in range(options.clients)
        ]
        got = {client.communicate()[0] for client in clients}
    seconds = time.perf_counter() - began
    assert got == {str(len(content))}, got
    share = here.far.sent("blob") / len(content)
    waited = [percentile(sorted(each.taken), 0.99) for each in (before, meanwhile)]
    return (
        f"| {options.size} MB, {options.clients} clients | {seconds:.0f} s"
        f" | {share:.2f} times | {waited[0]:.0f} / {waited[1]:.0f} ms"
        f" | {before.memory:.0f} / {meanwhile.memory:.0f} MB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.pull_through")
    parser.add_argument("--pulls", type=int, default=500)
    parser.add_argument("--size", type=int, default=1024, help="of the cold blob, in MB")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--parts", default="kept,first,cold")
    parser.add_argument("--silences", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, world(Path(name)) as here:
        for part, work in (("kept", kept), ("first", first)):
            if part in options.parts:
                print(HEADER, flush=True)
                for line in work(here, options):
                    print(line, flush=True)
        if "cold" in options.parts:
            print(f"\n{COLD}\n{cold(here, options)}", flush=True)


if __name__ == "__main__":
    main()
