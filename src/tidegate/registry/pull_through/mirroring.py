"""What a registry says of a tag or digest becomes what the stream that mirrors it has.

    look     HEAD: which digest is it? if it is not here, GET: stored, an event of the tag
    fetch    GET by digest: stored, without an event

Each is done once for all who want it at one moment, and goes on when they no longer wait, until the
process ends. Of an index the images are fetched when somebody pulls them. Who pulled is who made
the event; it takes no right beyond that to pull, and the project's limits hold.
"""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

import msgspec

from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.fetching import fetch_alone
from tidegate.images.imports.picturing import images_of, pull_spec
from tidegate.images.imports.storing import store as store_fetched
from tidegate.images.proxies import MIRRORS, Proxied
from tidegate.images.streams import inherited
from tidegate.images.streams.errors import TagImmutable
from tidegate.images.streams.opening import opened
from tidegate.images.streams.stream import IMPORT, Actor, Change, Stream, key_of
from tidegate.metastore import document_rows, manifests, projects, repositories, tag_checks
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.manifests import StoredManifest
from tidegate.metastore.tag_checks import TagCheck
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.oci.pull_spec import PullSpec
from tidegate.registry.errors import RepositoryUnknown
from tidegate.registry.pull_through.hearing import Hearing
from tidegate.registry.pull_through.refusals import is_silence, why
from tidegate.registry.pull_through.sources import Asking
from tidegate.remote.errors import RemoteError
from tidegate.remote.flights import Flights
from tidegate.remote.gateway import Registries
from tidegate.remote.location import Location


class Puller(NamedTuple):
    """Who pulls, and what asks other registries for her."""

    name: str
    asking: Asking


class Known(NamedTuple):
    """A tag as it was last seen at its registry."""

    manifest: StoredManifest
    check: TagCheck


