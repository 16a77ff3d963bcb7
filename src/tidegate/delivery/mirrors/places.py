"""What the engine asks of the two sides of a copy.

A place is one repository, or one layout. The verbs are those of the distribution protocol, and the
implementations have them in this order. What is not there is None, not an error; anything else is
`RemoteError`, `LayoutError`, or what the streams of this registry refuse with.
"""

from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple, Protocol

from tidegate.oci.digest import Digest


class Held(NamedTuple):
    """A manifest or an index as a place has it; its bytes have the digest."""

    digest: Digest
    media_type: str
    content: bytes


Content = Callable[[int], AsyncGenerator[bytes, None]]
"""Bytes of a blob from an offset on; may be asked for again, when what came was cut off."""


class Place(Protocol):
    """Where images are read."""

    @property
    def name(self) -> str:
        """As people write it: docker://quay.io/org/app, oci:/srv/images."""

    @property
    def hint(self) -> str:
        """What to add when it lacks what it names; mostly nothing."""

    @property
    def domain(self) -> str:
        """Places of one domain hand blobs to each other without sending them."""

    async def head(self, reference: str) -> Digest | None:
        """What a tag names, or the digest itself, if it is there."""

    async def manifest(self, reference: str) -> Held | None:
        """A manifest by tag or digest."""

    async def blob_size(self, digest: Digest) -> int | None:
        """Bytes of a blob."""

    def blob(self, digest: Digest, size: int, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob that should have `size`, from `offset` on."""

    async def tags(self) -> list[str]:
        """All tags."""

    async def referrers(self, subject: Digest) -> list[Digest]:
        """Manifests that say they refer to this one."""


class Target(Place, Protocol):
    """Where images are written, too."""

    @property
    def vouches(self) -> bool:
        """Whether a manifest that is there has its blobs, as a registry sees to."""

    async def mount_blob(self, digest: Digest, size: int, holder: Place) -> bool:
        """Take a blob from a place of the same domain; False if that cannot be."""

    async def push_blob(self, digest: Digest, size: int, content: Content) -> None:
        """Store a blob; goes on with what an earlier try left."""

    async def push_manifest(self, reference: str, manifest: Held, origin: str) -> None:
        """Store a manifest whose blobs and children are there, under a tag or its digest.

        `origin` is what an image is called where it came from, for whoever lists what is here; it
        is empty for what only belongs to an image.
        """

    async def finish(self) -> None:
        """Everything was copied: let readers have what they do not have yet."""
