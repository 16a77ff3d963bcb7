"""Figures that are no rates: memory, start, and whether size matters to one server by itself."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from tests.bench.jobs import Job, Kind
from tests.bench.load import Sample, put_load
from tests.bench.peers import Peer
from tests.bench.process import Memory, memory
from tests.bench.report import Figure
from tests.bench.rows import push_tag_job
from tests.bench.scene import BLOBS, FEW, GB, MANY, Scene
from tests.bench.servers import Nginx, Tidegate

IDLE_BAR, PULLS_BAR = 120 * 10**6, 200 * 10**6
START_BAR = 2.0
TAG_BAR = 1.2
PULLS = 500


def measure(
    peers: Sequence[Peer], scene: Scene, pattern: str, rounds: int, say: Callable[[str], None]
) -> list[Figure]:
    """The figures whose names match; a peer's stand beside tidegate's."""
    registries = [peer for peer in peers if not isinstance(peer, Nginx)]
    if not any(isinstance(peer, Tidegate) for peer in registries):
        return []
    figures: list[Figure] = []
    for words, make in (
        ("push of one tag: 100,000 tags / 10 tags", tag_figures),
        ("start", start_figures),
        ("memory", memory_figures),
    ):
        if re.search(pattern, words):
            figures += make(registries, scene, rounds)
            say(f"{words}: {figures[-1].value}")
    return figures


def tag_figures(peers: Sequence[Peer], scene: Scene, rounds: int) -> list[Figure]:
    """What a push costs in a repository with many tags, as a multiple of one with few."""
    texts, ours = {}, 0.0
    for peer in peers:
        ratio, many = tag_ratio(peer, scene, rounds)
        texts[peer.name] = f"{ratio:.2f} ({1000 * many:.2f} ms)"
        if isinstance(peer, Tidegate):
            ours = ratio
    return [
        Figure(
            "push of one tag: time with 100,000 tags to time with 10",
            texts["tidegate"],
            f"at most {TAG_BAR:g}",
            ours <= TAG_BAR,
            texts.get("registry", ""),
        )
    ]


def tag_ratio(peer: Peer, scene: Scene, rounds: int) -> tuple[float, float]:
    """Median over the rounds of the ratio, and the median seconds of a push among many tags."""
    ratios, seconds = [], []
    for number in range(2 * max(rounds, 2)):
        order = (MANY, FEW) if number % 2 else (FEW, MANY)
        took = {repository: _one_push(peer, scene, repository) for repository in order}
        ratios.append(took[MANY] / took[FEW])
        seconds.append(took[MANY])
    return median(ratios), median(seconds)


def _one_push(peer: Peer, scene: Scene, repository: str) -> float:
    # short: each push is a tag more, and the repository with few tags has to stay one
    job = replace(push_tag_job(peer, scene, repository), seconds=0.5)
    return put_load(job, peer.process(False), scene.directory).outcome.median


def start_figures(peers: Sequence[Peer], scene: Scene, rounds: int) -> list[Figure]:
    """From the command to the first answer, on what the run has stored."""
    seconds = {peer.name: start_seconds(peer, max(rounds, 2)) for peer in peers}
    return [
        Figure(
            "start, with 100,000 tags stored",
            f"{seconds['tidegate']:.2f} s",
            f"under {START_BAR:g} s",
            seconds["tidegate"] < START_BAR,
            f"{seconds['registry']:.2f} s" if "registry" in seconds else "",
        )
    ]


def start_seconds(peer: Peer, rounds: int) -> float:
    """Median time of starts of a server that was stopped before each."""
    return median(restart(peer) for _ in range(rounds))


def restart(peer: Peer) -> float:
    """Stop, start, and the seconds until it answered."""
    peer.stop()
    return peer.start()


def memory_figures(peers: Sequence[Peer], scene: Scene, rounds: int) -> list[Figure]:
    """Idle after a fresh start, and the most that was seen during 500 pulls of 1 GB."""
    idle, pulling = {}, {}
    for peer in peers:
        restart(peer)
        peer.headers(BLOBS)
        time.sleep(1.0)
        idle[peer.name] = memory(peer.process(False))
        pulling[peer.name] = _while_pulling(peer, scene)
    ours, busy = idle["tidegate"], pulling["tidegate"]
    return [
        Figure(
            f"memory, idle: largest of {ours.processes} processes (all of them)",
            _memory(ours),
            f"under {IDLE_BAR / 1e6:.0f} MB each",
            ours.largest < IDLE_BAR,
            _memory(idle["registry"]) if "registry" in idle else "",
        ),
        Figure(
            f"memory, {PULLS} pulls of 1 GB at once: largest process (all of them)",
            _memory(busy),
            f"under {PULLS_BAR / 1e6:.0f} MB in all",
            busy.total < PULLS_BAR,
            _memory(pulling["registry"]) if "registry" in pulling else "",
        ),
    ]


def _memory(seen: Memory) -> str:
    return f"{seen.largest / 1e6:.0f} MB ({seen.total / 1e6:.0f} MB)"


def _while_pulling(peer: Peer, scene: Scene) -> Memory:
    """The largest memory seen while many clients pull the largest blob."""
    job = Job(
        kind=Kind.GET,
        port=peer.port,
        clients=PULLS,
        seconds=6.0,
        headers=peer.headers(BLOBS),
        paths=(peer.blob_path(BLOBS, scene.blobs[GB].digest),),
    )
    server = peer.process(False)
    samples: list[Sample] = []
    load = threading.Thread(target=lambda: samples.append(put_load(job, server, scene.directory)))
    load.start()
    seen = memory(server)
    while load.is_alive():
        seen = max(seen, memory(server), key=lambda each: each.total)
        time.sleep(0.25)
    if not samples:
        raise RuntimeError(f"{peer.name}: the load of {PULLS} pulls did not come off")
    return seen
