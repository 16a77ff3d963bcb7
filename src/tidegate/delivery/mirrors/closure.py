"""An image with all that belongs to it, read before anything is written.

    index -> children -> ...        and of each of them: referrers -> referrers ..., cosign's tags

A manifest is read at the target first: what is there already costs the source nothing, and a delta
archive has only what the target lacks. Everything is bounded: manifests, their bytes, requests at a
time. Invariant: members are in the order in which they may be pushed, each behind what it names.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tidegate.delivery.mirrors.attached import cosign_tags
from tidegate.delivery.mirrors.errors import ClosureTooLarge, ImageMissing, NotCopied
from tidegate.delivery.mirrors.places import Held, Place
from tidegate.delivery.mirrors.platforms import choose
from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.manifest import Descriptor, Manifest, parse_manifest

T = TypeVar("T")

MEMBERS_LIMIT = 1000
"""Manifests of one closure: an index names up to some hundred, and each may have referrers."""

BYTES_LIMIT = 64 * 1024 * 1024
"""Bytes of all manifests of one closure, which are in memory while it is copied."""

_AT_A_TIME = 8
"""Manifests and lists asked for at once."""


@dataclass(frozen=True, slots=True)
class Member:
    """A manifest of the closure. `tag` is that of cosign, by which it is found; `subject` is what
    it refers to, where that is how it came in; `is_there` says that the target has it."""

    held: Held
    parsed: Manifest
    is_there: bool
    tag: str = ""
    subject: Digest | None = None

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Blobs that belong to it; an index may name some where others have manifests."""
        listed = tuple(each for each in self.parsed.manifests if not _is_manifest(each))
        return self.parsed.blobs + listed


@dataclass(frozen=True, slots=True)
class Closure:
    """`root` is what a tag is to name; `members` are all, `root` among them."""

    root: Member
    members: tuple[Member, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an image is copied: all platforms where none is named."""

    platforms: Sequence[str] = ()
    referrers: bool = True


async def gather(
    source: Place,
    target: Place | None,
    digest: Digest,
    wanted: Wanted,
    tags: frozenset[str] | None = None,
) -> Closure:
    """Read the closure of an image of the source.

    `tags` are those of the source, where they are known: no request is needed then to see which of
    cosign's there are. Raises `NotCopied`, and what places raise.
    """
    reader = _Reader(source, target, wanted, tags)
    root = await reader.read(digest)
    if len(wanted.platforms) == 1 and root.parsed.manifests:
        chosen = choose(root.held.content, root.parsed.manifests, wanted.platforms)
        if not chosen:
            raise NotCopied(f"there is no image for {wanted.platforms[0]} in {digest}")
        root = await reader.read(chosen[0].digest)
    members = _ordered(await reader.around(root))
    return Closure(root, tuple(members), tuple(reader.warnings))


@dataclass(slots=True)
class _Reader:
    source: Place
    target: Place | None
    wanted: Wanted
    tags: frozenset[str] | None
    warnings: list[str] = field(default_factory=list)
    _seen: set[Digest] = field(default_factory=set)
    _bytes: int = 0
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))

    async def read(self, digest: Digest) -> Member:
        """One manifest, from the target if it has it; `ImageMissing` if neither has."""
        async with self._turns:
            held = None if self.target is None else await self.target.manifest(digest)
            is_there = held is not None
            if held is None:
                held = await self.source.manifest(digest)
        if held is None:
            source = self.source
            raise ImageMissing(f"{source.name} has no manifest {digest}{source.hint}")
        self._bytes += len(held.content)
        if self._bytes > BYTES_LIMIT:
            raise ClosureTooLarge(f"the manifests of the image have more than {BYTES_LIMIT} bytes")
        try:
            parsed = parse_manifest(held.content, held.media_type or None)
        except OciError as error:
            raise NotCopied(f"{digest} cannot be copied: {error}") from error
        return Member(held, parsed, is_there)

    async def around(self, member: Member, *, attached: bool = True) -> list[Member]:
        """A member with what it names before it and what refers to it behind it."""
        self._see(member.held.digest)
        children = [each for each in member.parsed.manifests if _is_manifest(each)]
        if self.wanted.platforms:
            children = choose(member.held.content, children, self.wanted.platforms)
        below = await together(self._below(each.digest) for each in children)
        behind = await self._attached(member.held.digest) if attached else []
        return [*_flat(below), member, *behind]

    async def _below(self, digest: Digest) -> list[Member]:
        if digest in self._seen:
            return []
        self._see(digest)
        return await self.around(await self.read(digest))

    async def _attached(self, subject: Digest) -> list[Member]:
        if not self.wanted.referrers:
            return []
        async with self._turns:
            referring = await self.source.referrers(subject)
        found = await together(self._referrer(subject, each) for each in referring)
        names = [each for each in cosign_tags(subject) if self.tags is None or each in self.tags]
        found += await together(self._cosign(each) for each in names)
        return _flat(found)

    async def _referrer(self, subject: Digest, digest: Digest) -> list[Member]:
        if digest in self._seen:
            return []
        self._see(digest)
        try:
            read = await self.read(digest)
        except ImageMissing:
            self.warnings.append(f"{digest}, which is said to refer to {subject}, is not there")
            return []
        member = Member(read.held, read.parsed, read.is_there, subject=subject)
        return await self.around(member)

    async def _cosign(self, tag: str) -> list[Member]:
        async with self._turns:
            digest = await self.source.head(tag)
        if digest is None:
            return []
        read = await self.read(digest)
        member = Member(read.held, read.parsed, read.is_there, tag=tag)
        return await self.around(member, attached=False)

    def _see(self, digest: Digest) -> None:
        self._seen.add(digest)
        if len(self._seen) > MEMBERS_LIMIT:
            raise ClosureTooLarge(f"more than {MEMBERS_LIMIT} manifests belong to the image")


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """All results in order; the first failure ends the others, and is raised as it is."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_manifest(descriptor: Descriptor) -> bool:
    return descriptor.media_type in mediatype.MANIFESTS | mediatype.INDEXES


def _ordered(members: list[Member]) -> list[Member]:
    """Each once and behind what it names, also where two indexes name the same."""
    by_digest = {(each.held.digest, each.tag): each for each in members}
    ordered: dict[tuple[Digest, str], Member] = {}
    waiting = [(each, False) for each in reversed(members)]
    while waiting:
        member, is_ready = waiting.pop()
        key = (member.held.digest, member.tag)
        if key in ordered:
            continue
        named = [by_digest.get((each.digest, "")) for each in member.parsed.manifests]
        if is_ready or not named:
            ordered[key] = member
        else:
            waiting.append((member, True))
            waiting += [(each, False) for each in named if each is not None]
    return list(ordered.values())


def _flat(lists: Iterable[list[Member]]) -> list[Member]:
    return [member for each in lists for member in each]