class Look(NamedTuple):
    """A look that is under way: `told` once the registry has said what the tag is, `found` what it
    names, with all that had to be fetched."""

    told: asyncio.Event
    found: asyncio.Future[StoredManifest]

    async def wait(self, answer: float, rest: float) -> bool:
        """Whether it has ended, within `answer` seconds, or `rest` more once it is told."""
        telling = asyncio.ensure_future(self.told.wait())
        try:
            either = (self.found, telling)
            await asyncio.wait(either, timeout=answer, return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
        if self.told.is_set():
            await asyncio.wait((self.found,), timeout=rest)
        return self.found.done()


class NoMirror(RepositoryUnknown):
    """The stream that a name becomes mirrors another repository, or none at all."""


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Stream(msgspec.Struct):
    metadata: _Metadata


_HEADER = msgspec.json.Decoder(_Stream)


class Mirroring:
    """Streams of projects that mirror a registry; `hearing` learns how that answers."""

    def __init__(
        self, database: Database, hearing: Hearing, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._hearing = hearing
        self._clock = clock
        self._flights = Flights()
        self._told: dict[Hashable, asyncio.Event] = {}

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def known(self, proxied: Proxied, tag: Tag) -> Known | None:
        """The tag as it was last seen there, if that is here; whatever became of it since."""
        repository = proxied.repository
        check = await tag_checks.find(self._database, repository, tag)
        if check is None or not check.digest or check.upstream != proxied.location.at(tag):
            return None
        stored = await manifests.by_digest(self._database, repository, Digest(check.digest))
        return None if stored is None else Known(stored, check)

    async def require_mirror(self, proxied: Proxied) -> None:
        """Raise `NoMirror` unless the stream mirrors this repository, or is still to be made."""
        document = await document_rows.find(self._database, key_of(proxied.repository))
        if document is not None:
            annotations = _HEADER.decode(document.body).metadata.annotations
            _check(annotations or {}, proxied.repository, proxied.location)

    def look(self, puller: Puller, proxied: Proxied, tag: Tag) -> Look:
        """Look what the tag names there now, or join who does.

        What is found is the manifest; or RemoteError, `NoMirror`, and what rules of the project
        say.
        """
        key = ("tag", proxied.repository, str(proxied.location), tag)
        told = self._told.setdefault(key, asyncio.Event())

        async def work() -> StoredManifest:
            try:
                return await self._look(puller, proxied, tag, told)
            finally:
                self._told.pop(key, None)

        found = asyncio.ensure_future(self._flights.share(key, work))
        found.add_done_callback(_known_of)
        return Look(told, found)

    async def fetch(self, puller: Puller, proxied: Proxied, digest: Digest) -> StoredManifest:
        """A manifest that is there under that digest; raises as a look does."""
        key = ("digest", proxied.repository, str(proxied.location), digest)
        return await self._flights.share(key, lambda: self._fetch(puller, proxied, digest))

    async def _look(
        self, puller: Puller, proxied: Proxied, tag: Tag, told: asyncio.Event
    ) -> StoredManifest:
        registries = puller.asking.registries(insecure=False)
        try:
            digest = await self._digest(registries, proxied.location, tag)
            told.set()
            named = await manifests.by_tag(self._database, proxied.repository, tag)
            if named is not None and named.digest == digest:
                await self._seen(proxied, tag, digest)
                return named
            stored = await manifests.by_digest(self._database, proxied.repository, digest)
            fetched = None
            if stored is None:
                remote = await registries.manifest(proxied.location, digest)
                fetched = await fetch_alone(registries, remote)
                stored = StoredManifest(fetched.digest, fetched.media_type, fetched.content)
        except RemoteError as error:
            self._hear(proxied.location, error)
            await self._failed(proxied, tag, error)
            raise
        try:
            await self._write(puller, proxied, fetched, (tag, stored.digest))
        except TagImmutable:
            if named is None:
                raise
            await self._seen(proxied, tag, named.digest)  # whatever it is there: it is to stay
            return named
        return stored

    async def _digest(self, registries: Registries, location: Location, tag: Tag) -> Digest:
        """What the tag is there; how long the answer took is kept in mind."""
        began = time.monotonic()
        found = await registries.head(location, tag)
        self._hearing.answered(location.host, time.monotonic() - began)
        return found.digest

    def _hear(self, location: Location, error: RemoteError) -> None:
        if is_silence(error):
            self._hearing.failed(location.host)
        else:
            self._hearing.answered(location.host)

    async def _fetch(self, puller: Puller, proxied: Proxied, digest: Digest) -> StoredManifest:
        registries = puller.asking.registries(insecure=False)
        remote = await registries.manifest(proxied.location, digest)
        fetched = await fetch_alone(registries, remote)
        await self._write(puller, proxied, fetched, None)
        return StoredManifest(fetched.digest, fetched.media_type, fetched.content)

    async def _write(
        self,
        puller: Puller,
        proxied: Proxied,
        fetched: Fetched | None,
        tagged: tuple[Tag, Digest] | None,
    ) -> None:
        """Store what came, if anything did, and let the tag name its image."""
        now = self._clock()
        source = PullSpec.parse(str(proxied.location))
        images = {} if fetched is None else images_of(fetched, source, rfc3339_seconds(now))

        def unit(tx: Transaction) -> None:
            projects.require(tx, proxied.repository.project)
            stream = _mirror(tx, proxied, now)
            if fetched is not None and store_fetched(stream, fetched, images, now):
                stream.rules.check_storage(tx)
            if tagged is not None:
                tag, digest = tagged
                change = Change(pull_spec(source, digest), digest, stream.generation)
                stream.record(tag, change, Actor(puller.name, IMPORT, now))
                upstream = proxied.location.at(tag)
                tag_checks.seen(tx, stream.repository_id, tag, upstream, digest, now)
            stream.save()

        await self._database.write(unit)

    async def _seen(self, proxied: Proxied, tag: Tag, digest: Digest) -> None:
        upstream = proxied.location.at(tag)
        await tag_checks.note_seen(
            self._database, proxied.repository, tag, upstream, digest, self._clock()
        )

    async def _failed(self, proxied: Proxied, tag: Tag, error: RemoteError) -> None:
        """Note that the registry is silent; what it said before counts no more once it speaks."""
        now, upstream = self._clock(), proxied.location.at(tag)

        def unit(tx: Transaction) -> None:
            row = repositories.find(tx, proxied.repository)
            if row is None:
                return
            if is_silence(error):
                tag_checks.failed(tx, row, tag, upstream, why(error), now)
            else:
                tag_checks.forget(tx, row, tag)

        await self._database.write(unit, durable=False)


def _known_of(looking: "asyncio.Future[StoredManifest]") -> None:
    """Whoever waited has the failure; nobody has to have waited."""
    if not looking.cancelled():
        looking.exception()


def _mirror(tx: Transaction, proxied: Proxied, now: float) -> Stream:
    """The stream that mirrors the repository, made if need be."""
    stream = opened(tx, proxied.repository)
    if stream is None:
        header = inherited.header(proxied.repository, now)
        header.metadata.annotations = {MIRRORS: str(proxied.location)}
        return Stream.make(tx, proxied.repository, header)
    _check(stream.header.metadata.annotations, proxied.repository, proxied.location)
    return stream


def _check(annotations: dict[str, str], name: RepositoryName, location: Location) -> None:
    mirrored = annotations.get(MIRRORS)
    if mirrored == str(location):
        return
    other = f"mirrors {mirrored}" if mirrored else "mirrors no other registry"
    raise NoMirror(
        f"{location} would be stream {name.stream} of project {name.project}, which {other}"
    )
