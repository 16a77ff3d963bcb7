"""An image from another registry: its manifests and configurations, all of them or none.

    tag or digest ──> manifest ──> configuration, sizes of layers that it does not tell
                  └─> index ─┬─ Legacy: the manifest of one platform
                             └─ PreserveOriginal: every manifest that it names

What comes is somebody else's: it is bounded in number, depth and bytes, and whatever is wrong with
it is a `RemoteError` with a sentence. Digests are verified by `remote`. Nothing is written here.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from tidegate.apimachinery.documents.beside import IN_LOOP
from tidegate.images.imports.errors import ImportsBusy
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.platforms import Platform, choose
from tidegate.images.kinds.content import CONFIG_LIMIT, described
from tidegate.images.kinds.tag_reference import PRESERVE_ORIGINAL
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.manifest import Descriptor, Manifest, parse_manifest
from tidegate.oci.mediatype import DOCKER_SCHEMA1, INDEXES, OCI_EMPTY
from tidegate.remote.errors import ContentInvalid, RemoteError
from tidegate.remote.gateway import Registries, RemoteManifest
from tidegate.remote.location import Location

T = TypeVar("T")

MEMBERS = 500
"""Manifests of one image: an index of a large multi-platform image has some dozens."""

DEPTH = 2
"""Indexes in one another; an index of indexes is the most that is in use."""

LAYERS = 1000
"""Layers of one manifest; container engines run some hundred."""

BYTES = 64 * 1024 * 1024
"""Manifests and configurations of one import, all its images together."""

MANIFESTS = 2000
"""Of one import, all its images together: they are written in one unit, for which others wait."""

POOL = 4 * BYTES
"""The same of all imports of a process at a time, so that nobody takes all memory with them."""

AT_ONCE = 4
"""Requests to one registry for one image."""

_BUSY_FOR = 10.0


class Pool:
    """How many bytes all imports of a process may hold at a time."""

    def __init__(self, size: int = POOL) -> None:
        self.left = size


class Allowance:
    """How many bytes and manifests an import may still bring; shared by all that it fetches.

    Bytes are taken from the `pool`, too, until the import has ended and calls `release`.
    """

    def __init__(
        self, size: int = BYTES, pool: Pool | None = None, manifests: int = MANIFESTS
    ) -> None:
        self._size = size
        self._most = manifests
        self._pool = pool or Pool()
        self._taken = 0
        self._manifests = 0

    def take_manifest(self, size: int) -> None:
        """Count a manifest that came; raises what `take` does."""
        self._manifests += 1
        if self._manifests > self._most:
            raise ContentInvalid(
                f"more than {self._most} manifests together: import fewer tags at once"
            )
        self.take(size)

    def take(self, count: int) -> None:
        """Count bytes; `ContentInvalid` when it is too much, `ImportsBusy` for all together."""
        if count > self._size - self._taken:
            raise ContentInvalid(
                f"the manifests and configurations have more than {self._size} bytes together:"
                " import fewer tags at once"
            )
        if count > self._pool.left:
            raise ImportsBusy("imports that are under way hold all that they may", _BUSY_FOR)
        self._taken += count
        self._pool.left -= count

    def release(self) -> None:
        """Give all back."""
        self._pool.left += self._taken
        self._taken = 0


async def fetch(
    registries: Registries,
    location: Location,
    reference: str,
    mode: str,
    prefer: Platform,
    *,
    allowance: Allowance | None = None,
) -> Fetched:
    """The image that a tag or digest names, whole.

    `mode` is an import mode: of an index Legacy takes the image of `prefer`, or else of the
    server's own platform. Raises `RemoteError`.
    """
    return await _Fetch(registries, allowance or Allowance(), prefer, mode).image(
        location, reference
    )


async def fetch_alone(registries: Registries, remote: RemoteManifest) -> Fetched:
    """A manifest that was read already; of an index without the images. Raises `RemoteError`."""
    manifest = await beside(remote, parsed, remote)
    fetching = _Fetch(registries, Allowance(), Platform(), PRESERVE_ORIGINAL)
    return await fetching.alone(remote, manifest, remote.location)


class _Fetch:
    """One image on its way."""

    def __init__(
        self, registries: Registries, allowance: Allowance, prefer: Platform, mode: str
    ) -> None:
        self._registries = registries
        self._allowance = allowance
        self._prefer = prefer
        self._whole = mode == PRESERVE_ORIGINAL
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._members = 0

    async def image(self, location: Location, reference: str) -> Fetched:
        """See `fetch`."""
        remote = await self._manifest(location, reference)
        found = await self._of(remote, location, DEPTH)
        return replace(found, named=remote.digest)

    async def _manifest(self, location: Location, reference: str) -> RemoteManifest:
        async with self._turns:
            remote = await self._registries.manifest(location, reference)
        self._allowance.take_manifest(len(remote.content))
        return remote

    async def _of(self, remote: RemoteManifest, location: Location, depth: int) -> Fetched:
        """What a manifest is the beginning of; `depth` indexes may still come."""
        manifest = await beside(remote, parsed, remote)
        if manifest.media_type not in INDEXES:
            return await self.alone(remote, manifest, location)
        if depth == 0:
            raise ContentInvalid(f"more than {DEPTH} indexes are in one another")
        if not self._whole:
            chosen = await beside(remote, _chosen, remote, manifest, self._prefer)
            return await self._child(chosen, location, depth)
        listed = list({each.digest: each for each in manifest.manifests}.values())
        self._count(len(listed))
        children = await together(self._child(each, location, depth) for each in listed)
        return replace(await self.alone(remote, manifest, location), children=tuple(children))

    async def _child(self, said: Descriptor, location: Location, depth: int) -> Fetched:
        """What an index names."""
        remote = await self._manifest(location, said.digest)
        if len(remote.content) != said.size:
            raise ContentInvalid(
                f"an index says that {said.digest} has {said.size} bytes,"
                f" it has {len(remote.content)}"
            )
        return await self._of(remote, location, depth - 1)

    async def alone(
        self, remote: RemoteManifest, manifest: Manifest, location: Location
    ) -> Fetched:
        """One manifest, with its configuration if it is an image's."""
        found = Fetched(
            digest=remote.digest,
            media_type=manifest.media_type,
            content=remote.content,
            manifest=manifest,
            location=location,
            mirror=remote.mirror,
        )
        if manifest.media_type in INDEXES:
            return found
        check_layers(remote.digest, manifest)
        return replace(
            found,
            config=await self._config(manifest, location),
            sizes=await self._sizes(manifest, location),
        )

    async def _config(self, manifest: Manifest, location: Location) -> bytes | None:
        """The configuration; None without one, and for one larger than any that is read."""
        config = manifest.config
        if config is None or config.media_type == OCI_EMPTY or config.size > CONFIG_LIMIT:
            return None
        self._allowance.take(config.size)
        parts, size = [], 0
        async with self._turns, self._registries.blob(location, config.digest) as blob:
            async for chunk in blob.chunks:
                size += len(chunk)
                if size > config.size:
                    break
                parts.append(bytes(chunk))
        if size != config.size:
            raise ContentInvalid(
                f"the manifest says that {config.digest} has {config.size} bytes,"
                " it has another number"
            )
        return b"".join(parts)

    async def _sizes(self, manifest: Manifest, location: Location) -> dict[Digest, int]:
        """Sizes of layers of which the manifest does not tell, asked one by one."""
        unknown = {each.digest for each in manifest.layers if not each.size}
        if not unknown:
            return {}

        async def ask(digest: Digest) -> tuple[Digest, int]:
            async with self._turns:
                return digest, await self._registries.blob_size(location, digest)

        return dict(await together(ask(each) for each in sorted(unknown)))

    def _count(self, members: int) -> None:
        self._members += members
        if self._members > MEMBERS:
            raise ContentInvalid(f"the image has more than {MEMBERS} manifests")


