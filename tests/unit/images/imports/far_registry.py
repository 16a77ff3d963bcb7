"""Other registries as an import meets them, in memory, and what was asked of them."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.images import Content, Pushable
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor, parse_manifest
from tidegate.remote.credentials import NO_KEYS, Keyring
from tidegate.remote.errors import AccessDenied, ContentMissing, RemoteError
from tidegate.remote.gateway import Found, RemoteManifest, Urgency
from tidegate.remote.location import Location


@dataclass
class FarBlob:
    """A blob that is being read."""

    size: int
    offset: int
    chunks: AsyncIterator[bytes]


@dataclass
class Far:
    """Every other registry there is; `asked` counts requests by what was asked for.

    `failing` are pull specs whose requests fail, `private` hosts that want the password `open`,
    `mirror` is where all is read from, if not there.
    """

    manifests: dict[str, Content] = field(default_factory=dict)  # by pull spec
    blobs: dict[str, bytes] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)  # tags by repository
    referring: dict[str, list[Content]] = field(default_factory=dict)  # by the subject's digest
    signing: dict[str, list[bytes]] = field(default_factory=dict)
    failing: dict[str, RemoteError] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    mirror: Location | None = None
    asked: Counter[str] = field(default_factory=Counter)
    opened: list[tuple[Keyring, bool, Urgency]] = field(default_factory=list)

    def put(self, repository: str, pushable: Pushable, *tags: str) -> Pushable:
        """Let a repository have an image with all that belongs to it."""
        for child in pushable.children:
            self.put(repository, child)
        for blob in pushable.blobs:
            self.blobs[blob.digest] = blob.data
        self.manifests[f"{repository}@{pushable.digest}"] = pushable.manifest
        for tag in tags:
            self.manifests[f"{repository}:{tag}"] = pushable.manifest
            self.named.setdefault(repository, []).append(tag)
        subject = parse_manifest(pushable.manifest.data, pushable.manifest.media_type).subject
        if subject is not None:
            self.referring.setdefault(subject.digest, []).append(pushable.manifest)
        return pushable

    def registries(
        self,
        keyring: Keyring = NO_KEYS,
        *,
        insecure: bool = False,
        urgency: Urgency = Urgency.NOW,
        via: Sequence[str] = (),
    ) -> "FarRegistries":
        """As `Gateway` has it."""
        self.opened.append((keyring, insecure, urgency))
        return FarRegistries(self, keyring)


class FarRegistries:
    """As `Registries` has it, as far as imports go."""

    def __init__(self, far: Far, keyring: Keyring) -> None:
        self._far = far
        self._keyring = keyring

    def _ask(self, what: str, location: Location, reference: str) -> None:
        far, place = self._far, location.at(reference)
        far.asked[f"{what} {place}"] += 1
        if error := far.failing.get(place) or far.failing.get(str(location)):
            raise error
        if location.host in far.private:
            key = self._keyring.find(location)
            if key is None or key.password != "open":
                raise AccessDenied(f"{place}: no", anonymous=key is None)

    def _content(self, location: Location, reference: str) -> Content:
        place = location.at(reference)
        if place not in self._far.manifests:
            raise ContentMissing(f"{place}: manifest unknown")
        return self._far.manifests[place]

    async def head(self, location: Location, reference: str) -> Found:
        self._ask("HEAD", location, reference)
        found = self._content(location, reference)
        return Found(Digest(found.digest), found.media_type, len(found.data), location)

    async def manifest(self, location: Location, reference: str) -> RemoteManifest:
        self._ask("GET", location, reference)
        found = self._content(location, reference)
        digest, mirror = Digest(found.digest), self._far.mirror
        return RemoteManifest(digest, found.media_type, found.data, location, mirror)

    async def blob_size(self, location: Location, digest: Digest) -> int:
        self._ask("HEAD blob", location, digest)
        return len(self._far.blobs[digest])

    @asynccontextmanager
    async def blob(self, location: Location, digest: Digest) -> AsyncIterator[FarBlob]:
        self._ask("GET blob", location, digest)
        if digest not in self._far.blobs:
            raise ContentMissing(f"{digest}: blob unknown")
        data = self._far.blobs[digest]

        async def chunks() -> AsyncIterator[bytes]:
            yield data[:10]
            yield data[10:]

        yield FarBlob(len(data), 0, chunks())

    async def tags(self, location: Location) -> list[str]:
        self._ask("tags", location, "all")
        if str(location) not in self._far.named:
            raise ContentMissing(f"{location}: repository unknown")
        return self._far.named[str(location)]

    async def referrers(self, location: Location, digest: Digest) -> list[Descriptor]:
        self._ask("referrers", location, digest)
        return [
            Descriptor(each.media_type, Digest(each.digest), len(each.data))
            for each in self._far.referring.get(digest, ())
        ]

    async def signatures(self, location: Location, digest: Digest) -> list[bytes]:
        self._ask("signatures", location, digest)
        return self._far.signing.get(digest, [])
