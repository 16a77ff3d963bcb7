"""The run of image streams: one of 100,000 tags and 1,000,000 events beside one of ten.

The large one is written as rows, as the tests do it (`tests.e2e.large_stream`); all else goes
through the server.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.bench.api_report import Line, milliseconds, table
from tests.bench.api_scene import Api, ApiRefused, log_in
from tests.bench.fanout import Watched, tell
from tests.bench.jobs import Job, Kind
from tests.bench.load import Sample, put_load
from tests.bench.process import memory, processor_seconds
from tests.bench.servers import Tidegate
from tests.e2e.large_stream import Large, fill, manifest_of
from tests.images import Content, image, layer
from tests.registry_client import RegistryClient

PROJECT = "bench-streams"
LARGE, FEW, THOUSAND = "large", "few", "thousand"
STREAMS = f"/apis/image.openshift.io/v1/namespaces/{PROJECT}/imagestreams"
TAGS = f"/apis/image.openshift.io/v1/namespaces/{PROJECT}/imagestreamtags"
PUSH_BAR = 1.2
WATCHERS = 100
WRITES, PAUSE = 40, 0.25
READERS = 20

Say = Callable[[str], None]


def measure(peer: Tidegate, directory: Path, pattern: str, rounds: int, say: Say) -> str:
    """Start the server, fill it, measure what matches; the table."""
    peer.start()
    api, blobs = log_in(peer), image(layer({"bench": b"streams"})).blobs
    say("writing a stream of 100,000 tags and 1,000,000 events")
    _fill(peer, api, blobs)
    parts: dict[str, Callable[[], Iterator[Line]]] = {
        "push": lambda: _pushes(peer, directory, blobs, rounds),
        "GET": lambda: _gets(api, peer, directory, rounds),
        "LIST": lambda: _lists(api, peer, rounds),
        "watch": lambda: _watches(api, peer, blobs),
        "large": lambda: _large(api, peer, blobs, rounds),
    }
    found = []
    for words, part in parts.items():
        if re.search(pattern, words):
            for line in part():
                say(f"{line.work}: {line.figure} {line.latencies} {line.processor}")
                found.append(line)
    return table(found)


def _fill(peer: Tidegate, api: Api, blobs: tuple[Content, ...]) -> None:
    made = {"apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest"}
    api.ask(
        "POST",
        "/apis/project.openshift.io/v1/projectrequests",
        {**made, "metadata": {"name": PROJECT}},
    )
    url = f"sqlite:///{peer.directory / 'metadata.db'}"
    with RegistryClient(peer.url) as registry:
        for name in (LARGE, FEW, THOUSAND):
            for blob in blobs:
                registry.put_blob(f"{PROJECT}/{name}", blob).raise_for_status()
        for number in range(10):
            registry.put_manifest(
                f"{PROJECT}/{FEW}", f"v{number}", manifest_of(blobs, number)
            ).raise_for_status()
    fill(url, f"{PROJECT}/{THOUSAND}", blobs, Large(1_001, 1_000 * 9 + 9, 1_000))
    fill(url, f"{PROJECT}/{LARGE}", blobs, Large())


def _pushes(
    peer: Tidegate, directory: Path, blobs: tuple[Content, ...], rounds: int
) -> Iterator[Line]:
    """What one push costs, in turn; each is a new image under a new tag."""
    ratios, samples = [], dict[str, list[Sample]]()
    for number in range(4 * rounds):
        took = {}
        for name in (LARGE, FEW) if number % 2 else (FEW, LARGE):
            job = _push_job(peer, f"{PROJECT}/{name}", blobs)
            sample = put_load(job, peer.process(False), directory)
            samples.setdefault(name, []).append(sample)
            took[name] = sample.outcome.median
        ratios.append(took[LARGE] / took[FEW])
    for name, words in ((FEW, "a stream of 10 tags"), (LARGE, "one of 100,000 and 1,000,000")):
        each = samples[name]
        p50, p99 = (median(getattr(s.outcome, part) for s in each) for part in ("median", "p99"))
        spent = median(s.server_seconds / s.outcome.requests for s in each)
        rate = median(s.requests_a_second for s in each)
        yield Line(
            f"push of one tag into {words}{' events' if name == LARGE else ''}, 1 client",
            f"{rate:,.0f}/s",
            f"{1000 * p50:.2f} / {1000 * p99:.2f}",
            f"{1000 * spent:.2f} ms a push",
        )
    ratio = median(ratios)
    yield Line(
        "push of one tag: time in the large stream to time in the small one",
        f"{ratio:.2f} (at most {PUSH_BAR:g}: {'met' if ratio <= PUSH_BAR else '**missed**'})",
    )


def _push_job(peer: Tidegate, repository: str, blobs: tuple[Content, ...]) -> Job:
    # short: each push is a tag more, and the stream with few tags has to stay small
    return Job(
        kind=Kind.TAG,
        port=peer.port,
        clients=1,
        seconds=0.4,
        headers=peer.headers(repository),
        repository=repository,
        manifest=manifest_of(blobs, 0).data.decode(),
    )


def _gets(api: Api, peer: Tidegate, directory: Path, rounds: int) -> Iterator[Line]:
    """The stream with a thousand tags, which nobody changes."""
    for clients in (1, 8):
        job = Job(
            kind=Kind.GET,
            port=api.port,
            clients=clients,
            seconds=2.0,
            headers=api.headers,
            paths=(f"{TAGS}/{THOUSAND}:t000001", f"{STREAMS}/{FEW}"),
            small=True,
        )
        for words, path in (("a stream of 10 tags", f"{STREAMS}/{FEW}"), ("one tag", job.paths[0])):
            samples = [
                put_load(replace(job, paths=(path,)), peer.process(False), directory)
                for _ in range(rounds)
            ]
            p50 = median(each.outcome.median for each in samples)
            p99 = median(each.outcome.p99 for each in samples)
            spent = median(each.server_seconds / each.outcome.requests for each in samples)
            yield Line(
                f"GET {words}, {clients} client{'s' if clients > 1 else ''}",
                f"{median(each.requests_a_second for each in samples):,.0f}/s",
                f"{1000 * p50:.2f} / {1000 * p99:.2f}",
                f"{1000 * spent:.3f} ms a request",
            )


def _lists(api: Api, peer: Tidegate, rounds: int) -> Iterator[Line]:
    path = f"{TAGS}?labelSelector=bench%3Dthousand&limit=1000"
    api.ask("GET", f"{STREAMS}/{THOUSAND}")
    _label(api, THOUSAND, {"bench": "thousand"})
    yield _timed(api, peer, "LIST of 1,000 ImageStreamTags", path, b'"generation"', 4 * rounds)


def _label(api: Api, name: str, labels: dict[str, str]) -> None:
    """Set labels as `kubectl label` does."""
    connection = api.connect()
    connection.request(
        "PATCH",
        f"{STREAMS}/{name}",
        json.dumps({"metadata": {"labels": labels}}),
        {**api.headers, "Content-Type": "application/merge-patch+json"},
    )
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 200:
        raise ApiRefused(f"PATCH: {answer.status} {said[:500]!r}")


def _timed(api: Api, peer: Tidegate, words: str, path: str, item: bytes, rounds: int) -> Line:
    seconds, size = [], 0
    before = processor_seconds(peer.process(False))
    for _ in range(rounds):
        began = time.perf_counter()
        content = api.ask("GET", path)
        seconds.append(time.perf_counter() - began)
        size = len(content)
        if item not in content:
            raise ApiRefused(f"{path}: {content[:500]!r}")
    spent = (processor_seconds(peer.process(False)) - before) / rounds
    took = median(seconds)
    return Line(
        words,
        f"{1000 * took:.0f} ms ({size / 1e6:.1f} MB)",
        milliseconds(sorted(seconds)),
        f"{1000 * spent:.0f} ms",
    )


def _watches(api: Api, peer: Tidegate, blobs: tuple[Content, ...]) -> Iterator[Line]:
    """Pushes of one tag into the small stream, one at a time, told to a hundred watchers."""
    with RegistryClient(
        peer.url, bearer=peer.headers(f"{PROJECT}/{FEW}")["Authorization"].split()[1]
    ) as registry:

        def push(number: int) -> None:
            content = manifest_of(blobs, 5 * 10**6 + number)
            registry.put_manifest(f"{PROJECT}/{FEW}", "v0", content).raise_for_status()

        read = json.loads(api.ask("GET", f"{STREAMS}/{FEW}"))["metadata"]["resourceVersion"]
        path = f"{STREAMS}?watch=1&resourceVersion={read}&fieldSelector=metadata.name%3D{FEW}"
        watched = Watched(path, WATCHERS, '"resourceVersion":"([0-9]+)"')
        seen, versions = tell(api, peer.process(False), watched, push, WRITES, PAUSE)
    if len(set(versions)) != WRITES or sorted(versions, key=int) != versions:
        raise ApiRefused(f"a watcher was told of other pushes: {versions[:20]}")
    spent = f"{1e6 * seen.server_seconds / seen.deliveries:.0f} µs an event"
    yield Line(
        f"{WATCHERS} watchers of a stream, one push: from the request to each delivery",
        f"{seen.deliveries / seen.seconds:,.0f} events/s",
        milliseconds(seen.from_request),
        f"{spent} (the client's: {1e6 * seen.client_seconds / seen.deliveries:.0f})",
    )


def _large(api: Api, peer: Tidegate, blobs: tuple[Content, ...], rounds: int) -> Iterator[Line]:
    """Reads of the large stream: kept by the server, and made anew after a push."""
    path = f"{STREAMS}/{LARGE}"
    api.ask("GET", path)
    yield _timed(api, peer, "GET of the large stream, kept", path, b"tags-omitted", 4 * rounds)
    seconds = []
    with RegistryClient(peer.url) as registry:
        for number in range(2 * rounds):
            content = manifest_of(blobs, 6 * 10**6 + number)
            registry.put_manifest(f"{PROJECT}/{LARGE}", "v0", content).raise_for_status()
            began = time.perf_counter()
            api.ask("GET", path)
            seconds.append(time.perf_counter() - began)
    yield Line(
        "GET of the large stream after a push",
        f"{1000 * median(seconds):.0f} ms",
        milliseconds(sorted(seconds)),
    )
    seen = memory(peer.process(False))
    yield Line(
        "memory after that, largest process (all of them)",
        f"{seen.largest / 1e6:.0f} MB ({seen.total / 1e6:.0f} MB)",
    )
    yield _paged(api)


def _paged(api: Api) -> Line:
    """Every tag of the large stream, as `kubectl get imagetags` reads them."""
    connection, token, tags = api.connect(), "", 0
    began = time.perf_counter()
    while True:
        path = f"{TAGS.replace('imagestreamtags', 'imagetags')}?limit=500&continue={token}"
        page = json.loads(api.send(connection, "GET", path).read())
        tags += len(page["items"])
        token = page["metadata"].get("continue", "")
        if not token:
            break
    took = time.perf_counter() - began
    connection.close()
    return Line(
        f"LIST of {tags // 1000:,},000 ImageTags, pages of 500",
        f"{took:.1f} s ({1000 * took * 500 / tags:.0f} ms a page)",
    )
