"""Pulls of manifests from a project that mirrors another registry, and how fresh they are.

    by digest    what is here is served; else it is fetched, once
    by tag       fresh    looked at within the freshness     served, nobody is asked
                 due      asked what the tag is (HEAD)       unchanged: served; else fetched
                 stale    it stays silent                    served as it was, with its age

Silent is who is down, slow, or wants to be asked later. That it has no such tag, or does not give
it, is an answer, and told. Who has a stale tag waits for an answer a short while (`hearing` says
how long), and nobody does again while the registry stays silent: then she is served at once, and it
is asked beside.
"""

import math
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from tidegate.images.proxies import Proxied
from tidegate.metastore import manifests
from tidegate.metastore.database import Database
from tidegate.metastore.manifests import StoredManifest
from tidegate.oci.digest import Digest
from tidegate.oci.name import Reference, Tag
from tidegate.registry.errors import ManifestUnknown, RegistryError
from tidegate.registry.pull_through.hearing import SILENT, Hearing
from tidegate.registry.pull_through.manifests import RemoteManifests
from tidegate.registry.pull_through.mirroring import Known, Look, Mirroring, NoMirror, Puller
from tidegate.registry.pull_through.refusals import is_silence, manifest_refusal
from tidegate.registry.request import Request
from tidegate.registry.response import Headers
from tidegate.remote.errors import ContentMissing, RemoteError, Unavailable

STALE = (b"warning", b'110 - "Response is Stale"')
FAILED = (b"warning", b'111 - "Revalidation Failed"')
"""RFC 7234, 5.5: what caches say of what they could not make sure of."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A manifest with the headers that tell how old what is known of its tag is."""

    manifest: StoredManifest
    headers: Headers


class ProxiedManifests:
    """Manifests of projects that mirror a registry; `freshness` in seconds, where no project says.

    `own` are the hosts of this registry.
    """

    def __init__(
        self,
        database: Database,
        mirroring: Mirroring,
        elsewhere: RemoteManifests,
        own: Callable[[], Collection[str]],
        freshness: float,
        hearing: Hearing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._mirroring = mirroring
        self._elsewhere = elsewhere
        self._own = own
        self._freshness = freshness
        self._hearing = hearing
        self._clock = clock
        self._late: dict[tuple[str, str], float] = {}  # tags that were asked about, and when

    async def pull(
        self, request: Request, user: str, proxied: Proxied, reference: Reference
    ) -> Pulled:
        """The manifest. Raises `ManifestUnknown`, `PullThroughFailed`, `TooManyRequests`,
        `NoMirror`, and what rules of the project say."""
        if proxied.location.host in self._own():
            raise NoMirror(f"project {proxied.repository.project} mirrors this very registry")
        if isinstance(reference, Digest):
            return Pulled(await self._by_digest(request, user, proxied, reference), [])
        known = await self._mirroring.known(proxied, reference)
        if known is None:
            await self._mirroring.require_mirror(proxied)
            puller = await self._puller(request, user, proxied)
            look = self._mirroring.look(puller, proxied, reference)
            return Pulled(await _told(proxied, reference, look.found), [])
        age = self._age(known)
        if age < _or(proxied.proxy.freshness, self._freshness):
            return Pulled(known.manifest, [_age(age)])
        return await self._revalidated(request, user, proxied, reference, known)

    async def _by_digest(
        self, request: Request, user: str, proxied: Proxied, digest: Digest
    ) -> StoredManifest:
        repository = proxied.repository
        stored = await manifests.by_digest(self._database, repository, digest)
        if stored is None:
            stored = await self._elsewhere.pull(request, repository, digest)
        if stored is None:
            await self._mirroring.require_mirror(proxied)
            puller = await self._puller(request, user, proxied)
            fetching = self._mirroring.fetch(puller, proxied, digest)
            stored = await _told(proxied, digest, fetching)
        return stored

    async def _revalidated(
        self, request: Request, user: str, proxied: Proxied, tag: Tag, known: Known
    ) -> Pulled:
        """A tag that is due: as it is now, or as it was if its registry stays silent."""
        key, now, host = (str(proxied.repository), str(tag)), self._clock(), proxied.location.host
        failed_at = known.check.failed_at
        patience = self._patience(proxied, known, self._late.get(key))
        is_asked = key in self._late and not patience
        if is_asked or (failed_at is not None and now - failed_at < SILENT):
            return self._stale(proxied, tag, known, _failure(known))
        look = self._mirroring.look(await self._puller(request, user, proxied), proxied, tag)
        if not await look.wait(patience, self._hearing.longest):
            if not look.told.is_set() and (patience or self._hearing.is_silent(host)):
                self._hearing.unanswered(host, now)
            self._leave(look, key, now)
            return self._stale(proxied, tag, known, _failure(known))
        try:
            return Pulled(look.found.result(), [_age(0)])
        except RemoteError as error:
            if is_silence(error):
                return self._stale(proxied, tag, known, error)
            raise _refusal(proxied, tag, error) from error

    def _patience(self, proxied: Proxied, known: Known, asked: float | None) -> float:
        """Seconds to wait for an answer; what may not be served stale is worth the most."""
        host, age = proxied.location.host, self._age(known)
        if not _is_borne(proxied, age):
            return self._hearing.patience(host, math.inf, asked)
        if known.check.failed_at is not None:
            return 0.0
        overdue = age - _or(proxied.proxy.freshness, self._freshness)
        return self._hearing.patience(host, overdue, asked)

    def _leave(self, look: Look, key: tuple[str, str], since: float) -> None:
        """Wait no longer for an answer; when it comes it is written down, whoever waits."""
        if key not in self._late:
            self._late[key] = since
            look.found.add_done_callback(lambda _: self._late.pop(key, None))

    def _stale(self, proxied: Proxied, tag: Tag, known: Known, error: RemoteError | None) -> Pulled:
        """The tag as it was, unless it is older than the project bears."""
        age = self._age(known)
        if not _is_borne(proxied, age):
            raise _refusal(proxied, tag, error or Unavailable("no answer yet"))
        said = [STALE] if error is None else [STALE, FAILED]
        return Pulled(known.manifest, [_age(age), *said])

    def _age(self, known: Known) -> float:
        return max(0.0, self._clock() - known.check.checked_at)

    async def _puller(self, request: Request, user: str, proxied: Proxied) -> Puller:
        return Puller(user, await self._elsewhere.asking(request, proxied.repository.project))


async def _told(
    proxied: Proxied, reference: Reference, work: Awaitable[StoredManifest]
) -> StoredManifest:
    """What `work` gives, its failure as the client is to hear it."""
    try:
        return await work
    except RemoteError as error:
        raise _refusal(proxied, reference, error) from error


def _failure(known: Known) -> RemoteError | None:
    """What went wrong with the last look, if that is known."""
    return None if known.check.failed_at is None else Unavailable(known.check.error)


def _refusal(proxied: Proxied, reference: Reference, error: RemoteError) -> RegistryError:
    source = proxied.location.at(reference)
    if isinstance(error, ContentMissing):
        return ManifestUnknown(f"there is no {source}")
    return manifest_refusal(error, source)


def _is_borne(proxied: Proxied, age: float) -> bool:
    """Whether the project has a tag of that age served."""
    limit = proxied.proxy.stale_limit
    return limit is None or age <= limit


def _age(seconds: float) -> tuple[bytes, bytes]:
    return (b"age", str(int(seconds)).encode())


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
