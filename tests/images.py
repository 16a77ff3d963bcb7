"""Small images, indexes and artifacts made in memory, and their OCI layout on disk.

The bytes depend only on the arguments, so a test can say what a digest must be.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
IMAGE_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
OCTETS = "application/octet-stream"


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


@dataclass(frozen=True)
class Content:
    """Bytes with a media type: a layer, a config, a manifest or an index."""

    data: bytes
    media_type: str = OCTETS
    algorithm: str = "sha256"

    @property
    def digest(self) -> str:
        return digest_of(self.data, self.algorithm)

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.data),
            **more,
        }


@dataclass(frozen=True)
class Pushable:
    """A manifest with all it refers to: blobs, and for an index the children."""

    manifest: Content
    blobs: tuple[Content, ...] = ()
    children: tuple["Pushable", ...] = ()
    platform: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.manifest.digest


def encode(document: Mapping[str, Any]) -> bytes:
    """JSON with an unusual layout, so that a registry which writes it anew is found out."""
    return json.dumps(document, indent=3, separators=(" ,", ": ")).encode() + b"\n"


def layer(files: Mapping[str, bytes]) -> Content:
    """A gzipped tar of the files, all of them regular and readable to everyone."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, 1_700_000_000
            tar.addfile(entry, io.BytesIO(data))
    return Content(gzip.compress(archive.getvalue(), mtime=0), IMAGE_LAYER)


def image(*layers: Content, architecture: str = "amd64", algorithm: str = "sha256") -> Pushable:
    """An image of the layers for linux on an architecture."""
    diff_ids = [digest_of(gzip.decompress(each.data), each.algorithm) for each in layers]
    platform = {"architecture": architecture, "os": "linux"}
    config = Content(
        encode({**platform, "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}),
        IMAGE_CONFIG,
        algorithm,
    )
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": config.descriptor(),
        "layers": [each.descriptor() for each in layers],
    }
    manifest = Content(encode(document), IMAGE_MANIFEST, algorithm)
    return Pushable(manifest, (config, *layers), platform=platform)


def small_image(mark: str, architecture: str = "amd64") -> Pushable:
    """An image with one file, different for each mark."""
    return image(layer({"mark": mark.encode()}), architecture=architecture)


def index(*children: Pushable) -> Pushable:
    """A multi-architecture index of the images."""
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_INDEX,
        "manifests": [
            child.manifest.descriptor(platform=dict(child.platform)) for child in children
        ],
    }
    return Pushable(Content(encode(document), IMAGE_INDEX), children=children)


def artifact(
    kind: str,
    data: bytes,
    subject: Pushable | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Pushable:
    """An OCI artifact of one blob, referring to a subject or to nothing."""
    config = Content(b"{}", EMPTY_CONFIG)
    blob = Content(data)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "artifactType": kind,
        "config": config.descriptor(),
        "layers": [blob.descriptor()],
        "annotations": dict(annotations or {}),
    }
    if subject is not None:
        document["subject"] = subject.manifest.descriptor()
    return Pushable(Content(encode(document), IMAGE_MANIFEST), (config, blob))


def write_layout(pushable: Pushable, directory: Path, tag: str = "latest") -> Path:
    """The content as an OCI image layout, the form that most clients copy from."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    for content in _everything(pushable):
        (blobs / content.digest.removeprefix("sha256:")).write_bytes(content.data)
    entry = pushable.manifest.descriptor(
        annotations={"org.opencontainers.image.ref.name": tag},
        **({"platform": dict(pushable.platform)} if pushable.platform else {}),
    )
    top = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(top))
    return directory


def _everything(pushable: Pushable) -> list[Content]:
    found = [pushable.manifest, *pushable.blobs]
    for child in pushable.children:
        found += _everything(child)
    return found
