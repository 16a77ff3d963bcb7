"""Which images of an index are for the platforms that are wanted. Values only.

Attestations, which BuildKit lists as images of no platform, go with the image that they name.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.oci.manifest import Descriptor

_ABOUT = "vnd.docker.reference.digest"
"""Annotation of an attestation in an index: the digest of the image that it is about."""


def check_platform(text: str) -> None:
    """`NotCopied` unless it is written OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise NotCopied(f"{text!r} is no platform: write linux/amd64, or linux/arm/v7")


def choose(
    content: bytes, listed: Sequence[Descriptor], platforms: Sequence[str]
) -> list[Descriptor]:
    """Those that are for one of the platforms, the exact matches first; with what is about them.

    What says no platform at all, as an index of an index does, is for all.
    """
    documents = _documents(content)
    wanted = [each.split("/") for each in platforms]
    chosen = [each for each in listed if _matches(_platform(documents.get(each.digest)), wanted)]
    digests = {str(each.digest) for each in chosen}
    about = [
        each
        for each in listed
        if each not in chosen and _about(documents.get(each.digest)) in digests
    ]
    return chosen + about


def _documents(content: bytes) -> dict[str, Mapping[str, Any]]:
    """Descriptors of an index, which was parsed before, by digest."""
    listed = json.loads(content).get("manifests") or []
    return {each["digest"]: each for each in listed}


def _platform(document: Mapping[str, Any] | None) -> list[str] | None:
    platform = document.get("platform") if document else None
    if not isinstance(platform, dict):
        return None
    return [str(platform.get(key, "")) for key in ("os", "architecture", "variant")]


def _matches(platform: list[str] | None, wanted: Sequence[list[str]]) -> bool:
    if platform is None:
        return True
    return any(platform[: len(each)] == each for each in wanted)


def _about(document: Mapping[str, Any] | None) -> str:
    annotations = document.get("annotations") if document else None
    return str(annotations.get(_ABOUT, "")) if isinstance(annotations, dict) else ""
