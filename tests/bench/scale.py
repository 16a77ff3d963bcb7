"""The scale run: 1,000,000 manifests in tidegate, and what is to stay as it is with ten.

The manifests go straight into the metadata store, as pushes would leave them; nothing of them is
in the server's caches when it starts.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

from tests.bench.alone import TAG_BAR, restart, start_seconds, tag_ratio
from tests.bench.fill import fill_manifests, fill_tags
from tests.bench.load import put_load
from tests.bench.process import memory
from tests.bench.report import Figure
from tests.bench.rows import manifest_job, tags_job
from tests.bench.scene import FEW, MANY, Scene, push_blob, push_manifest
from tests.bench.servers import Tidegate

REPOSITORIES, EACH = 900, 1_000
TAGS = 100_000
MILLION, THOUSAND = "bench/million", "bench/r0"
ROUNDS = 5


def measure(peer: Tidegate, scene: Scene, say: Callable[[str], None]) -> list[Figure]:
    """Start the server, load it, and measure again."""
    peer.start()
    for repository in (MANY, FEW, MILLION, THOUSAND):
        for blob in scene.small:
            push_blob(peer, repository, blob)
    for number in range(10):
        push_manifest(peer, FEW, f"tag-{number:07d}", scene.manifests[number])
    empty = start_seconds(peer, ROUNDS)
    peer.stop()
    say("loading 1,000,000 manifests")
    began = time.monotonic()
    names = [f"bench/r{number}" for number in range(REPOSITORIES)]
    fill_manifests(peer.directory, names, scene.small, EACH)
    fill_manifests(peer.directory, [MANY], scene.small, TAGS)
    loaded = time.monotonic() - began
    say(f"{loaded:.0f} s; giving 1,000,000 tags to one of them")
    fill_tags(peer.directory, MILLION, scene.manifests[0], scene.small, 1_000_000)
    say("measuring")
    peer.start()
    seconds = start_seconds(peer, ROUNDS)
    idle = memory(peer.process(False))
    stored = os.stat(peer.directory / "metadata.db").st_size
    return [
        Figure(
            "start with 1,000,000 manifests (with ten)",
            f"{seconds:.2f} s ({empty:.2f} s)",
            "under 2 s",
            seconds < 2.0,
        ),
        Figure(
            "memory after the start, largest process (all of them)",
            f"{idle.largest / 1e6:.0f} MB ({idle.total / 1e6:.0f} MB)",
            "under 120 MB each",
            idle.largest < 120e6,
        ),
        *_pulls(peer, scene),
        *_lists(peer, scene),
        _push(peer, scene),
        Figure("size of metadata.db", f"{stored / 1e9:.2f} GB", "", None),
        Figure("loading, one writer", f"{1_000_000 / loaded:,.0f} manifests/s", "", None),
    ]


def _pulls(peer: Tidegate, scene: Scene) -> list[Figure]:
    """Pulls by tag: ten manifests that every cache holds, and 100,000 one after the other."""
    restart(peer)
    samples: dict[str, list[float]] = {FEW: [], MANY: []}
    for _ in range(ROUNDS):
        for repository, step, count in ((FEW, 1, 10), (MANY, 7, TAGS)):
            # a step that shares no factor with the count visits each tag once, out of order
            tags = [f"tag-{number * step % count:07d}" for number in range(count)]
            job = replace(manifest_job(peer, repository, tags), seconds=3.0)
            sample = put_load(job, peer.process(False), scene.directory)
            samples[repository].append(sample.requests_a_second)
    rates = {repository: median(each) for repository, each in samples.items()}
    return [
        Figure(
            "GET manifest by tag, 64 clients: 100,000 manifests in turn (ten)",
            f"{rates[MANY]:,.0f}/s ({rates[FEW]:,.0f}/s)",
            "",
            None,
        )
    ]


def _lists(peer: Tidegate, scene: Scene) -> list[Figure]:
    """Pages of 1,000 tags from repositories of three sizes."""
    sizes = ((THOUSAND, 1_000), (MANY, TAGS), (MILLION, 1_000_000))
    samples: list[list[float]] = [[] for _ in sizes]
    for _ in range(ROUNDS):
        for (repository, count), collected in zip(sizes, samples, strict=True):
            job = tags_job(peer, repository, count)
            sample = put_load(job, peer.process(False), scene.directory)
            collected.append(sample.requests_a_second)
    rates = [median(each) for each in samples]
    return [
        Figure(
            "tags/list, 1,000 of 1,000; of 100,000; of 1,000,000",
            "; ".join(f"{rate:,.0f}/s" for rate in rates),
            "flat (at least 0.8)",
            min(rates) >= 0.8 * rates[0],
        )
    ]


def _push(peer: Tidegate, scene: Scene) -> Figure:
    ratio, many = tag_ratio(peer, scene, ROUNDS)
    return Figure(
        "push of one tag: time with 100,000 tags to time with 10",
        f"{ratio:.2f} ({1000 * many:.2f} ms)",
        f"at most {TAG_BAR:g}",
        ratio <= TAG_BAR,
    )
