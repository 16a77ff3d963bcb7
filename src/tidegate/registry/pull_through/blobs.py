"""Pulls of blobs that a repository names and has not: out of a copy, or from where they are.

    named by no live manifest of the repository      404, whatever is here
    a copy, and the repository was given the blob    the copy; nobody is asked
    a copy of the same registry's blob               that registry is asked for the size first
    no copy                                          the registry's bytes, as they come in

So what one project has brought here is told to nobody whom the other registry would not tell it.
"""

import logging
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from tidegate.apimachinery.store import ObjectStore
from tidegate.images import origins
from tidegate.images.origins import WantedBlob
from tidegate.metastore import cached
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import MetastoreError
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.registry.blob_answers import answered, unchanged, wanted_range
from tidegate.registry.errors import BlobUnknown
from tidegate.registry.pull_through.fill import Fill
from tidegate.registry.pull_through.fills import Fills
from tidegate.registry.pull_through.flow import Flow, PassedOn, Passing, Reading
from tidegate.registry.pull_through.orders import FillStopped, NoRoom, Order
from tidegate.registry.pull_through.refusals import blob_refusal
from tidegate.registry.pull_through.room import Room
from tidegate.registry.pull_through.sources import Asking, Sources, sources_of, together
from tidegate.registry.request import Request
from tidegate.registry.response import Part, Response, Window
from tidegate.remote.errors import ContentInvalid, RemoteError
from tidegate.remote.gateway import Gateway
from tidegate.storage.blobs import OpenBlob
from tidegate.storage.cache import BlobCache
from tidegate.storage.errors import StorageError
from tidegate.storage.fills import Hashed

_LOG = logging.getLogger(__name__)

_TRIES = 3
"""Fills that may be stopped, by the last of their readers, while one more is about to join."""


