"""The rows of the table, as values: what is done, to which servers, and the bar it has to meet.

The bars are the project's own: `docs/performance.md` states them beside the results.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.jobs import Job, Kind
from tests.bench.peers import Peer
from tests.bench.scene import BLOBS, GB, MANIFEST_TYPE, MANIFESTS, MANY, MB, PUSHES, Scene

MakeJob = Callable[[Peer, Scene], Job]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    make: MakeJob  # the run says for how long
    bar: float  # at least this times the registry's rate
    nginx: bool = False  # nginx has an answer too
    limit: float | None = None  # at least this times nginx's rate
    counts_bytes: bool = True  # the rate is bytes a second, else requests a second
    pushes: bool = False
    heavy: bool = False  # one round only, and not in a quick run
    at_least: float = 0.0  # seconds of one run, where a peer takes long for one request


def rows() -> list[Row]:
    """Every row in the order of the table."""
    return [*_pulls(), *_manifests(), *_pushes(), *_small_pushes(), *_tags()]


def _size(size: int) -> str:
    return f"{size // GB} GB" if size >= GB else f"{size // MB} MB"


def _clients(count: int) -> str:
    return f"{count} client{'s' if count > 1 else ''}"


def _pull(size: int, clients: int, tls: bool) -> MakeJob:
    def make(peer: Peer, scene: Scene) -> Job:
        return Job(
            kind=Kind.GET,
            port=peer.tls_port if tls else peer.port,
            tls=tls,
            clients=clients,
            seconds=2.0,
            headers=peer.headers(BLOBS),
            paths=(peer.blob_path(BLOBS, scene.blobs[size].digest),),
        )

    return make


def _pulls() -> Iterator[Row]:
    for size in (MB, 100 * MB, GB):
        for clients in (1, 8, 64):
            yield Row(
                f"GET blob {_size(size)}, {_clients(clients)}",
                _pull(size, clients, tls=False),
                bar=1.5,
                nginx=True,
                limit=0.6 if size == MB else 0.9,
            )
    for size, clients in ((MB, 8), (100 * MB, 1), (100 * MB, 8)):
        name = f"GET blob over TLS {_size(size)}, {_clients(clients)}"
        yield Row(name, _pull(size, clients, tls=True), bar=1.0, nginx=True)


def manifest_job(
    peer: Peer, repository: str, references: Sequence[str], kind: Kind = Kind.GET
) -> Job:
    """Manifests one after the other, by 64 clients."""
    return Job(
        kind=kind,
        port=peer.port,
        clients=64,
        seconds=2.0,
        headers={"Accept": MANIFEST_TYPE} | peer.headers(repository),
        paths=tuple(f"/v2/{repository}/manifests/{each}" for each in references),
        small=True,
    )


def _manifests() -> Iterator[Row]:
    def by(kind: Kind, digests: bool) -> MakeJob:
        def make(peer: Peer, scene: Scene) -> Job:
            tags = [f"tag-{number}" for number in range(len(scene.manifests))]
            references = scene.manifest_digests if digests else tags
            return manifest_job(peer, MANIFESTS, references, kind)

        return make

    for kind in (Kind.GET, Kind.HEAD):
        for digests in (False, True):
            name = f"{kind.name} manifest by {'digest' if digests else 'tag'}, 64 clients"
            yield Row(name, by(kind, digests), bar=4.0, counts_bytes=False)


def _push(kind: Kind, size: int, clients: int) -> MakeJob:
    def make(peer: Peer, scene: Scene) -> Job:
        return Job(
            kind=kind,
            port=peer.port,
            clients=clients,
            seconds=2.0,
            headers=peer.headers(PUSHES),
            repository=PUSHES,
            size=size,
            content=str(scene.content),
            framed=str(scene.framed),
        )

    return make


def _pushes() -> Iterator[Row]:
    for kind, words, bar in (
        (Kind.PUSH, "Content-Length", 1.2),
        (Kind.PUSH_CHUNKED, "chunked", 1.0),
    ):
        for size in (MB, 100 * MB, GB):
            for clients in (1, 8):
                yield Row(
                    f"push blob {_size(size)} {words}, {_clients(clients)}",
                    _push(kind, size, clients),
                    bar=bar,
                    pushes=True,
                    heavy=size == GB and clients > 1,
                )


def _small_pushes() -> Iterator[Row]:
    yield Row(
        "push blob 10 KB, 8 clients",
        _push(Kind.PUSH, 10 << 10, 8),
        bar=2.5,
        counts_bytes=False,
        pushes=True,
    )
    yield Row(
        "push image of two 10 KB blobs, 8 clients",
        _push(Kind.IMAGE, 10 << 10, 8),
        bar=2.5,
        counts_bytes=False,
        pushes=True,
    )


def tags_job(peer: Peer, repository: str, count: int) -> Job:
    """Pages of 1,000 tags from all over a repository with `count` of them."""
    starts = range(0, count, 1000)[:-1][:: max(1, count // 10_000)] or (0,)
    return Job(
        kind=Kind.GET,
        port=peer.port,
        clients=2,
        seconds=2.0,
        headers=peer.headers(repository),
        paths=tuple(
            f"/v2/{repository}/tags/list?n=1000&last=" + (f"tag-{start:07d}" if start else "a")
            for start in starts
        ),
        small=True,
    )


def _tags() -> Iterator[Row]:
    yield Row(
        "tags/list, 1,000 of 100,000, 2 clients",
        lambda peer, scene: tags_job(peer, MANY, 100_000),
        bar=50.0,
        counts_bytes=False,
        at_least=4.0,
    )


def push_tag_job(peer: Peer, scene: Scene, repository: str) -> Job:
    """A new manifest under a new tag, one client after the other's end: what one push costs."""
    return Job(
        kind=Kind.TAG,
        port=peer.port,
        clients=1,
        seconds=2.0,
        headers=peer.headers(repository),
        repository=repository,
        manifest=scene.manifests[0].decode(),
    )
