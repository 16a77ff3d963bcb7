"""What came from another registry: manifests with all that says what they are, every digest right.

Values alone; `fetching` brings them, `storing` keeps them, `picturing` makes Images of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Manifest
from tidegate.remote.location import Location


@dataclass(frozen=True, slots=True)
class Fetched:
    """One manifest of another registry, with what belongs to it.

    `config` is the configuration's bytes, None for an index, an artifact or a very large one;
    `children` are the images of an index, `referrers` what else was found about this image, each
    with the `tag` by which cosign finds it if it has one. `location` is the repository that it is
    of, `mirror` the one that it was read from if that is another. `sizes` are those of layers of
    which the manifest does not tell. `signatures` are simple ones, which no manifest holds. `named`
    is what the tag names over there: for one image out of an index, the index.
    """

    digest: Digest
    media_type: str
    content: bytes = field(repr=False)
    manifest: Manifest = field(repr=False)
    location: Location
    mirror: Location | None = None
    config: bytes | None = field(default=None, repr=False)
    children: tuple["Fetched", ...] = ()
    referrers: tuple["Fetched", ...] = ()
    sizes: Mapping[Digest, int] = field(default_factory=dict)
    signatures: tuple[bytes, ...] = field(default=(), repr=False)
    tag: str = ""
    named: Digest | None = None

    def members(self) -> Iterator["Fetched"]:
        """All manifests of the image: children, then itself, then its referrers."""
        for child in self.children:
            yield from child.members()
        yield self
        for referrer in self.referrers:
            yield from referrer.members()

    def images(self) -> Iterator["Fetched"]:
        """The images of an index, those of indexes in it too; without itself and referrers."""
        for child in self.children:
            yield child
            yield from child.images()
