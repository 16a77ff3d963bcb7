"""Pulls of manifests from a project that mirrors another registry, and how fresh they are.

    by digest    what is here is served; else it is fetched, once
    by tag       fresh    looked at within the freshness     served, nobody is asked
                 due      asked what the tag is (HEAD)       unchanged: served; else fetched
                 stale    it stays silent                    served as it was, with its age

Silent is who is down, slow, or wants to be asked later. That it has no such tag, or does not give
it, is an answer, and told. Who has a stale tag waits for an answer a short while, and nobody does
again while the registry stays silent: then she is served at once, and it is asked beside.
"""

import asyncio
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
from tidegate.registry.pull_through.manifests import RemoteManifests
from tidegate.registry.pull_through.mirroring import Known, Mirroring, NoMirror, Puller
from tidegate.registry.pull_through.refusals import is_silence, manifest_refusal
from tidegate.registry.request import Request
from tidegate.registry.response import Headers
from tidegate.remote.errors import ContentMissing, RemoteError, Unavailable

PATIENCE = 3.0
"""Seconds that a client waits for a registry to say what a tag is, when there is a stale one."""

SILENT = 30.0
"""Seconds after which a registry that stayed silent is asked about the same tag again."""

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
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
    ) -> None:
        self._database = database
        self._mirroring = mirroring
        self._elsewhere = elsewhere
        self._own = own
        self._freshness = freshness
        self._clock = clock
        self._patience = patience
        self._late: set[tuple[str, str]] = set()
        self._silent: dict[str, float] = {}  # registries, since when

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
            looking = self._mirroring.look(puller, proxied, reference)
            return Pulled(await _told(proxied, reference, looking), [])
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
        key = (str(proxied.repository), str(tag))
        silent_for = self._clock() - (known.check.failed_at or 0.0)
        if key in self._late or silent_for < SILENT:
            return self._stale(proxied, tag, known, Unavailable(known.check.error))
        puller = await self._puller(request, user, proxied)
        looking = asyncio.ensure_future(self._mirroring.look(puller, proxied, tag))
        host = proxied.location.host
        if known.check.failed_at is None and not self._is_silent(host):
            await asyncio.wait((looking,), timeout=self._patience)
        if not looking.done():
            self._silent[host] = self._clock()
            self._late.add(key)
            looking.add_done_callback(lambda done: self._heard(done, key, host))
            return self._stale(proxied, tag, known, None)
        try:
            found = looking.result()
        except RemoteError as error:
            if is_silence(error):
                self._silent[host] = self._clock()
                return self._stale(proxied, tag, known, error)
            raise _refusal(proxied, tag, error) from error
        self._silent.pop(host, None)
        return Pulled(found, [_age(0)])

    def _is_silent(self, host: str) -> bool:
        """Whether the registry did not answer about another tag just now."""
        return self._clock() - self._silent.get(host, -SILENT) < SILENT

    def _stale(self, proxied: Proxied, tag: Tag, known: Known, error: RemoteError | None) -> Pulled:
        """The tag as it was, unless it is older than the project bears."""
        age, limit = self._age(known), proxied.proxy.stale_limit
        if limit is not None and age > limit:
            raise _refusal(proxied, tag, error or Unavailable("no answer yet"))
        said = [STALE] if error is None else [STALE, FAILED]
        return Pulled(known.manifest, [_age(age), *said])

    def _heard(
        self, looking: "asyncio.Future[StoredManifest]", key: tuple[str, str], host: str
    ) -> None:
        """An answer that nobody waits for any more: it was written down."""
        self._late.discard(key)
        if not looking.cancelled() and looking.exception() is None:
            self._silent.pop(host, None)

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


def _refusal(proxied: Proxied, reference: Reference, error: RemoteError) -> RegistryError:
    source = proxied.location.at(reference)
    if isinstance(error, ContentMissing):
        return ManifestUnknown(f"there is no {source}")
    return manifest_refusal(error, source)


def _age(seconds: float) -> tuple[bytes, bytes]:
    return (b"age", str(int(seconds)).encode())


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
