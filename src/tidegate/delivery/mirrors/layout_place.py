"""A layout, in a directory or an archive, as a place to copy from and to."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

from tidegate.delivery.layout.errors import LayoutError, LayoutInvalid
from tidegate.delivery.layout.files import (
    Incoming,
    LayoutFiles,
    WritableFiles,
    hash_extent,
    layout_errors,
)
from tidegate.delivery.layout.index_json import Entry, media_type_of
from tidegate.delivery.mirrors.attached import fallback_tag
from tidegate.delivery.mirrors.pieces import gathered
from tidegate.delivery.mirrors.places import Content, Held, Place
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.manifest import MANIFEST_LIMIT, Descriptor, parse_manifest

_PIECE = 1 << 20

_LAYOUTS = ("oci:", "oci-archive:", "stream ")
"""Origins that are no reference of a registry."""


class LayoutPlace:
    """A layout to copy from; see `Place`. References are names in its index, or digests."""

    hint = "; if it builds upon an earlier archive, bring that first"

    def __init__(self, name: str, files: LayoutFiles) -> None:
        self._name = name
        self._files = files
        self._subjects: dict[Digest, Digest | None] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def domain(self) -> str:
        return self._name

    async def head(self, reference: str) -> Digest | None:
        entry = await self._entry(reference)
        if entry is not None:
            return entry.descriptor.digest
        digest = _digest(reference)
        if digest is None or await self.blob_size(digest) is None:
            return None
        return digest

    async def manifest(self, reference: str) -> Held | None:
        entry = await self._entry(reference)
        digest = entry.descriptor.digest if entry is not None else _digest(reference)
        if digest is None:
            return None
        content = await asyncio.to_thread(self._manifest, digest)
        if content is None:
            return None
        known = entry.descriptor.media_type if entry is not None else ""
        return Held(digest, known or media_type_of(content), content)

    async def blob_size(self, digest: Digest) -> int | None:
        def size() -> int | None:
            found = self._files.open(digest)
            if found is None:
                return None
            os.close(found.fd)
            return found.size

        return await asyncio.to_thread(size)

    async def blob(self, digest: Digest, size: int, offset: int) -> AsyncGenerator[bytes, None]:
        found = self._files.open(digest)  # in the loop: a thread's answer could be lost
        if found is None:
            raise LayoutError(f"{self._name} has no blob {digest}{self.hint}")
        try:
            if found.size != size:
                raise LayoutInvalid(
                    f"{self._name}: {digest} has {found.size} bytes, {size} are announced"
                )
            while offset < size:
                with layout_errors(self._name):
                    piece = await asyncio.to_thread(
                        os.pread, found.fd, min(_PIECE, size - offset), found.offset + offset
                    )
                if not piece:
                    raise LayoutInvalid(f"{self._name}: {digest} became shorter")
                yield piece
                offset += len(piece)
        finally:
            os.close(found.fd)

    async def tags(self) -> list[str]:
        return (await asyncio.to_thread(self._files.index)).names()

    async def referrers(self, subject: Digest) -> list[Digest]:
        """By the index that is named for the subject, and what is listed with that subject."""
        index = await asyncio.to_thread(self._files.index)
        found: dict[Digest, None] = {}
        held = await self.manifest(fallback_tag(subject))
        if held is not None:
            found.update((each, None) for each in _children(held))
        for entry in index.entries:
            digest = entry.descriptor.digest
            if not entry.name and await self._subject(digest) == subject:
                found[digest] = None
        return list(found)

    async def _subject(self, digest: Digest) -> Digest | None:
        """What a manifest refers to, as its content says for ever."""
        if digest not in self._subjects:
            held = await self.manifest(digest)
            self._subjects[digest] = None if held is None else _subject(held)
        return self._subjects[digest]

    async def _entry(self, reference: str) -> Entry | None:
        index = await asyncio.to_thread(self._files.index)
        return index.find(reference)

    def _manifest(self, digest: Digest) -> bytes | None:
        found = self._files.open(digest)
        if found is None:
            return None
        try:
            if found.size > MANIFEST_LIMIT:
                raise LayoutInvalid(f"{self._name}: {digest} is larger than any manifest")
            with layout_errors(self._name):
                content = os.pread(found.fd, found.size, found.offset)
        finally:
            os.close(found.fd)
        if not digest.matches(content):
            raise LayoutInvalid(f"{self._name}: the bytes of {digest} have another digest")
        return content


class LayoutTarget(LayoutPlace):
    """A layout to copy to; see `Target`."""

    vouches = False

    def __init__(
        self, name: str, files: WritableFiles, assumed: Collection[str] = frozenset()
    ) -> None:
        """`assumed` are digests that its reader has already: they are named, but not written."""
        super().__init__(name, files)
        self._writable = files
        self._assumed = assumed
        self._turn = asyncio.Semaphore(1 if files.one_at_a_time else 64)
        self._locks: dict[Digest, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def mount_blob(self, digest: Digest, size: int, holder: Place) -> bool:
        """Never: a layout has everything once, and what it has is not asked for."""
        del digest, size, holder
        return False

    async def push_blob(self, digest: Digest, size: int, content: Content) -> None:
        async with self._turn, self._locks[digest]:
            if await self.blob_size(digest) == size and await self._is_good(digest):
                return
            incoming = await self._receive(digest, size)
            try:
                async with aclosing(gathered(content(incoming.offset))) as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(incoming.write, piece)
                await asyncio.to_thread(incoming.publish)
            finally:
                incoming.close()

    async def push_manifest(self, reference: str, manifest: Held, origin: str) -> None:
        async def whole(offset: int) -> AsyncGenerator[bytes, None]:
            yield manifest.content[offset:]

        size = len(manifest.content)
        if manifest.digest not in self._assumed:
            await self.push_blob(manifest.digest, size, whole)
        named = reference if reference != manifest.digest else ""
        if named or origin:
            descriptor = Descriptor(manifest.media_type, manifest.digest, size)
            whole_name = "" if origin.startswith(_LAYOUTS) else origin
            await asyncio.to_thread(self._writable.name, named, descriptor, whole_name)

    async def finish(self) -> None:
        await asyncio.to_thread(self._writable.finish)

    async def _receive(self, digest: Digest, size: int) -> Incoming:
        """Begin a blob; one that nobody waits for any more is let go of when it has begun."""
        loop = asyncio.get_running_loop()
        # no task: what ends the loop would cancel it, and lose what its thread opened
        begun = loop.run_in_executor(None, self._writable.receive, digest, size)
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            begun.add_done_callback(_close_unclaimed)
            raise

    async def _is_good(self, digest: Digest) -> bool:
        """Whether the bytes that are there have their digest."""

        def check() -> bool:
            found = self._files.open(digest)
            if found is None:
                return False
            try:
                running = digest.hasher()
                hash_extent(found.fd, found.offset, found.size, running)
                return running.hexdigest() == digest.encoded
            finally:
                os.close(found.fd)

        return await asyncio.to_thread(check)


def _close_unclaimed(begun: "asyncio.Future[Incoming]") -> None:
    if not begun.cancelled() and begun.exception() is None:
        begun.result().close()


def _digest(reference: str) -> Digest | None:
    try:
        return Digest.parse(reference)
    except OciError:
        return None


def _children(held: Held) -> list[Digest]:
    try:
        return [each.digest for each in parse_manifest(held.content, held.media_type).manifests]
    except OciError:
        return []


def _subject(held: Held) -> Digest | None:
    try:
        subject = parse_manifest(held.content, held.media_type).subject
    except OciError:
        return None
    return None if subject is None else subject.digest
