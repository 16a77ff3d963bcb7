"""Taking over what a version without image streams stored, a little in each unit of work.

    streams     each repository with live manifests gets a header, as old as its first push
    tags        each tag that its stream does not know gets the event of its push
    images      each live manifest without an Image gets one, as old as its first push

In this order: from its header on a repository is pushed to as any stream is, so that each stage
ends with nothing left behind it; and whoever prunes Images finds them named by events from the
start. How far it has come is in a document that no endpoint serves, written in the unit that does
the work: a process that is killed leaves no part half done, of several that try one does each part.
Invariant: what is there already is left as it is, and what was deleted meanwhile stays deleted.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from tidegate.apimachinery.store import Document, Key
from tidegate.images import pushes
from tidegate.images.kinds.image import Image
from tidegate.images.pushes import Pushed
from tidegate.images.streams import inherited
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rules import Rules
from tidegate.images.streams.stream import Stream, key_of
from tidegate.metastore import document_rows, links, manifests, projects, repositories, unadopted
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.projects import ProjectGone
from tidegate.metastore.unadopted import OlderManifest, OlderRepository, OlderTag
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import is_digest
from tidegate.storage.blobs import BlobStore

MARK = Key("adoptions.tidegate.io", "", "images")

STREAMS, TAGS, IMAGES, DONE = "streams", "tags", "images", "done"

PAGE = 100
"""Rows that are looked at together."""

PART = 25
"""Streams, tags or Images in one unit: each is three or four rows, and a bulk job writes some
hundred in a transaction so that pushes need not wait for it."""

TOGETHER = 4
"""Images that are made at once: one takes 0.2 ms in the event loop, and waits for its blob."""

PART_BYTES = 4 * 1024 * 1024
"""Manifests whose Images are made together; each may have 4 MiB, and its configuration 1 MiB."""


class Progress(msgspec.Struct, frozen=True):
    """Where the next part begins: after a row with that `id`, of tags after (`id`, `name`)."""

    stage: str = STREAMS
    id: int = 0
    name: str = ""


class Remaining(NamedTuple):
    """What is still to be looked at."""

    tags: int = 0
    manifests: int = 0


class Part(NamedTuple):
    """What one unit does, how many things it takes over, and how far that comes."""

    reached: Progress
    taken: int = 0
    write: Callable[[Transaction], None] = lambda _: None


class Outcome(NamedTuple):
    """What became of a turn: whether all is done, and else what this process did in it.

    `mine` is False when another process did the part, which then is busy with the next one.
    """

    done: bool = False
    mine: bool = False
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Older:
    """Where older data is: rows, and the configurations of images; `hosts` is what Images name."""

    database: Database
    store: BlobStore
    hosts: Hosts


async def adopt_next(older: Older) -> Outcome:
    """Take over the next few things."""
    progress = await read_progress(older.database)
    if progress.stage == DONE:
        return Outcome(done=True)
    part = await _NEXT[progress.stage](older, progress)

    def unit(tx: Transaction) -> bool:
        if _told(DocumentUnit(tx).get(MARK)) != progress:
            return False
        part.write(tx)
        body = msgspec.json.encode(part.reached)
        DocumentUnit(tx).put(MARK, MARK.name, lambda _revision: body)
        return True

    mine = await older.database.write(unit)
    return Outcome(mine=mine, taken=part.taken if mine else 0)


async def read_progress(database: Database) -> Progress:
    """How far the adoption has come."""
    return _told(await document_rows.find(database, MARK))


async def remaining(database: Database) -> Remaining:
    """How much is still to be looked at; walks over all of it."""
    at = await read_progress(database)
    if at.stage == DONE:
        return Remaining()
    if at.stage == IMAGES:
        return Remaining(manifests=await unadopted.count_manifests(database, at.id))
    place = (at.id, at.name) if at.stage == TAGS else (0, "")
    return Remaining(
        await unadopted.count_tags(database, place), await unadopted.count_manifests(database, 0)
    )


def _told(mark: Document | None) -> Progress:
    return Progress() if mark is None else msgspec.json.decode(mark.body, type=Progress)


class _NewStream(NamedTuple):
    id: int
    name: RepositoryName
    created: float


async def _next_streams(older: Older, progress: Progress) -> Part:
    reached, found = progress.id, list[_NewStream]()
    while page := await unadopted.repositories(older.database, reached, PAGE):
        for each in page:
            reached = each.id
            new = await _new_stream(older.database, each)
            found += [] if new is None else [new]
            if len(found) == PART:
                break
        if found:
            return Part(Progress(STREAMS, reached), len(found), partial(_make_streams, found=found))
    return Part(Progress(TAGS))


async def _new_stream(database: Database, each: OlderRepository) -> _NewStream | None:
    if not each.holds_manifests or unadopted.ASIDE in each.name:
        return None
    name = RepositoryName(each.name)
    if await document_rows.find(database, key_of(name)) is not None:
        return None
    created = await unadopted.first_push(database, each.id)
    return None if created is None else _NewStream(each.id, name, created)


def _make_streams(tx: Transaction, found: list[_NewStream]) -> None:
    for each in found:
        if repositories.find(tx, each.name) != each.id:
            continue  # gone, or deleted as a stream
        if DocumentUnit(tx).get(key_of(each.name)) is None and _is_project(tx, each.name):
            header = inherited.header(each.name, each.created)
            Stream.make(tx, each.name, header, Rules(each.name.project)).save()


def _is_project(tx: Transaction, name: RepositoryName) -> bool:
    """Whether the project is there to stay; if not, its repositories go with it."""
    try:
        projects.require(tx, name.project)
    except ProjectGone:
        return False
    return True


async def _next_tags(older: Older, progress: Progress) -> Part:
    place = (progress.id, progress.name)
    while page := await unadopted.tags(older.database, place, PART):
        place = (page[-1].repository_id, page[-1].name)
        found = [each for each in page if not each.known and unadopted.ASIDE not in each.repository]
        if found:
            return Part(Progress(TAGS, *place), len(found), partial(_take_tags, found=found))
    return Part(Progress(IMAGES))


def _take_tags(tx: Transaction, found: list[OlderTag]) -> None:
    for repository, tags in groupby(found, attrgetter("repository")):
        name = RepositoryName(repository)
        # what the project allows is for who adds something
        stream = Stream.open(tx, name, Rules(name.project))
        if stream is None:
            continue
        stream.touch()
        document = stream.save()
        if document is not None:
            names = [each.name for each in tags]
            unadopted.give_events(tx, stream.repository_id, name, names, document.revision)


class _NewImage(NamedTuple):
    repository: RepositoryName
    digest: Digest
    image: Image | None


async def _next_images(older: Older, progress: Progress) -> Part:
    reached = progress.id
    while page := await unadopted.manifests(older.database, reached, PAGE):
        found, reached = _fitting(page)
        made: list[_NewImage] = []
        for start in range(0, len(found), TOGETHER):
            some = found[start : start + TOGETHER]
            made += await asyncio.gather(*(_new_image(older, each) for each in some))
            await asyncio.sleep(0)  # requests come in between
        if found:
            return Part(Progress(IMAGES, reached), len(found), partial(_keep_images, made=made))
    return Part(Progress(DONE))


def _fitting(page: list[OlderManifest]) -> tuple[list[OlderManifest], int]:
    """The first manifests without an Image, as many as go into a unit; how far that is."""
    found: dict[Digest, OlderManifest] = {}
    reached = weight = 0
    for each in page:
        if not each.known and each.digest not in found:
            weight += each.size
            if found and (len(found) == PART or weight > PART_BYTES):
                break
            found[each.digest] = each
        reached = each.id
    return list(found.values()), reached


async def _new_image(older: Older, each: OlderManifest) -> _NewImage:
    """The Image of a manifest, as its push would have made it."""
    repository = RepositoryName(each.repository)
    found = await unadopted.content(older.database, each.digest)
    if found is None:
        return _NewImage(repository, each.digest, None)
    own = RepositoryName(each.repository.partition(unadopted.ASIDE)[0])
    config = await _config(older.database, repository, found.content)
    pushed = Pushed(own, each.digest, each.media_type, found.content, config, ())
    image = await pushes.prepare(older.database, older.store, older.hosts, pushed, found.pushed_at)
    return _NewImage(repository, each.digest, image)


def _keep_images(tx: Transaction, made: list[_NewImage]) -> None:
    for repository, images in groupby(made, attrgetter("repository")):
        new = [each for each in images if each.image is not None]
        live = manifests.known(tx, repository, [each.digest for each in new])
        for each in new:
            if each.digest in live:
                pushes.keep_image(tx, each.digest, each.image)


class _Descriptor(msgspec.Struct):
    digest: Any = None


class _Manifest(msgspec.Struct):
    config: _Descriptor | None = None


_DECODE = msgspec.json.Decoder(_Manifest).decode


async def _config(database: Database, repository: RepositoryName, content: bytes) -> Digest | None:
    """The configuration that a manifest names, if the repository may read it."""
    try:
        config = _DECODE(content).config
    except (msgspec.DecodeError, UnicodeError):
        return None
    named = None if config is None else config.digest
    if not isinstance(named, str) or not is_digest(named):
        return None
    digest = Digest(named)
    return None if await links.size(database, repository, digest) is None else digest


_NEXT = {STREAMS: _next_streams, TAGS: _next_tags, IMAGES: _next_images}
