"""What all servers hold before the load begins: the same bytes everywhere, and that is checked."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.bench.content import Blob, image_manifest, link_prefix, small_blobs, write_content
from tests.bench.peers import Peer
from tests.bench.servers import Nginx

MB, GB = 1 << 20, 1 << 30
SIZES = (MB, 100 * MB, GB)

BLOBS = "bench/blobs"
MANIFESTS = "bench/manifests"
MANY = "bench/many"
FEW = "bench/few"
PUSHES = "bench/pushes"

MANIFEST_COUNT = 200
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class WrongBytes(Exception):
    """A server answered other bytes than it was given: no figure of the run is worth anything."""


@dataclass
class Scene:
    """Files on disk and what they hold."""

    directory: Path
    content: Path
    framed: Path
    blobs: dict[int, Blob]
    small: list[Blob]
    manifests: list[bytes]
    kept: set[Path] = field(default_factory=set)  # stored files that a cleaning leaves

    @property
    def manifest_digests(self) -> list[str]:
        return [_digest(manifest) for manifest in self.manifests]


def make_scene(directory: Path) -> Scene:
    """Write the content that is pushed and pulled."""
    content, framed = directory / "content", directory / "content-framed"
    write_content(content, framed, max(SIZES))
    blobs = {}
    for size in SIZES:
        path = directory / f"blob-{size}"
        blobs[size] = Blob(path, link_prefix(content, path, size), size)
    small = small_blobs(directory, 10)
    manifests = [image_manifest(small, f"1.{number}") for number in range(MANIFEST_COUNT)]
    return Scene(directory, content, framed, blobs, small, manifests)


def make_small_scene(directory: Path) -> Scene:
    """Ten manifests over two blobs, and nothing large."""
    small = small_blobs(directory, 2)
    manifests = [image_manifest(small, f"1.{number}") for number in range(10)]
    return Scene(directory, Path(), Path(), {}, small, manifests)


def give(scene: Scene, peer: Peer) -> None:
    """Store the scene in a server that runs, as a client would."""
    if isinstance(peer, Nginx):
        for blob in scene.blobs.values():
            os.link(blob.path, peer.directory / blob.digest.replace(":", "-"))
        return
    for blob in scene.blobs.values():
        push_blob(peer, BLOBS, blob)
    for repository in (MANIFESTS, MANY, FEW):
        for blob in scene.small:
            push_blob(peer, repository, blob)
    for number, manifest in enumerate(scene.manifests):
        push_manifest(peer, MANIFESTS, f"tag-{number}", manifest)
    push_manifest(peer, MANY, "first", scene.manifests[0])
    for number in range(10):
        push_manifest(peer, FEW, f"tag-{number}", scene.manifests[0])


def verify(scene: Scene, peer: Peer) -> None:
    """Compare what the server answers with what it was given."""
    for blob in scene.blobs.values():
        path = peer.blob_path(BLOBS, blob.digest)
        for tls in (False, True):
            if tls and blob.size == GB:
                continue
            _expect(_get(peer, path, BLOBS, tls), blob.digest, f"{peer.name} {path}")
    if isinstance(peer, Nginx):
        return
    for number, manifest in enumerate(scene.manifests):
        for reference in (f"tag-{number}", _digest(manifest)):
            path = f"/v2/{MANIFESTS}/manifests/{reference}"
            _expect(_get(peer, path, MANIFESTS), _digest(manifest), f"{peer.name} {path}")


def clean(scene: Scene, peer: Peer) -> None:
    """Remove the files of large blobs that a run pushed: the disk is not endless.

    Nobody asks for those blobs again, so no server misses them.
    """
    for path in _large_files(peer.directory):
        if path not in scene.kept:
            path.unlink(missing_ok=True)


def keep(scene: Scene, peer: Peer) -> None:
    """Let the files that are there now survive every cleaning."""
    scene.kept.update(_large_files(peer.directory))


def push_blob(peer: Peer, repository: str, blob: Blob) -> None:
    """A monolithic upload."""
    with _client(peer, repository) as client, blob.path.open("rb") as content:
        opened = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
        location = opened.headers["location"]
        client.put(
            f"{location}{'&' if '?' in location else '?'}digest={blob.digest}",
            content=iter(lambda: content.read(MB), b""),
            headers={"Content-Length": str(blob.size)},
        ).raise_for_status()


def push_manifest(peer: Peer, repository: str, tag: str, manifest: bytes) -> None:
    """A manifest under a tag."""
    with _client(peer, repository) as client:
        client.put(
            f"/v2/{repository}/manifests/{tag}",
            content=manifest,
            headers={"Content-Type": MANIFEST_TYPE},
        ).raise_for_status()


def _client(peer: Peer, repository: str, tls: bool = False) -> httpx.Client:
    url = f"https://127.0.0.1:{peer.tls_port}" if tls else f"http://127.0.0.1:{peer.port}"
    headers = {"Accept": MANIFEST_TYPE, **peer.headers(repository)}
    return httpx.Client(base_url=url, headers=headers, verify=False, timeout=120, trust_env=False)


def _get(peer: Peer, path: str, repository: str, tls: bool = False) -> Iterator[bytes]:
    with _client(peer, repository, tls) as client, client.stream("GET", path) as answer:
        answer.raise_for_status()
        yield from answer.iter_raw(MB)


def _expect(parts: Iterator[bytes], digest: str, what: str) -> None:
    received = hashlib.sha256()
    for part in parts:
        received.update(part)
    if f"sha256:{received.hexdigest()}" != digest:
        raise WrongBytes(f"{what}: sha256:{received.hexdigest()} instead of {digest}")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _large_files(directory: Path) -> list[Path]:
    found = []
    for folder, below, names in os.walk(directory):
        if "repositories" in below:  # the Go registry keeps its many small links there
            below.remove("repositories")
        for name in names:
            path = Path(folder, name)
            # databases and logs are not blobs; a blob's file is named by digest or "data"
            if path.suffix not in {".db", ".db-wal", ".log"} and path.stat().st_size >= MB:
                found.append(path)
    return found
