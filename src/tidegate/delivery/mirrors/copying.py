"""The engine: an image with all that belongs to it, from one place to another.

    closure ─> blobs, several at a time ─> manifests, each behind what it names, with what refers
            ─> to them ─> the list of that, where the target keeps none ─> a look at it all ─> tag

The tag comes last, so a reader of the target sees the whole image or the one before. Blobs that the
target has are not sent; those that another repository of the target has are mounted. A failure ends
one image and leaves what was stored for the next try.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tidegate.delivery.mirrors import checking
from tidegate.delivery.mirrors.closure import Closure, Member, Wanted, gather, together
from tidegate.delivery.mirrors.errors import ImageMissing, NotCopied
from tidegate.delivery.mirrors.places import Place, Target
from tidegate.delivery.mirrors.referring import list_referrers
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor

COPIED, MOUNTED, PRESENT, ASSUMED = "copied", "mounted", "present", "assumed"
"""How content came to the target; `assumed` is what an earlier archive brought."""

PARALLEL = 4
"""Blobs sent at once: enough for a line with delay, few enough for a registry."""

_HOLDERS = 2
"""Repositories that are asked to hand over a blob before it is sent."""


@dataclass(frozen=True, slots=True)
class Order:
    """One image to copy: a tag or digest of the source, and the tag that it gets.

    Without a tag (`name` empty) it is known by its digest alone. `origin` is what it is called
    where it comes from. `tags` are those of the source, if they are known.
    """

    source: Place
    reference: str
    target: Target
    name: str
    origin: str
    tags: frozenset[str] | None = None


class Piece(NamedTuple):
    """Content of a copied image, and how it came to the target."""

    digest: Digest
    media_type: str
    size: int
    how: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of an order. `moved` says whether the tag names another image than before."""

    digest: Digest
    moved: bool
    manifests: tuple[Piece, ...]
    blobs: tuple[Piece, ...]
    warnings: tuple[str, ...] = ()


class Meter(Protocol):
    """Is told how far the copying is, in bytes."""

    def expect(self, size: int) -> None:
        """So much more is to come."""

    def advance(self, size: int) -> None:
        """So much is here, or need not come after all."""


class Silence:
    """A meter that nobody reads."""

    def expect(self, size: int) -> None:
        del size

    def advance(self, size: int) -> None:
        del size


