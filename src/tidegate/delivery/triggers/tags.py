"""What tags name, as the pull spec that is to be written into a workload: always by digest.

A tag that only refers to another registry (`reference: true`) has no digest here, and gives the
plain reference. Knows no workload.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from tidegate.delivery.triggers.decision import Candidate, Presence, presence_of
from tidegate.delivery.triggers.policies import Selection
from tidegate.delivery.triggers.workload import Source
from tidegate.images.kinds.image_stream import TagReference
from tidegate.images.kinds.tag_reference import LOCAL
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.versions import Version
from tidegate.metastore import followed_tags
from tidegate.metastore.database import Database
from tidegate.metastore.followed_tags import FARTHEST, ChangedTag, FollowedTag
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

_SPEC = msgspec.json.Decoder(TagReference)

PAGE = 1000
TAGS = 5_000
"""Tags of a stream, those that changed last, among which a selection looks for the newest."""
SELECTIONS = 1_000
"""Selections of streams whose newest tag is remembered; beyond that all are looked for anew."""
IN_LOOP = 20
"""Tags that are compared with a pattern in the event loop."""


class Tags:
    """Reads tags of streams."""

    def __init__(self, database: Database, hosts: Hosts) -> None:
        self._database = database
        self._hosts = hosts
        self._newest: dict[tuple[RepositoryName, Selection], _Newest] = {}

    async def named(self, stream: RepositoryName, tags: Iterable[str]) -> dict[Source, Candidate]:
        """What these tags of a stream name, without those that name nothing."""
        found = await followed_tags.named(self._database, stream, sorted(set(tags)))
        candidates = {}
        for name, tag in found.items():
            candidate = candidate_of(stream, tag, self._hosts)
            if candidate is not None:
                candidates[Source(stream, name)] = candidate
        return candidates

    async def newest(self, stream: RepositoryName, selection: Selection) -> str | None:
        """The tag that a selection chooses of a stream; None when there is none."""
        if len(self._newest) > SELECTIONS:
            self._newest.clear()
        known = self._newest.setdefault((stream, selection), _Newest(selection))
        return await known.look(
            lambda before, since: followed_tags.changed_last(
                self._database, stream, before, since, PAGE
            )
        )

    def forget(self, stream: RepositoryName) -> None:
        """Forget what was chosen of a stream that nobody follows any more, or that is gone."""
        for key in [each for each in self._newest if each[0] == stream]:
            del self._newest[key]

    async def presence(self, tag: Source, images: Iterable[str]) -> dict[str, Presence]:
        """For how long each of these images was in a tag."""
        stays = await followed_tags.stays(self._database, tag.stream, tag.tag)
        return {image: presence_of(stays, image) for image in images}


def candidate_of(stream: RepositoryName, tag: FollowedTag, hosts: Hosts) -> Candidate | None:
    """What a tag names; None for one that names nothing.

    The reference policy decides whether it is pulled from here or from where it comes from.
    """
    if tag.reference is None:
        return None
    image = tag.image or ""
    reference = hosts.shown(tag.reference)
    spec = _SPEC.decode(tag.spec) if tag.spec is not None else None
    if image and spec is not None and spec.reference_policy.type == LOCAL:
        reference = hosts.repository(stream) or reference
    return Candidate(by_digest(reference, image), image) if reference else None


def by_digest(reference: str, image: str) -> str:
    """A pull spec that names an image by its digest; as it is without one."""
    if not image:
        return reference
    try:
        return PullSpec.parse(reference).with_tag("").with_id(image).exact() or reference
    except PullSpecInvalid:
        return reference


Read = Callable[[tuple[int, str], int], Awaitable[list[ChangedTag]]]
"""Tags that changed since a revision, the last first, after a place in that order."""


class _Newest:
    """Which tag of one stream a selection chooses; looks only at what changed since the last time.

    All tags are looked at anew when the chosen one is there no more.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._since = 0
        self._chosen: tuple[tuple[object, ...], str] | None = None
        self._turn = asyncio.Lock()

    async def look(self, read: Read) -> str | None:
        """The tag that is chosen now."""
        async with self._turn:
            if not await self._advance(read):
                self._since, self._chosen = 0, None
                await self._advance(read)
            return None if self._chosen is None else self._chosen[1]

    async def _advance(self, read: Read) -> bool:
        """Take in what changed; False when the chosen tag is gone, so that all is to be seen."""
        place, newest, seen = FARTHEST, self._since, 0
        while True:
            page = await read(place, self._since)
            if page:
                newest = max(newest, page[0].changed)
            for rank, name in await self._beside(page):
                if rank is None:
                    if self._chosen is not None and self._chosen[1] == name:
                        return False
                elif self._chosen is None or (rank, name) > self._chosen:
                    self._chosen = (rank, name)
            seen += len(page)
            if len(page) < PAGE or seen >= TAGS:
                self._since = newest
                return True
            place = (page[-1].changed, page[-1].name)

    async def _beside(self, page: list[ChangedTag]) -> list[tuple[tuple[object, ...] | None, str]]:
        if len(page) <= IN_LOOP:
            return self._ranked(page)
        return await asyncio.to_thread(self._ranked, page)

    def _ranked(self, page: list[ChangedTag]) -> list[tuple[tuple[object, ...] | None, str]]:
        """Each tag that is selected with its rank, and None for those that are gone."""
        return [
            (rank if each.live else None, each.name)
            for each in page
            if (rank := _rank(self._selection, each)) is not None
        ]


def _rank(selection: Selection, tag: ChangedTag) -> tuple[object, ...] | None:
    """By what the newest is the highest: its version, or when it changed; None if not selected."""
    if selection.versions is not None:
        version = Version.of(tag.name)
        if version is None or not selection.versions.admits(version):
            return None
        rank: tuple[object, ...] = version
    else:
        rank = (tag.changed,)
    if selection.pattern is not None and not selection.pattern.matches(tag.name):
        return None
    return rank
