"""A repository of another registry as a place to copy from and to."""

from collections.abc import AsyncGenerator, Awaitable
from typing import TypeVar

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.places import Content, Held, Place
from tidegate.delivery.mirrors.sessions import Sessions
from tidegate.oci.digest import Digest
from tidegate.remote.errors import ContentMissing, SourcesFailed
from tidegate.remote.gateway import Registries
from tidegate.remote.location import Location

T = TypeVar("T")


class RegistryPlace:
    """A repository to copy from; see `Place`."""

    hint = ""

    def __init__(self, registries: Registries, location: Location) -> None:
        self._registries = registries
        self.location = location

    @property
    def name(self) -> str:
        return f"docker://{self.location}"

    @property
    def domain(self) -> str:
        return self.location.authority

    async def head(self, reference: str) -> Digest | None:
        found = await _there(self._registries.head(self.location, reference))
        return None if found is None else found.digest

    async def manifest(self, reference: str) -> Held | None:
        found = await _there(self._registries.manifest(self.location, reference))
        return None if found is None else Held(found.digest, found.media_type, found.content)

    async def blob_size(self, digest: Digest) -> int | None:
        return await _there(self._registries.blob_size(self.location, digest))

    async def blob(self, digest: Digest, size: int, offset: int) -> AsyncGenerator[bytes, None]:
        async with self._registries.blob(self.location, digest, offset=offset) as found:
            if found.size != size:
                raise NotCopied(
                    f"{self.name}: {digest} has {found.size} bytes, {size} are announced"
                )
            async for piece in found.chunks:
                yield piece

    async def tags(self) -> list[str]:
        return await self._registries.tags(self.location)

    async def referrers(self, subject: Digest) -> list[Digest]:
        found = await _there(self._registries.referrers(self.location, subject))
        return [each.digest for each in found or ()]


class RegistryTarget(RegistryPlace):
    """A repository to copy to; see `Target`. `registries` are to be asked without mirrors."""

    vouches = True

    def __init__(self, registries: Registries, location: Location, sessions: Sessions) -> None:
        super().__init__(registries, location)
        self._sessions = sessions

    async def mount_blob(self, digest: Digest, size: int, holder: Place) -> bool:
        del size  # the registry knows it
        if not isinstance(holder, RegistryPlace) or holder.location == self.location:
            return False
        source = holder.location.repository
        return await self._registries.mount_blob(self.location, digest, source)

    async def push_blob(self, digest: Digest, size: int, content: Content) -> None:
        session = self._sessions.of(self.location, digest)
        await self._registries.push_blob(self.location, digest, size, content, session)

    async def push_manifest(self, reference: str, manifest: Held, origin: str) -> None:
        del origin  # registries note none
        await self._registries.push_manifest(
            self.location, reference, manifest.media_type, manifest.content
        )

    async def finish(self) -> None:
        """Everything could be read as it came."""


async def _there(asked: Awaitable[T]) -> T | None:
    """The answer, None where the registry says that there is no such thing."""
    try:
        return await asked
    except ContentMissing:
        return None
    except SourcesFailed as failed:
        if all(isinstance(each, ContentMissing) for each in failed.errors):
            return None
        raise