class RemoteBlobs:
    """Blobs that are elsewhere. `own` are the hosts of this registry; `keeps` names projects of
    which everything is kept."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        gateway: Gateway,
        cache: BlobCache,
        room: Room,
        own: Callable[[], Collection[str]],
        keeps: Callable[[str], bool] = lambda _project: False,
    ) -> None:
        self._database = database
        self._store = store
        self._gateway = gateway
        self._cache = cache
        self._room = room
        self._own = own
        self._keeps = keeps
        self._fills = Fills(cache, room, self._ended)

    async def pull(self, request: Request, repository: RepositoryName, digest: Digest) -> Response:
        """GET and HEAD, as `Blobs.pull`; `BlobUnknown`, `TooManyRequests`."""
        allowed = await cached.may_read(self._database, repository, digest)
        if allowed is None:
            raise BlobUnknown
        known = unchanged(request, digest)
        if known is not None:
            return known
        copy = self.copy(digest) if allowed else None
        if copy is not None:
            return await self._of_copy(request, digest, copy)
        return await self._from_elsewhere(request, repository, digest)

    def copy(self, digest: Digest) -> OpenBlob | None:
        """A copy of the blob, for who may read it."""
        copy = self._cache.open(digest)
        if copy is not None:
            self._room.use(digest)
        return copy

    async def close(self) -> None:
        """End what is coming in, as the process does."""
        await self._fills.close()

    async def _of_copy(self, request: Request, digest: Digest, copy: OpenBlob) -> Response:
        async def open_part(offset: int, count: int) -> Window:
            return Window(copy, offset, count)

        return await answered(request, digest, copy.size, open_part)

    async def bring(
        self, request: Request, repository: RepositoryName, digest: Digest
    ) -> OpenBlob | None:
        """The whole blob, for somebody who needs it here; None when it cannot be had."""
        if await cached.may_read(self._database, repository, digest):
            copy = self.copy(digest)
            if copy is not None:
                return copy
        try:
            pull, sources = await self._asked(request, repository, digest)
        except BlobUnknown:
            return None
        for each in sources:
            try:
                return await self._whole(pull, each)
            except (RemoteError, StorageError, NoRoom, FillStopped) as error:
                _LOG.info("%s does not come from %s: %s", digest, each.host, error)
        return None

    async def _asked(
        self, request: Request, repository: RepositoryName, digest: Digest
    ) -> tuple["_Pull", list[Sources]]:
        """What is asked for, and where it may be had."""
        keep = self._keeps(repository.project)
        wanted = await origins.of_blob(self._database, repository, digest, self._own(), keep=keep)
        if wanted is None or not wanted.candidates:
            raise BlobUnknown
        asking = await Asking.of(self._gateway, self._store, repository.project, request)
        sources = sources_of(asking, digest, wanted.candidates)
        return _Pull(request, repository, digest, wanted), sources

    async def _from_elsewhere(
        self, request: Request, repository: RepositoryName, digest: Digest
    ) -> Response:
        pull, sources = await self._asked(request, repository, digest)
        errors: list[RemoteError] = []
        for each in sources:
            try:
                return await self._from(pull, each)
            except RemoteError as error:
                errors.append(error)
        raise blob_refusal(together(errors), [each.host for each in sources]) from errors[0]

    async def _from(self, pull: "_Pull", sources: Sources) -> Response:
        """The answer with what one registry has."""
        size = pull.wanted.size
        copy = await self._shared_copy(pull, sources)
        if copy is not None:
            return await self._of_copy(pull.request, pull.digest, copy)
        if size is None or pull.request.method == "HEAD":
            size = _checked(await sources.size(), pull)
        if pull.request.method == "HEAD":
            return await answered(pull.request, pull.digest, size, _unread)
        return await self._flowing(pull, sources, _order(pull, sources, size))

    async def _whole(self, pull: "_Pull", sources: Sources) -> OpenBlob:
        """All of what one registry has."""
        copy = await self._shared_copy(pull, sources)
        if copy is not None:
            return copy
        size = pull.wanted.size
        if size is None:
            size = await sources.size()
        reading = await self._join(pull, sources, _order(pull, sources, size))
        try:
            await reading.beyond(max(size - 1, 0))  # which nobody sees before all is verified
            return self._cache.opened(os.dup(reading.fd), size)
        finally:
            reading.close()

    async def _shared_copy(self, pull: "_Pull", sources: Sources) -> OpenBlob | None:
        """A copy of what this registry gave somebody else, once it has said that it is for us."""
        if sources.host not in await cached.hosts(self._database, pull.digest):
            return None
        copy = self.copy(pull.digest)
        if copy is None or await cached.may_read(self._database, pull.repository, pull.digest):
            return copy  # that we were given it was just being written down
        try:
            await sources.size()
        except BaseException:
            copy.close()
            raise
        await self._note(partial(_admit, {pull.repository}, pull.digest, sources.host))
        return copy

    async def _flowing(self, pull: "_Pull", sources: Sources, order: Order) -> Response:
        """The answer whose body is what comes in, from its first byte on."""
        wanted_range(pull.request, pull.digest, order.size)  # one that has none starts nothing
        for _ in range(_TRIES):
            try:
                reading = await self._join(pull, sources, order)
                return await self._read(pull, reading)
            except FillStopped:
                continue
            except NoRoom as error:
                return await self._passed_on(pull, order, error.hashed)
            except StorageError as error:
                _LOG.warning("%s cannot be kept: %s", pull.digest, error)
                return await self._passed_on(pull, order, None)
        raise BlobUnknown

    async def _read(self, pull: "_Pull", reading: Reading) -> Response:
        async def open_part(offset: int, count: int) -> Part:
            return Flow(reading, offset, count)

        try:
            return await answered(pull.request, pull.digest, reading.fill.order.size, open_part)
        except BaseException:
            reading.close()
            raise

    async def _join(self, pull: "_Pull", sources: Sources, order: Order) -> Reading:
        """A place in the fill, who has it being who may: its registry gave us something of the
        blob, or says that it would."""
        fill = await self._fills.begin(order)
        reading = Reading(fill, pull.request)
        try:
            if pull.repository not in fill.admitted:
                if fill.order is order:
                    await reading.beyond(0)
                if fill.order is not order or not fill.brought:
                    await sources.size()
                fill.admitted.add(pull.repository)
            await reading.beyond(0)
        except BaseException:
            reading.close()
            raise
        return reading

    async def _passed_on(self, pull: "_Pull", order: Order, begun: Hashed | None) -> Response:
        passing = Passing(order, begun)
        await passing.begin()

        async def open_part(offset: int, count: int) -> Part:
            return PassedOn(passing, offset, count)

        return await answered(pull.request, pull.digest, order.size, open_part)

    async def _ended(self, fill: Fill) -> None:
        """Write down what a fill has brought, for whoever read it."""
        order = fill.order
        if not order.keep:
            return
        now, admitted = time.time(), frozenset(fill.admitted)

        def unit(tx: Transaction) -> None:
            if fill.kept:
                cached.store(tx, order.digest, order.size, now, now)
            _admit(admitted, order.digest, order.host, tx)

        if fill.kept:
            self._room.taken(order.size)
        await self._note(unit)

    async def _note(self, unit: Callable[[Transaction], None]) -> None:
        try:
            await self._database.write(unit, durable=False)
        except MetastoreError as error:
            _LOG.warning("a copy of a blob is not written down: %s", error)


@dataclass(frozen=True, slots=True)
class _Pull:
    """What is asked for, by whom."""

    request: Request
    repository: RepositoryName
    digest: Digest
    wanted: WantedBlob


def _order(pull: _Pull, sources: Sources, size: int) -> Order:
    return Order(pull.digest, size, sources.host, partial(sources.fetch, size), pull.wanted.keep)


def _checked(size: int, pull: _Pull) -> int:
    """The size that a registry says, which has to be the manifest's."""
    if pull.wanted.size not in (None, size):
        raise ContentInvalid(f"{pull.digest} has {size} bytes, its manifest says otherwise")
    return size


async def _unread(_offset: int, _count: int) -> Part:
    raise AssertionError("a HEAD opens nothing")


def _admit(repositories: Collection[str], digest: Digest, host: str, tx: Transaction) -> None:
    for repository in sorted(repositories):
        cached.admit(tx, RepositoryName(repository), digest, host)
