"""A stream of this registry as a place to copy from and to, without a way over HTTP.

What is copied here is as if it had been pushed: blobs are received, hashed and linked under the
project's limits and quotas, a manifest makes its Image and, for each tag, an event, which says that
it was imported and from where. Invariant: bytes that the source did not send are never linked,
whoever else in the registry has them.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.local_manifest import LocalManifest
from tidegate.delivery.mirrors.local_upload import Local, LocalUpload
from tidegate.delivery.mirrors.places import Content, Held, Place
from tidegate.images import deletes, incoming
from tidegate.images.streams.opening import opened
from tidegate.images.streams.stream import Actor
from tidegate.metastore import links, manifests, origins, projects, tag_events, tags
from tidegate.metastore.database import Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestMismatch, OciError
from tidegate.oci.name import RepositoryName, Tag, parse_reference
from tidegate.oci.pull_spec import PullSpec
from tidegate.remote.gateway import Registries
from tidegate.remote.location import Location
from tidegate.storage.errors import UploadBusy

_PAGE = 1000
_REFERRERS = 500


class LocalPlace:
    """A stream to copy from; see `Place`."""

    hint = ""
    domain = ""

    def __init__(
        self,
        local: Local,
        repository: RepositoryName,
        upstream: Callable[[bool], Registries] | None = None,
    ) -> None:
        """`upstream` gives the registries, insecure or not, that imported images came from."""
        self._local = local
        self._database = local.database
        self._upstream = upstream
        self.repository = repository

    @property
    def name(self) -> str:
        return f"stream {self.repository}"

    async def head(self, reference: str) -> Digest | None:
        found = await self.manifest(reference)
        return None if found is None else found.digest

    async def manifest(self, reference: str) -> Held | None:
        try:
            asked = parse_reference(reference)
        except OciError as error:
            raise NotCopied(str(error)) from error
        if isinstance(asked, Digest):
            found = await manifests.by_digest(self._database, self.repository, asked)
        else:
            found = await manifests.by_tag(self._database, self.repository, asked)
        return None if found is None else Held(found.digest, found.media_type, bytes(found.content))

    async def blob_size(self, digest: Digest) -> int | None:
        return await links.size(self._database, self.repository, digest)

    async def blob(self, digest: Digest, size: int, offset: int) -> AsyncGenerator[bytes, None]:
        if await self.blob_size(digest) is None:
            async with aclosing(self._elsewhere(digest, size, offset)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        with await self._local.store.open(digest) as found:
            self._check_size(digest, found.size, size)
            async for piece in found.read(offset, size - offset):
                yield piece

    async def _elsewhere(
        self, digest: Digest, size: int, offset: int
    ) -> AsyncGenerator[bytes, None]:
        """A blob of an imported image, from the registry that it was imported from."""
        found = await origins.of_blob(self._database, self.repository, digest)
        if not found or self._upstream is None:
            raise NotCopied(f"{self.name} does not have the bytes of {digest}")
        location = Location.of(PullSpec.parse(found[0].repository))
        registries = self._upstream(found[0].insecure)
        async with registries.blob(location, digest, offset=offset) as blob:
            self._check_size(digest, blob.size, size)
            async for piece in blob.chunks:
                yield piece

    def _check_size(self, digest: Digest, size: int, announced: int) -> None:
        if size != announced:
            raise NotCopied(f"{self.name}: {digest} has {size} bytes, {announced} are announced")

    async def tags(self) -> list[str]:
        found: list[str] = []
        while page := await tags.page(
            self._database, self.repository, found[-1] if found else "", _PAGE
        ):
            found += page
        return found

    async def referrers(self, subject: Digest) -> list[Digest]:
        found: list[Digest] = []
        while page := await manifests.referrers(
            self._database,
            self.repository,
            subject,
            None,
            found[-1] if found else "",
            _REFERRERS,
        ):
            found += [each.digest for each in page]
        return found


class LocalTarget(LocalPlace):
    """A stream to copy to; see `Target`. `who` is what its history names."""

    vouches = False  # an imported image is here without its blobs

    def __init__(self, local: Local, repository: RepositoryName, who: str) -> None:
        super().__init__(local, repository)
        self._who = who

    async def mount_blob(self, digest: Digest, size: int, holder: Place) -> bool:
        """Take a blob from another stream of the project, which this run has copied to."""
        if not isinstance(holder, LocalPlace) or holder.repository == self.repository:
            return False
        source = holder.repository
        if source.project != self.repository.project:
            return False

        def mount(tx: Transaction) -> bool:
            projects.require(tx, self.repository.project)
            found = links.find(tx, source, [digest]).get(digest)
            if found is None or not found.is_live or found.size != size:
                return False
            incoming.link(tx, self.repository, digest, size, self._local.clock())
            return True

        return await self._database.write(mount)

    async def push_blob(self, digest: Digest, size: int, content: Content) -> None:
        receiving = LocalUpload(self._local, self.repository, digest, size)
        try:
            await receiving.run(content)
        except UploadBusy as error:
            raise NotCopied(f"{digest} is being copied to {self.name} already") from error
        except DigestMismatch as error:
            raise NotCopied(f"{digest}: {error}") from error

    async def push_manifest(self, reference: str, manifest: Held, origin: str) -> None:
        named = [] if reference == manifest.digest else [Tag.parse(reference)]
        pushing = LocalManifest(self._local, self.repository, self._who, manifest, origin)
        await pushing.push(named)

    async def finish(self) -> None:
        """Everything could be read as it came."""

    async def drop_tag(self, tag: str) -> bool:
        """Delete a tag; raises `StreamRefused` for one that is to stay."""
        actor = Actor(self._who, tag_events.DELETE, self._local.clock())

        def drop(tx: Transaction) -> bool:
            stream = opened(tx, self.repository)
            return stream is not None and deletes.drop_tag(stream, Tag.parse(tag), actor)

        return await self._database.write(drop)
