"""Opens the two sides of `tidegate mirror`: repositories of registries, layouts, archives.

One place is opened once however often it is named, so that images share what one of them brought.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tidegate.delivery.layout.archive import open_archive
from tidegate.delivery.layout.archive_writer import make_archive
from tidegate.delivery.layout.directory import make_directory, open_directory
from tidegate.delivery.layout.errors import LayoutError, LayoutMissing
from tidegate.delivery.layout.files import LayoutFiles, WritableFiles
from tidegate.delivery.mirrors.layout_place import LayoutPlace, LayoutTarget
from tidegate.delivery.mirrors.places import Content, Held, Place, Target
from tidegate.delivery.mirrors.references import ARCHIVE, REGISTRY, Ref
from tidegate.delivery.mirrors.registry_place import RegistryPlace, RegistryTarget
from tidegate.delivery.mirrors.sessions import Sessions
from tidegate.oci.digest import Digest
from tidegate.remote.gateway import Registries

P = TypeVar("P")


class Nowhere:
    """A target that is not there yet, for a dry run; see `Target`."""

    vouches = False
    hint = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self.domain = name

    async def head(self, reference: str) -> Digest | None:
        del reference
        return None

    async def manifest(self, reference: str) -> Held | None:
        del reference
        return None

    async def blob_size(self, digest: Digest) -> int | None:
        del digest
        return None

    async def blob(self, digest: Digest, size: int, offset: int) -> AsyncGenerator[bytes, None]:
        if size > offset:
            raise LayoutError(f"{self.name} has no {digest}")
        yield b""

    async def tags(self) -> list[str]:
        return []

    async def referrers(self, subject: Digest) -> list[Digest]:
        del subject
        return []

    async def mount_blob(self, digest: Digest, size: int, holder: Place) -> bool:
        del digest, size, holder
        return False

    async def push_blob(self, digest: Digest, size: int, content: Content) -> None:
        del size, content
        raise LayoutError(f"{self.name} does not take {digest}")

    async def push_manifest(self, reference: str, manifest: Held, origin: str) -> None:
        del reference, origin
        raise LayoutError(f"{self.name} does not take {manifest.digest}")

    async def finish(self) -> None:
        """There is nothing."""


@dataclass(slots=True)
class Places:
    """The places of one run. `reading` may use mirrors, `writing` must not."""

    reading: Registries
    writing: Registries
    sessions: Sessions
    assumed: frozenset[str] = frozenset()
    dry_run: bool = False
    _sources: dict[Ref, Place] = field(default_factory=dict)
    _targets: dict[Ref, Target] = field(default_factory=dict)
    _files: list[LayoutFiles] = field(default_factory=list)

    def source(self, ref: Ref) -> Place:
        """Where images are read; `LayoutError`."""
        return _once(self._sources, ref, self._open)

    def target(self, ref: Ref) -> Target:
        """Where they go; it is made if need be. `LayoutError`."""
        return _once(self._targets, ref, self._make)

    async def finish(self) -> None:
        """Let readers have what is complete now."""
        for each in self._targets.values():
            await each.finish()

    def close(self) -> None:
        """Let go of every file."""
        for each in self._files:
            each.close()

    def _open(self, ref: Ref) -> Place:
        if ref.transport == REGISTRY:
            return RegistryPlace(self.reading, ref.location)
        files = self._opened(ref)
        return LayoutPlace(str(ref), files)

    def _make(self, ref: Ref) -> Target:
        if ref.transport == REGISTRY:
            return RegistryTarget(self.writing, ref.location, self.sessions)
        if self.dry_run:
            return self._as_it_is(ref)
        files: WritableFiles
        files = make_archive(ref.path) if ref.transport == ARCHIVE else make_directory(ref.path)
        self._files.append(files)
        return LayoutTarget(str(ref), files, self.assumed)

    def _as_it_is(self, ref: Ref) -> Target:
        """A layout for a dry run: nothing is made."""
        if ref.transport == ARCHIVE:
            return Nowhere(str(ref))
        try:
            return LayoutTarget(str(ref), open_directory(ref.path), self.assumed)
        except LayoutMissing:
            return Nowhere(str(ref))

    def _opened(self, ref: Ref) -> LayoutFiles:
        files = open_archive(ref.path) if ref.transport == ARCHIVE else open_directory(ref.path)
        self._files.append(files)
        return files


def _once(found: dict[Ref, P], ref: Ref, make: Callable[[Ref], P]) -> P:
    if ref not in found:
        found[ref] = make(ref)
    return found[ref]
