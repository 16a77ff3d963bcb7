"""Layouts on disk as both sides of a copy, and what is in them."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.images import IMAGE_INDEX, Content, Pushable, encode
from tidegate.delivery.layout.directory import make_directory
from tidegate.delivery.mirrors.attached import fallback_tag
from tidegate.delivery.mirrors.layout_place import LayoutPlace, LayoutTarget
from tidegate.delivery.mirrors.places import Held
from tidegate.oci.digest import Digest

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class Shelf:
    """A layout in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_directory(str(path))

    def place(self) -> LayoutPlace:
        return LayoutPlace(f"oci:{self.path}", make_directory(str(self.path)))

    def target(self) -> LayoutTarget:
        return LayoutTarget(f"oci:{self.path}", make_directory(str(self.path)))

    def put(self, pushable: Pushable, name: str = "") -> None:
        """The content in the layout, under a name if one is given."""
        for content in everything(pushable):
            self.write(content.digest, content.data)
        if name:
            held = Held(
                Digest(pushable.digest), pushable.manifest.media_type, pushable.manifest.data
            )
            run(self.target().push_manifest(name, held, ""))

    def write(self, digest: str, data: bytes) -> None:
        algorithm, _, encoded = digest.partition(":")
        path = self.path / "blobs" / algorithm / encoded
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def refer(self, subject: Pushable, *referrers: Pushable) -> None:
        """Referrers in the list that clients keep under a tag."""
        for each in referrers:
            self.put(each)
        listed = [each.manifest.descriptor() for each in referrers]
        document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": listed}
        self.put(
            Pushable(Content(encode(document), IMAGE_INDEX)), fallback_tag(Digest(subject.digest))
        )

    def has(self, pushable: Pushable) -> bool:
        """Whether every byte of it is here."""
        return all(self.read(each.digest) == each.data for each in everything(pushable))

    def read(self, digest: str) -> bytes | None:
        algorithm, _, encoded = digest.partition(":")
        path = self.path / "blobs" / algorithm / encoded
        return path.read_bytes() if path.exists() else None

    def names(self) -> dict[str, str]:
        """Digests by name."""
        listed = json.loads((self.path / "index.json").read_bytes())["manifests"]
        key = "org.opencontainers.image.ref.name"
        return {each.get("annotations", {}).get(key, ""): each["digest"] for each in listed}


def everything(pushable: Pushable) -> list[Content]:
    found = [pushable.manifest, *pushable.blobs]
    for child in pushable.children:
        found += everything(child)
    return found