@dataclass(slots=True)
class Copier:
    """Copies images; one for a run, in which places of a domain share what they have.

    `assumed` is content that the reader of the target has already: it is not copied, and the target
    is not asked for it. With `verify` all of an image is read again where it was copied to.
    """

    wanted: Wanted = field(default_factory=Wanted)
    meter: Meter = field(default_factory=Silence)
    assumed: Collection[str] = frozenset()
    verify: bool = False
    dry_run: bool = False
    parallel: int = PARALLEL
    _lines: asyncio.Semaphore | None = None
    _locks: dict[tuple[str, Digest], asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    _holders: dict[tuple[str, Digest], list[Place]] = field(
        default_factory=lambda: defaultdict(list)
    )

    async def copy(self, order: Order) -> Copied:
        """Copy one image; raises `NotCopied`, and what places raise."""
        digest = await order.source.head(order.reference)
        if digest is None:
            raise ImageMissing(f"{order.source.name} has no {order.reference}")
        async with self._locks[order.target.name, digest]:  # many tags name one image
            return await self._copy(order, digest)

    async def _copy(self, order: Order, digest: Digest) -> Copied:
        target = order.target
        closure = await gather(order.source, target, digest, self.wanted, order.tags)
        blobs = await self._blobs(order, closure)
        root = closure.root.held
        before = await target.head(order.name) if order.name else None
        moved = before != root.digest
        manifests = tuple(
            Piece(each.held.digest, each.held.media_type, len(each.held.content), self._how(each))
            for each in closure.members
        )
        if not self.dry_run:
            await self._manifests(order, closure)
            new = {each.digest for each in (*manifests, *blobs) if each.how in (COPIED, MOUNTED)}
            if self.verify:
                await checking.reread(target, closure, self.assumed)
            else:
                await checking.look(target, closure, new)
            if moved or not order.name:
                await target.push_manifest(order.name or root.digest, root, order.origin)
            if moved and order.name and await target.head(order.name) != root.digest:
                raise NotCopied(f"{target.name} does not name {root.digest} by {order.name}")
        return Copied(root.digest, moved, manifests, blobs, closure.warnings)

    def _how(self, member: Member) -> str:
        if member.held.digest in self.assumed:
            return ASSUMED
        return PRESENT if member.is_there else COPIED

    # blobs

    async def _blobs(self, order: Order, closure: Closure) -> tuple[Piece, ...]:
        """Have all blobs of the closure at the target."""
        blobs: dict[Digest, Descriptor] = {}
        there: set[Digest] = set()
        for member in closure.members:
            for blob in member.blobs:
                if blobs.setdefault(blob.digest, blob).size != blob.size:
                    raise NotCopied(f"{blob.digest} is said to have two sizes: nobody can have it")
            if member.is_there and order.target.vouches:
                there.update(each.digest for each in member.blobs)
        self.meter.expect(sum(each.size for each in blobs.values()))
        return tuple(
            await together(
                self._blob(order, each, is_there=each.digest in there) for each in blobs.values()
            )
        )

    async def _blob(self, order: Order, blob: Descriptor, *, is_there: bool) -> Piece:
        how = await self._brought(order, blob, is_there=is_there)
        return Piece(blob.digest, blob.media_type, blob.size, how)

    async def _brought(self, order: Order, blob: Descriptor, *, is_there: bool) -> str:
        """Have a blob at the target, and say how it came there."""
        if blob.digest in self.assumed:
            self.meter.advance(blob.size)
            return ASSUMED
        key = (order.target.domain, blob.digest)
        async with self._locks[key]:  # another image of this run may bring it just now
            how = PRESENT if is_there else await self._bring(order, blob)
            if order.target not in self._holders[key]:
                self._holders[key].append(order.target)
        return how

    async def _bring(self, order: Order, blob: Descriptor) -> str:
        target, source = order.target, order.source
        known = await target.blob_size(blob.digest)
        if known is not None:
            if known != blob.size:
                raise NotCopied(
                    f"{target.name} has {known} bytes of {blob.digest}, which should be {blob.size}"
                )
            self.meter.advance(blob.size)
            return PRESENT
        if self.dry_run:
            return COPIED
        for holder in (*self._holders[target.domain, blob.digest][:_HOLDERS], source):
            if holder.domain == target.domain and await target.mount_blob(
                blob.digest, blob.size, holder
            ):
                self.meter.advance(blob.size)
                return MOUNTED
        if self._lines is None:
            self._lines = asyncio.Semaphore(self.parallel)
        async with self._lines:
            sending = _Sending(source, blob, self.meter)
            await target.push_blob(blob.digest, blob.size, sending.content)
            sending.end()
        return COPIED

    # manifests

    async def _manifests(self, order: Order, closure: Closure) -> None:
        """Push every manifest; the root comes with its tag, unless something refers to it."""
        target, root = order.target, closure.root
        is_referred_to = any(each.tag or each.subject for each in closure.members)
        for member in closure.members:
            held = member.held
            if member.tag:
                if await target.head(member.tag) != held.digest:
                    await target.push_manifest(member.tag, held, "")
            elif member.is_there or held.digest in self.assumed:
                continue
            elif member is not root or is_referred_to:
                await target.push_manifest(held.digest, held, "")
        await list_referrers(target, closure)


@dataclass(slots=True)
class _Sending:
    """One blob on its way: measured, and counted once however often it is begun again."""

    source: Place
    blob: Descriptor
    meter: Meter
    _farthest: int = 0

    async def content(self, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset` on, exactly as many as were announced."""
        self._reach(offset)
        position = offset
        async with aclosing(self.source.blob(self.blob.digest, self.blob.size, offset)) as pieces:
            async for piece in pieces:
                position += len(piece)
                if position > self.blob.size:
                    raise NotCopied(f"{self.source.name} sends too much for {self.blob.digest}")
                yield piece
                self._reach(position)
        if position != self.blob.size:
            raise NotCopied(f"{self.source.name} sends too little of {self.blob.digest}")

    def end(self) -> None:
        """It is there, whoever brought it."""
        self._reach(self.blob.size)

    def _reach(self, position: int) -> None:
        if position > self._farthest:
            self.meter.advance(position - self._farthest)
            self._farthest = position
