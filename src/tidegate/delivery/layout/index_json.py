"""`index.json` of a layout: its images by name. Values only; what others wrote in it is kept.

A name is whatever its writer chose. `docker save` and containerd write the whole reference beside
it, as `io.containerd.image.name`; a name is looked for among both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tidegate.delivery.layout.errors import LayoutError, LayoutInvalid
from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid, OciError
from tidegate.oci.manifest import MANIFEST_LIMIT, Descriptor, parse_manifest

INDEX_JSON, OCI_LAYOUT = "index.json", "oci-layout"
INDEX_LIMIT = MANIFEST_LIMIT
"""Bytes of an index.json."""
ENTRIES_LIMIT = 10_000
"""Images of one layout, as many as an index may have."""
MARK_LIMIT = 4096
"""Bytes of an oci-layout file."""

MARK = b'{"imageLayoutVersion":"1.0.0"}'
"""Content of the oci-layout file."""

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the layout; `document` is its descriptor as it was written."""

    descriptor: Descriptor
    name: str = ""
    image_name: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayoutIndex:
    """All images of a layout, in the order in which they were added."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def parse(cls, content: bytes, where: str) -> "LayoutIndex":
        """Read an index.json; `LayoutInvalid` says what is wrong with it."""
        try:
            descriptors = parse_manifest(content, mediatype.OCI_INDEX).manifests
        except OciError as error:
            raise LayoutInvalid(f"{where}: {INDEX_JSON} is not valid: {error}") from error
        documents = json.loads(content).get("manifests") or []
        return cls(
            tuple(
                Entry(descriptor, _annotation(each, REF_NAME), _annotation(each, IMAGE_NAME), each)
                for descriptor, each in zip(descriptors, documents, strict=True)
            )
        )

    def find(self, name: str) -> Entry | None:
        """The image of a name or a digest; the first one, where several have it."""
        named = (each for each in self.entries if each.name == name)
        called = (each for each in self.entries if each.image_name == name)
        digests = (each for each in self.entries if each.descriptor.digest == name)
        return next(chain(named, called, digests), None)

    def names(self) -> list[str]:
        """Every name once; an image that has only a digest is called by that."""
        found = (each.name or each.image_name or each.descriptor.digest for each in self.entries)
        return list(dict.fromkeys(found))

    def with_image(self, name: str, descriptor: Descriptor, image_name: str = "") -> "LayoutIndex":
        """With the name moved to this image; without a name the image is listed by its digest.

        `LayoutError` for more than any reader takes.
        """
        kept = [each for each in self.entries if not name or each.name != name]
        if not name and any(each.descriptor.digest == descriptor.digest for each in kept):
            return self
        if len(kept) >= ENTRIES_LIMIT:
            raise LayoutError(f"a layout has at most {ENTRIES_LIMIT} images: use another one, too")
        annotations = {REF_NAME: name} if name else {}
        if image_name:
            annotations[IMAGE_NAME] = image_name
        document = {
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
            **({"annotations": annotations} if annotations else {}),
        }
        return LayoutIndex((*kept, Entry(descriptor, name, image_name, document)))

    def encode(self) -> bytes:
        """The file; `LayoutError` if it were larger than any reader takes."""
        document = {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_INDEX,
            "manifests": [dict(each.document) for each in self.entries],
        }
        content = json.dumps(document, separators=(",", ":")).encode()
        if len(content) > INDEX_LIMIT:
            raise LayoutError(f"{INDEX_JSON} has more than {INDEX_LIMIT} bytes: use another layout")
        return content


def check_mark(content: bytes, where: str) -> None:
    """Refuse a layout of another major version, or what has no mark of a layout."""
    try:
        document = json.loads(content)
        version = document.get("imageLayoutVersion")
    except (ValueError, RecursionError, AttributeError) as error:
        raise LayoutInvalid(f"{where}: the file {OCI_LAYOUT} is not valid") from error
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise LayoutInvalid(f"{where}: image layout version {version!r}; only 1.0.0 is known")


def media_type_of(content: bytes) -> str:
    """What a manifest says that it is; files of a layout carry no type. "" for what is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    declared = document.get("mediaType")
    if isinstance(declared, str) and declared:
        return declared
    return mediatype.OCI_INDEX if "manifests" in document else mediatype.OCI_MANIFEST


def blob_name(digest: Digest) -> str:
    """Where in a layout a digest's bytes are."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def blob_digest(name: str) -> Digest | None:
    """The digest whose bytes belong at `name`; None for another file."""
    _, _, rest = name.partition("blobs/")
    try:
        digest = Digest.parse(rest.replace("/", ":", 1))
    except DigestInvalid:
        return None
    return digest if blob_name(digest) == name else None


def _annotation(document: Any, key: str) -> str:
    annotations = document.get("annotations") if isinstance(document, dict) else None
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""
