"""Which image of an index is meant where one is wanted: decisions on values (image-api 7.2)."""

import platform
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.images.kinds.content import ImageManifest

PREFER_ARCHITECTURE = "importer.image.openshift.io/prefer-arch"
PREFER_OS = "importer.image.openshift.io/prefer-os"
"""Annotations of a tag in the spec of a stream: which image of an index it is to name."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""What the system calls processors, where images call them otherwise."""

_NOTHING = ("", "unknown")
"""What indexes say of the platform of an attestation, which is no image."""


class Platform(NamedTuple):
    """What an image runs on; what is empty may be anything."""

    architecture: str = ""
    os: str = ""

    @classmethod
    def preferred(cls, annotations: Mapping[str, str]) -> "Platform":
        """The one that the annotations of a tag ask for; empty if they ask for none."""
        return cls(annotations.get(PREFER_ARCHITECTURE, ""), annotations.get(PREFER_OS, ""))

    @classmethod
    def own(cls) -> "Platform":
        """Where this server runs."""
        machine = platform.machine()
        return cls(_ARCHITECTURES.get(machine, machine), platform.system().lower())

    def fits(self, image: ImageManifest) -> bool:
        """Whether an image is for this platform."""
        return self.architecture in ("", image.architecture) and self.os in ("", image.os)


ANY = Platform()
USUAL = Platform("amd64", "linux")


def choose(
    images: Sequence[ImageManifest], prefer: Platform, own: Platform
) -> ImageManifest | None:
    """The image of an index for who prefers a platform, None of one without any.

    First what is preferred, then the server's own platform, then the usual one, then the first.
    """
    wanted = [each for each in (prefer, own, USUAL) if any(each)]
    if prefer.architecture and not prefer.os:
        wanted.insert(0, prefer._replace(os=USUAL.os))
    for each in wanted:
        for image in images:
            if each.fits(image):
                return image
    said = [each for each in images if each.architecture not in _NOTHING]
    return next(iter([*said, *images]), None)
