"""The bytes that are pushed and pulled: files made once, blobs that nobody has seen before."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

CHUNK = 32 << 10
"""Bytes in a chunk: what Go's io.Copy hands to a request body at a time."""
FRAME = len(b"8000\r\n") + CHUNK + len(b"\r\n")

_BLOCK = 16 << 20


def unique() -> str:
    """Characters that never came before, valid in a tag."""
    return os.urandom(12).hex()


def write_content(path: Path, framed: Path, size: int) -> None:
    """A file of `size` random-looking bytes, and the same in chunked encoding, unfinished."""
    block = os.urandom(min(size, _BLOCK))
    with path.open("wb") as plain, framed.open("wb") as chunks:
        for offset in range(0, size, _BLOCK):
            # the number keeps blocks apart; the rest may repeat: nobody here compresses
            part = (offset.to_bytes(8) + block[8:])[: size - offset]
            plain.write(part)
            for start in range(0, len(part) - CHUNK + 1, CHUNK):
                chunks.write(b"8000\r\n%b\r\n" % part[start : start + CHUNK])


def link_prefix(source: Path, target: Path, size: int) -> str:
    """A file of the first `size` bytes of another, the same file if that is all; its digest."""
    if source.stat().st_size == size:
        os.link(source, target)
    else:
        with source.open("rb") as original:
            target.write_bytes(original.read(size))
    with target.open("rb") as written:
        return f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}"


class Source:
    """Blobs of one size that differ in their last bytes only.

    So a new blob costs the client no more than the hash of one chunk, and all but that chunk can
    be sent from a file.
    """

    def __init__(self, content: str, framed: str, size: int) -> None:
        self.prefix = max(size - 1, 0) // CHUNK * CHUNK
        self._tail = os.urandom(size - self.prefix)
        self.plain = os.open(content, os.O_RDONLY)
        self.framed = os.open(framed, os.O_RDONLY)
        self._hash = hashlib.sha256()
        for offset in range(0, self.prefix, _BLOCK):
            self._hash.update(os.pread(self.plain, min(_BLOCK, self.prefix - offset), offset))

    def blob(self) -> tuple[str, bytes]:
        """The digest of a new blob, and the bytes that follow the prefix in it."""
        tail = unique().encode() + self._tail[24:]
        whole = self._hash.copy()
        whole.update(tail)
        return f"sha256:{whole.hexdigest()}", tail


@dataclass(frozen=True)
class Blob:
    """A file that every server has."""

    path: Path
    digest: str
    size: int


def small_blobs(directory: Path, count: int) -> list[Blob]:
    """Blobs of a few bytes for manifests to refer to."""
    blobs = []
    for number in range(count):
        path = directory / f"small-{number}"
        path.write_bytes(b"%d" % number)
        digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        blobs.append(Blob(path, digest, path.stat().st_size))
    return blobs


def image_manifest(blobs: list[Blob], version: str) -> bytes:
    """An image manifest over these blobs, the first being the configuration."""
    kind = "application/vnd.oci.image"
    described = [{"digest": blob.digest, "size": blob.size} for blob in blobs]
    layers = [{"mediaType": f"{kind}.layer.v1.tar+gzip", **layer} for layer in described[1:]]
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": {"mediaType": f"{kind}.config.v1+json", **described[0]},
            "layers": layers,
            "annotations": {"org.opencontainers.image.version": version},
        }
    ).encode()
