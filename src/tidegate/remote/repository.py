"""One repository of one registry, as one caller reaches it: what the verbs work with.

Invariant: only what may be repeated is repeated: requests that change nothing, and only within
the patience of whoever waits.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from tidegate.remote.answers import refusal
from tidegate.remote.budgets import Urgency
from tidegate.remote.errors import (
    AccessDenied,
    Busy,
    ContentMissing,
    LeftAlone,
    NoRegistry,
    RemoteError,
    Unavailable,
)
from tidegate.remote.exchange import Asked, Exchanges
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.calls import Body
from tidegate.remote.http.redirects import Headers, Origin
from tidegate.remote.location import Location
from tidegate.remote.memory import Memory
from tidegate.remote.peers import Peer

T = TypeVar("T")

ATTEMPTS = 3

PULL, PUSH = "pull", "pull,push"

_API_VERSION = "docker-distribution-api-version"
_SIGNATURES = "x-registry-supports-signatures"
_PROVEN_FOR = 3600.0
"""Seconds for which a server that answered as a registry is taken for one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and on whose behalf: `via` are the addresses asked before us."""

    urgency: Urgency = Urgency.NOW
    via: Sequence[str] = ()


class Proofs:
    """Which servers have answered as registries do, and which of them keep signatures.

    `tags` has what tags were, by their ETags, where a registry tells no digest to a HEAD.
    """

    def __init__(self) -> None:
        self._proven: Memory[Origin, bool] = Memory(1024, time.monotonic)
        self.signing: Memory[Origin, bool] = Memory(1024, time.monotonic)
        self.tags: Memory[Hashable, tuple[str, object]] = Memory(4096, time.monotonic)

    def __contains__(self, origin: Origin) -> bool:
        return self._proven.get(origin) is not None

    def add(self, origin: Origin) -> None:
        self._proven.put(origin, True, _PROVEN_FOR)


class Repository:
    """A repository that is asked; `location` is a mirror's where a mirror is asked."""

    def __init__(
        self, location: Location, peer: Peer, exchanges: Exchanges, caller: Caller, proofs: Proofs
    ) -> None:
        self.location = location
        self.peer = peer
        self._exchanges = exchanges
        self._caller = caller
        self._proofs = proofs

    @property
    def patience(self) -> float:
        """Seconds for something small."""
        return self._exchanges.deadlines.patience(self._caller.urgency)

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        about: str,
        *,
        scopes: Sequence[str] = (),
        headers: Headers = (),
        body: Body = b"",
        length: int | None = None,
        counted: bool = False,
        patience: float | None = None,
        large: bool = False,
    ) -> AsyncIterator[Answer]:
        """The answer, whatever it is, to a request below the repository or at a given address."""
        place = path if "://" in path else f"{self.location.repository}/{path}"
        wanted = tuple(scopes) or (self.scope(PULL),)
        asked = Asked(method, place, about, wanted, headers, body, length, counted, patience, large)
        caller = self._caller
        async with self._exchanges.open(self.peer, asked, caller.urgency, caller.via) as answer:
            if answer.status == 200 or answer.header(_API_VERSION):
                self._proofs.add(self.peer.origin)
            if answer.header(_SIGNATURES):
                self._proofs.signing.put(self.peer.origin, True, _PROVEN_FOR)
            yield answer

    @property
    def keeps_signatures(self) -> bool:
        """Whether its server has said that it keeps simple signatures."""
        return self._proofs.signing.get(self.peer.origin) is not None

    def scope(self, actions: str, repository: str = "") -> str:
        """What a token is for, as distribution's token servers read it."""
        return f"repository:{repository or self.location.repository}:{actions}"

    def recall(self, reference: str) -> tuple[str, object]:
        """The ETag that a tag had for this caller, and what was kept with it; empty and None."""
        return self._proofs.tags.get(self._key(reference)) or ("", None)

    def keep(self, reference: str, etag: str, found: object) -> None:
        """Remember a tag by its ETag."""
        self._proofs.tags.put(self._key(reference), (etag, found), _PROVEN_FOR)

    def _key(self, reference: str) -> Hashable:
        """Never what somebody else was told: she may not see what the registry has for others."""
        peer = self.peer
        return peer.origin, peer.insecure, peer.credential, self.location, reference

    async def refusal(self, answer: Answer, about: str) -> RemoteError:
        """The error that an answer is."""
        error = await refusal(answer, about, anonymous=self.peer.credential is None)
        if isinstance(error, ContentMissing) and not await self._is_registry(answer):
            return NoRegistry(f"{self.peer.origin} is no registry: it knows no /v2/")
        return error

    async def pause(self, attempt: int) -> None:
        """Wait before trying again, each time longer, and never as long as everybody else."""
        longest = self._exchanges.deadlines.pause * 2.0 ** (attempt - 1)
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  no secret

    async def patiently(self, work: Callable[[], Awaitable[T]], about: str) -> T:
        """Do what may be repeated until it succeeds, within the caller's patience."""
        try:
            async with asyncio.timeout(self.patience):
                for attempt in range(1, ATTEMPTS):
                    try:
                        return await work()
                    except (Busy, LeftAlone):
                        raise
                    except Unavailable:
                        await self.pause(attempt)
                return await work()
        except TimeoutError as error:
            raise Unavailable(f"{about}: not within {self.patience:g} s") from error

    async def _is_registry(self, answer: Answer) -> bool:
        """Whether a server that does not know something speaks the protocol at all."""
        if self.peer.origin in self._proofs or answer.header(_API_VERSION):
            return True
        base = f"{self.peer.origin}/v2/"
        try:
            async with self.ask("GET", base, base) as found:
                knows = "html" not in found.header("content-type")
                proven = found.status == 200 and knows
                asks = found.status == 401 and bool(found.header("www-authenticate"))
        except AccessDenied:
            return True
        if proven:
            self._proofs.add(self.peer.origin)
        return proven or asks
