"""The one gateway to other registries, and to whatever else is called by HTTP.

`Gateway` is made once in a process; `registries` gives what one caller may do, with her
credentials. Mirrors are tried in their order, then the registry itself. What two callers with the
same credentials want at the same moment is asked once.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import httpcore

from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor
from tidegate.remote import blobs, manifests, pushing, referrers, signatures, tags
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.blobs import RemoteBlob
from tidegate.remote.budgets import Budgets
from tidegate.remote.budgets import Urgency as Urgency
from tidegate.remote.credentials import NO_KEYS, Keyring
from tidegate.remote.deadlines import DEADLINES, Deadlines
from tidegate.remote.errors import RegistryBlocked, RemoteError, SourcesFailed
from tidegate.remote.exchange import Exchanges
from tidegate.remote.flights import Flights
from tidegate.remote.http.calls import Calls
from tidegate.remote.http.network import Network
from tidegate.remote.location import Location, is_digest
from tidegate.remote.manifests import Found as Found
from tidegate.remote.manifests import RemoteManifest as RemoteManifest
from tidegate.remote.peers import Peer, check_location, check_reference
from tidegate.remote.repository import Caller, Proofs, Repository
from tidegate.remote.rules import RegistryRules, Source
from tidegate.remote.web import Web

T = TypeVar("T")


class Gateway:
    """Calls of one process; make it in the event loop that uses it, after the last fork.

    `rules` gives those in force at the moment; `network` takes the place of the real one.
    """

    def __init__(
        self,
        rules: Callable[[], RegistryRules],
        addresses: AddressPolicy,
        budgets: Budgets,
        *,
        clock: Callable[[], float] = time.time,
        network: httpcore.AsyncNetworkBackend | None = None,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        self._rules = rules
        self._flights = Flights()
        self._calls = Calls(network or Network(addresses), deadlines)
        self._exchanges = Exchanges(self._calls, budgets, self._flights, clock, deadlines)
        self._proofs = Proofs()

    def registries(
        self,
        keyring: Keyring = NO_KEYS,
        *,
        insecure: bool = False,
        urgency: Urgency = Urgency.NOW,
        via: Sequence[str] = (),
        mirrors: bool = True,
    ) -> "Registries":
        """Other registries, for who has these credentials.

        Without `mirrors` each is asked itself, as who writes to it has to; `insecure` is the
        caller's wish for the registry itself, beside the rules; `via` are the addresses that the
        request which is served came through (`exchange.VIA_HEADER`).
        """
        caller = Caller(urgency, tuple(via))
        rules = self._rules if mirrors else self._unmirrored
        return Registries(
            rules, self._exchanges, self._flights, self._proofs, keyring, insecure, caller
        )

    def web(self) -> Web:
        """Plain calls to anywhere, for webhooks and gates."""
        return Web(self._calls, self._rules)

    def _unmirrored(self) -> RegistryRules:
        return replace(self._rules(), digest_mirrors=(), tag_mirrors=())

    async def close(self) -> None:
        """End what is under way and let go of every connection."""
        await self._flights.close()
        await self._calls.close()


class Registries:
    """Other registries, with one set of credentials; every method raises RemoteError's kinds."""

    def __init__(
        self,
        rules: Callable[[], RegistryRules],
        exchanges: Exchanges,
        flights: Flights,
        proofs: Proofs,
        keyring: Keyring,
        insecure: bool,
        caller: Caller,
    ) -> None:
        self._rules = rules
        self._exchanges = exchanges
        self._flights = flights
        self._proofs = proofs
        self._keyring = keyring
        self._insecure = insecure
        self._caller = caller

    async def head(self, location: Location, reference: str) -> Found:
        """What a tag or digest is."""
        check_reference(reference)
        about = location.at(reference)

        async def work(repository: Repository) -> Found:
            found = await repository.patiently(lambda: manifests.head(repository, reference), about)
            return replace(found, location=location, mirror=_mirror(repository, location))

        return await self._shared("head", location, reference, work)

    async def manifest(self, location: Location, reference: str) -> RemoteManifest:
        """A manifest's bytes, verified, at most `oci.manifest.MANIFEST_LIMIT`."""
        check_reference(reference)
        about = location.at(reference)

        async def work(repository: Repository) -> RemoteManifest:
            found = await repository.patiently(lambda: manifests.get(repository, reference), about)
            return replace(found, location=location, mirror=_mirror(repository, location))

        return await self._shared("manifest", location, reference, work)

    async def blob_size(self, location: Location, digest: Digest) -> int:
        """How many bytes a blob has."""
        about = f"{location}: blob {digest}"

        async def work(repository: Repository) -> int:
            return await repository.patiently(lambda: blobs.size(repository, digest), about)

        return await self._first(location, work, by_digest=True)

    @asynccontextmanager
    async def blob(
        self,
        location: Location,
        digest: Digest,
        *,
        offset: int = 0,
        size: int | None = None,
        turn: int = 0,
        verify: bool = True,
    ) -> AsyncIterator[RemoteBlob]:
        """A blob, or `size` bytes of it from `offset` on; compare its size before storing it.

        `turn` says how often it went wrong after it had begun: then another source comes first.
        Without `verify` its bytes are whatever came: for who hashes them anyway, in a thread.
        """
        async with AsyncExitStack() as stack:

            async def work(repository: Repository) -> RemoteBlob:
                return await stack.enter_async_context(
                    blobs.opened(repository, digest, offset, size, verify=verify)
                )

            sources = self._sources(location, by_digest=True)
            first = turn % len(sources)
            yield await self._tried(sources[first:] + sources[:first], work)

    async def tags(self, location: Location) -> list[str]:
        """The tags of a repository, all pages of them, within limits."""

        async def work(repository: Repository) -> list[str]:
            return await tags.listed(repository)

        return await self._first(location, work, by_digest=False)

    async def referrers(self, location: Location, digest: Digest) -> list[Descriptor]:
        """The manifests whose subject is `digest`."""

        async def work(repository: Repository) -> list[Descriptor]:
            return await repository.patiently(
                lambda: referrers.listed(repository, digest), f"{location}: referrers"
            )

        return await self._first(location, work, by_digest=True)

    async def has_blob(self, location: Location, digest: Digest) -> bool:
        """Whether the registry itself has a blob; mirrors are for reading."""
        repository = await self._own(location)
        about = f"{location}: blob {digest}"
        return await repository.patiently(lambda: pushing.has_blob(repository, digest), about)

    async def mount_blob(self, location: Location, digest: Digest, source_repository: str) -> bool:
        """Take a blob over from another repository of the same registry, if it lets us."""
        check_location(replace(location, repository=source_repository))
        return await pushing.mount_blob(await self._own(location), digest, source_repository)

    async def push_blob(
        self,
        location: Location,
        digest: Digest,
        size: int,
        content: pushing.Content,
        session: pushing.Session = pushing.Unkept(),  # noqa: B008  it has no state
    ) -> None:
        """Push `size` bytes; `content` gives those from an offset on, again after a cut."""
        await pushing.push_blob(await self._own(location), digest, size, content, session)

    async def push_manifest(
        self, location: Location, reference: str, media_type: str, content: bytes
    ) -> None:
        """Push a manifest under a tag, or under its own digest."""
        check_reference(reference)
        repository = await self._own(location)
        await repository.patiently(
            lambda: pushing.push_manifest(repository, reference, media_type, content),
            location.at(reference),
        )

    async def _own(self, location: Location) -> Repository:
        """The repository itself, to be written to."""
        check_location(location)
        rules = self._rules()
        if rules.is_blocked(location):
            raise RegistryBlocked(f"registry {location.host} blocked")
        insecure = self._insecure or rules.is_insecure(location)
        return await self._repository(Source(location, insecure, mirror=False))

    async def signatures(self, location: Location, digest: Digest) -> list[bytes]:
        """Simple signatures of an image, of a registry that has said that it keeps such."""

        async def work(repository: Repository) -> list[bytes]:
            return await repository.patiently(lambda: signatures.of(repository, digest), about)

        about = f"{location.at(digest)}: signatures"
        return await self._first(location, work, by_digest=True)

    async def _shared(
        self,
        kind: str,
        location: Location,
        reference: str,
        work: Callable[[Repository], Awaitable[T]],
    ) -> T:
        """What `work` gives, or what it gives to somebody with the same credentials just now."""
        by_digest = is_digest(reference)
        sources = self._sources(location, by_digest=by_digest)
        credentials = tuple(self._keyring.find(each.location) for each in sources)
        key = (kind, location, reference, tuple(sources), credentials, self._caller)
        return await self._flights.share(key, lambda: self._tried(sources, work))

    async def _first(
        self,
        location: Location,
        work: Callable[[Repository], Awaitable[T]],
        *,
        by_digest: bool,
    ) -> T:
        return await self._tried(self._sources(location, by_digest=by_digest), work)

    async def _tried(
        self, sources: Iterable[Source], work: Callable[[Repository], Awaitable[T]]
    ) -> T:
        """What `work` gives for the first source that gives anything."""
        errors: list[RemoteError] = []
        for source in sources:
            try:
                return await work(await self._repository(source))
            except RemoteError as error:
                errors.append(error)
        raise errors[0] if len(errors) == 1 else SourcesFailed(errors)

    def _sources(self, location: Location, *, by_digest: bool) -> list[Source]:
        check_location(location)
        found = self._rules().sources(location, by_digest=by_digest)
        return [
            each if each.mirror else each._replace(insecure=each.insecure or self._insecure)
            for each in found
        ]

    async def _repository(self, source: Source) -> Repository:
        location, insecure, _ = source
        check_location(location)
        peer = Peer(
            location.host,
            await self._exchanges.find(location, insecure=insecure),
            self._rules(),
            insecure,
            self._keyring.find(location),
        )
        return Repository(location, peer, self._exchanges, self._caller, self._proofs)


def _mirror(repository: Repository, location: Location) -> Location | None:
    return None if repository.location == location else repository.location
