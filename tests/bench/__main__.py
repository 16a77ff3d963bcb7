"""`make bench`: tidegate beside other servers on one machine, as ratios.

`rows.py` declares what is measured and the bar for each row; `servers.py` says how the servers
run; `load.py` puts load on one of them and says what came of it; this module alternates the runs;
`report.py` writes the table. Linux only: it reads /proc and uses epoll.

Nothing here is a test: no figure makes a run fail, a wrong byte does.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench import alone, api, report, rows, scale, streams
from tests.bench.fill import fill_distribution, fill_tags
from tests.bench.load import LoadFailed, put_load
from tests.bench.peers import Peer, PeerMissing, find_nginx, find_registry
from tests.bench.scene import (
    MANY,
    SIZES,
    Scene,
    clean,
    give,
    keep,
    make_scene,
    make_small_scene,
    verify,
)
from tests.bench.servers import Distribution, Nginx, Tidegate

TAGS = 100_000
NEEDED = 24 << 30
"""Free bytes without which the largest pushes would fill the disk."""


def say(text: str) -> None:
    """Progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Ratios to other registries.")
    parser.add_argument("--rows", default="", metavar="PATTERN", help="only rows that match")
    parser.add_argument("--quick", action="store_true", help="one short round: a first look")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of alternation, default 3")
    parser.add_argument("--seconds", type=float, default=0.0, help="of one run, default 1.5")
    parser.add_argument("--peers", default="", help="of tidegate,registry,nginx; default all")
    parser.add_argument("--directory", type=Path, help="where servers store, default /var/tmp")
    parser.add_argument("--scale", action="store_true", help="the run with 1,000,000 manifests")
    parser.add_argument("--api", action="store_true", help="the run of the Kubernetes API")
    parser.add_argument("--streams", action="store_true", help="the run of image streams")
    parser.add_argument("--save", type=Path, metavar="PAGE", help="also write it into this page")
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """How to repeat this run."""
    given = [
        f"--{name} {value}" if value is not True else f"--{name}"
        for name, value in vars(options).items()
        if value and name not in {"save", "directory"}
    ]
    return f'make bench BENCH_ARGS="{" ".join(given)}"' if given else "make bench"


def choose_peers(directory: Path, wanted: str) -> list[Peer]:
    """The servers of this run, tidegate first."""
    scratch = directory / "scratch"
    scratch.mkdir()
    names = wanted.split(",") if wanted else ["tidegate", "registry", "nginx"]
    peers: list[Peer] = []
    for name in names:
        stored = directory / name
        stored.mkdir()
        if name == "tidegate":
            peers.append(Tidegate(stored, scratch))
        elif name == "registry":
            peers.append(Distribution(stored, scratch, find_registry()))
        elif program := find_nginx():
            peers.append(Nginx(stored, scratch, program))
        else:
            say("nginx is not installed: no limit in this run")
    return peers


def prepare(directory: Path, peers: Sequence[Peer]) -> Scene:
    """Start the servers with the same content and compare what they answer."""
    say("writing content")
    scene = make_scene(directory)
    for peer in peers:
        say(f"{peer.name}: answered after {peer.start():.2f} s; filling")
        give(scene, peer)
        if isinstance(peer, Distribution):
            fill_distribution(peer.directory, TAGS)
        if isinstance(peer, Tidegate):
            fill_tags(peer.directory, MANY, scene.manifests[0], scene.small, TAGS)
        verify(scene, peer)
        keep(scene, peer)
    say(f"all answer the same bytes: {len(SIZES)} blobs, {len(scene.manifests)} manifests")
    return scene


def compare(
    row: rows.Row, peers: Sequence[Peer], scene: Scene, rounds: int, seconds: float
) -> report.Comparison:
    """Alternate the servers; the first one moves on in each round."""
    result = report.Comparison(row)
    fit = [peer for peer in peers if row.nginx or not isinstance(peer, Nginx)]
    for number in range(1 if row.heavy else rounds):
        first = number % len(fit)
        for peer in fit[first:] + fit[:first]:
            if row.pushes:
                os.sync()  # nobody waits for what another one wrote
            job = replace(row.make(peer, scene), seconds=max(seconds, row.at_least))
            try:
                sample = put_load(job, peer.process(job.tls), scene.directory)
            except LoadFailed as failure:
                say(f"{row.name}: {peer.name}: {failure}")
                result.failed.add(peer.name)
            else:
                result.samples.setdefault(peer.name, []).append(sample)
            if row.pushes:
                clean(scene, peer)
    for name in result.failed:
        result.samples.pop(name, None)
    rates = {name: f"{result.rate(each[-1]):,.0f}" for name, each in result.samples.items()}
    say(f"{row.name}: {rates}")
    return result


def in_turn(
    peers: Sequence[Peer], directory: Path, pattern: str, quick: bool, rounds: int, seconds: float
) -> str:
    """The tables of a usual run."""
    chosen = [row for row in rows.rows() if re.search(pattern, row.name)]
    scene = prepare(directory, peers)
    compared = [
        compare(row, peers, scene, rounds, seconds) for row in chosen if not (quick and row.heavy)
    ]
    figures = alone.measure(peers, scene, pattern, rounds, say)
    parts = [
        report.comparison_table(compared),
        report.cipher_suites(compared),
        report.figure_table(figures) if figures else "",
    ]
    return "\n\n".join(filter(None, parts))


def main() -> None:
    options = arguments()
    # a run that is ended leaves no server behind and no file
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    rounds = options.rounds or (1 if options.quick else 3)
    seconds = options.seconds or (0.7 if options.quick else 1.5)
    began, load = time.monotonic(), os.getloadavg()[0]
    directory = Path(
        tempfile.mkdtemp(prefix="tidegate-bench-", dir=options.directory or "/var/tmp")
    )
    peers: list[Peer] = []
    try:
        if shutil.disk_usage(directory).free < NEEDED:
            sys.exit(f"{directory} needs {NEEDED >> 30} GB free: name another with --directory")
        alone_mode = options.scale or options.api or options.streams
        peers = choose_peers(directory, "tidegate" if alone_mode else options.peers)
        place = report.RESULTS
        if options.scale and isinstance(peers[0], Tidegate):
            place = report.SCALE
            text = report.figure_table(scale.measure(peers[0], make_small_scene(directory), say))
        elif options.api and isinstance(peers[0], Tidegate):
            place = report.API
            text = api.measure(peers[0], directory, options.rows, rounds, say)
        elif options.streams and isinstance(peers[0], Tidegate):
            place = report.STREAMS
            text = streams.measure(peers[0], directory, options.rows, rounds, say)
        else:
            text = in_turn(peers, directory, options.rows, options.quick, rounds, seconds)
        versions = [f"{peer.name} {peer.version}" for peer in peers]
        text = f"{report.machine(directory, versions, command(options), load)}\n\n{text}"
        print(text)
        if options.save:
            report.save(options.save, place, text)
    except PeerMissing as error:
        sys.exit(str(error))
    finally:
        for peer in peers:
            peer.stop()
        shutil.rmtree(directory, ignore_errors=True)
        say(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