async def beside(remote: RemoteManifest, work: Callable[..., T], *args: Any) -> T:
    """Do what takes as long as a manifest is large beside the event loop, if it is large."""
    if len(remote.content) <= IN_LOOP:
        return work(*args)
    return await asyncio.to_thread(work, *args)


def parsed(remote: RemoteManifest) -> Manifest:
    """What a manifest says, by its media type or, without one, by its own words."""
    if remote.media_type in DOCKER_SCHEMA1:
        raise ContentInvalid(
            f"{remote.digest} is a manifest of Docker schema 1, which is not supported:"
            " the image has to be pushed there by a current client"
        )
    try:
        return parse_manifest(remote.content, remote.media_type or None)
    except OciError as error:
        raise ContentInvalid(f"{remote.digest} is no manifest: {error}") from error


def check_layers(digest: Digest, manifest: Manifest) -> None:
    """Raise `ContentInvalid` for more layers than any image has."""
    if len(manifest.layers) > LAYERS:
        raise ContentInvalid(f"{digest} has {len(manifest.layers)} layers, more than {LAYERS}")


def _chosen(remote: RemoteManifest, index: Manifest, prefer: Platform) -> Descriptor:
    """The image of an index that is meant where one is wanted."""
    listed = described(str(remote.digest), index.media_type, remote.content).manifests
    chosen = choose(listed, prefer, Platform.own())
    for each in index.manifests:
        if chosen is not None and each.digest == chosen.digest:
            return each
    raise ContentInvalid(f"index {remote.digest} names no image")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all give, in order; the first failure ends the others and is raised."""
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(each) for each in work]
    except ExceptionGroup as failed:
        # no `except*`: Python 3.11.2 puts what is raised in one into a group again
        expected, others = failed.split(RemoteError)
        if expected is None or others is not None:
            raise
        raise _first(expected) from None
    return [each.result() for each in tasks]


def _first(group: BaseExceptionGroup[RemoteError]) -> RemoteError:
    error: RemoteError | BaseExceptionGroup[RemoteError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
