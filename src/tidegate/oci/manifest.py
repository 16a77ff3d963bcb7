"""Image manifests and indexes, read from the exact bytes that a client pushed.

The bytes are the truth: nothing here writes a manifest, and a digest is always of the bytes
received. Unknown fields and unknown config types are legal (image-spec, "extensibility"); what is
checked is what the registry acts on: the media type, the descriptors and the subject.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid, ManifestInvalid

MANIFEST_LIMIT = 4 * 1024 * 1024
"""Bytes; the specification asks registries to accept at least 4 MiB and to limit beyond."""

_DESCRIPTOR_LIMIT = 10_000
"""Descriptors in one manifest; each costs a row and a look-up."""


_TYPE = re.compile(r"[!-~]([ -~]{0,253}[!-~])?", re.ASCII)
"""Printable ASCII: a media type goes into headers, queries and database columns as it stands."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content: what it is, how large, and its digest."""

    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the registry needs to know of a pushed manifest or index."""

    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers that must be in the repository before this manifest."""
        kept = tuple(layer for layer in self.layers if mediatype.is_distributable(layer.media_type))
        return kept if self.config is None else (self.config, *kept)

    @property
    def referrer_type(self) -> str | None:
        """`artifactType` in a referrers list: for an image without one, its config's type."""
        if self.artifact_type:
            return self.artifact_type
        return self.config.media_type if self.config is not None else None


def parse_manifest(content: bytes, content_type: str | None) -> Manifest:
    """Read a pushed manifest; `ManifestInvalid` says what is wrong with it.

    `content_type` is the request's header; without one the body's `mediaType` decides. Where both
    are there they must agree (distribution-spec, "Pushing Manifests").
    """
    document = _load(content)
    media_type = _media_type(document, content_type)
    if document.get("schemaVersion") != 2:
        raise ManifestInvalid("schemaVersion must be 2")
    if media_type in mediatype.INDEXES:
        return _index(document, media_type)
    return _image(document, media_type)


def _load(content: bytes) -> dict[str, object]:
    try:
        document = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ManifestInvalid("nested too deeply") from error
    except ValueError as error:
        raise ManifestInvalid(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ManifestInvalid("a manifest is a JSON object")
    return document


def _media_type(document: dict[str, object], content_type: str | None) -> str:
    declared = document.get("mediaType")
    if declared is not None and not isinstance(declared, str):
        raise ManifestInvalid("mediaType is a string")
    header = mediatype.essence(content_type) if content_type else ""
    media_type = header or declared or ""
    if not media_type:
        raise ManifestInvalid("neither a Content-Type header nor a mediaType in the body")
    if header and declared and declared != header:
        raise ManifestInvalid(f"mediaType is {declared!r}, but the Content-Type header {header!r}")
    if media_type in mediatype.DOCKER_SCHEMA1 or document.get("schemaVersion") == 1:
        raise ManifestInvalid(
            "Docker schema 1 is not accepted: push schema 2 or OCI (a current client does)"
        )
    if media_type not in mediatype.MANIFESTS | mediatype.INDEXES:
        raise ManifestInvalid(f"{media_type[:160]!r} is no manifest type of this registry")
    return media_type


def _image(document: dict[str, object], media_type: str) -> Manifest:
    if "manifests" in document:
        raise ManifestInvalid("an image manifest has no `manifests`; that is an index")
    layers = _descriptors(document.get("layers"), "layers")
    for number, entry in enumerate(_sequence(document.get("layers"), "layers")):
        _check_urls(entry, layers[number], f"layers[{number}]")
    return Manifest(
        media_type=media_type,
        config=_descriptor(document.get("config"), "config"),
        layers=layers,
        subject=_subject(document),
        artifact_type=_type(document, "artifactType"),
        annotations=_annotations(document),
    )


def _index(document: dict[str, object], media_type: str) -> Manifest:
    if "layers" in document or "config" in document:
        raise ManifestInvalid("an index has no `config` and no `layers`; those are an image's")
    return Manifest(
        media_type=media_type,
        manifests=_descriptors(document.get("manifests"), "manifests"),
        subject=_subject(document),
        artifact_type=_type(document, "artifactType"),
        annotations=_annotations(document),
    )


def _sequence(value: object, where: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestInvalid(f"{where} is a list of descriptors")
    if len(value) > _DESCRIPTOR_LIMIT:
        raise ManifestInvalid(f"{where} has {len(value)} entries, more than {_DESCRIPTOR_LIMIT}")
    return value


def _descriptors(value: object, where: str) -> tuple[Descriptor, ...]:
    return tuple(
        _descriptor(entry, f"{where}[{number}]")
        for number, entry in enumerate(_sequence(value, where))
    )


def _descriptor(value: object, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{where} is missing or no descriptor")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str) or _TYPE.fullmatch(media_type) is None:
        raise ManifestInvalid(f"{where}.mediaType is missing or no media type")
    if not isinstance(digest, str):
        raise ManifestInvalid(f"{where}.digest is missing")
    # bool is an int in Python, but `true` is no size
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise ManifestInvalid(f"{where}.size is a number of bytes")
    try:
        return Descriptor(media_type, Digest.parse(digest), size)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where}.digest: {error}") from error


def _check_urls(entry: object, layer: Descriptor, where: str) -> None:
    """Only content that is fetched elsewhere names where (Docker's schema 2, `urls`)."""
    urls = entry.get("urls") if isinstance(entry, dict) else None
    foreign = layer.media_type == mediatype.DOCKER_FOREIGN_LAYER
    if foreign and not urls:
        raise ManifestInvalid(f"{where} is a foreign layer without urls")
    if urls and mediatype.is_distributable(layer.media_type):
        raise ManifestInvalid(f"{where} has urls, but its media type is no foreign layer's")


def _subject(document: dict[str, object]) -> Descriptor | None:
    value = document.get("subject")
    return None if value is None else _descriptor(value, "subject")


def _type(document: dict[str, object], key: str) -> str | None:
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or _TYPE.fullmatch(value) is None:
        raise ManifestInvalid(f"{key} is no media type")
    return value


def _annotations(document: dict[str, object]) -> dict[str, str]:
    value = document.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ManifestInvalid("annotations is an object of strings")
    return value
