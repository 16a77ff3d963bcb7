"""A request to a registry: when it may be made, with which proof of who asks, and what it teaches.

Every request to another registry goes through `Exchanges.open`: the budget and the breaker are
asked, the token is found or fetched, a 401 is answered once, and what the answer says of limits is
kept. Repeating is for the callers, who know what may be repeated.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tidegate.remote.admission import Admission
from tidegate.remote.answers import refusal
from tidegate.remote.budgets import Budgets, Urgency
from tidegate.remote.challenges import parse_challenges
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.errors import (
    InsecureOnly,
    LoopDetected,
    RateLimited,
    RemoteError,
    Unavailable,
)
from tidegate.remote.flights import Flights
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.calls import Body, Call, Calls
from tidegate.remote.http.following import followed
from tidegate.remote.http.redirects import Headers, Origin, origin_of
from tidegate.remote.http.trust import Trust
from tidegate.remote.location import Location
from tidegate.remote.memory import Memory
from tidegate.remote.peers import Peer, origin_at
from tidegate.remote.rate_limits import read_allowance
from tidegate.remote.tokens import Scopes, Tokens

VIA_HEADER = "X-Registry-Request-URL"
"""Lists what was asked on the way to us; OpenShift's registry has it from old, and looks at it."""
VIA_LIMIT = 16
"""Registries through which one request may have come."""

_SCHEME_LASTS = 600.0
"""Seconds for which an insecure registry is taken to speak what it spoke."""
_REMEMBERED = 1024

_FAILING = frozenset({502, 503, 504})
"""Statuses of a server that does not work, rather than of one that dislikes a request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a registry: `path` below `/v2/`, or the whole address it gave itself."""

    method: str
    path: str
    about: str
    """What errors are about."""
    scopes: Scopes = ()
    headers: Headers = ()
    body: Body = b""
    length: int | None = None
    counted: bool = False
    """Whether registries count it: manifests and tags."""
    patience: float | None = None
    """Seconds for the answer to begin, if not what all have."""
    large: bool = False
    """Whether it may take long: it waits for no other, and no other for it."""


class Exchanges:
    """Requests of one process to all registries."""

    def __init__(
        self,
        calls: Calls,
        budgets: Budgets,
        flights: Flights,
        clock: Callable[[], float],
        deadlines: Deadlines,
    ) -> None:
        self.deadlines = deadlines
        self._calls = calls
        self._budgets = budgets
        self._admission = Admission(budgets)
        self._flights = flights
        self._clock = clock
        self._tokens = Tokens(calls, flights, self._admission)
        self._schemes: Memory[str, str] = Memory(_REMEMBERED, time.monotonic)

    @asynccontextmanager
    async def open(
        self, peer: Peer, asked: Asked, urgency: Urgency, via: Sequence[str]
    ) -> AsyncIterator[Answer]:
        """The answer, whatever its status but 429; RemoteError's kinds otherwise."""
        url = asked.path if "://" in asked.path else f"{peer.origin}/v2/{asked.path}"
        headers = (*asked.headers, *_via(url, via))
        sent = asked.body, asked.length, asked.patience, asked.large
        call = Call(asked.method, url, headers, *sent)
        await self._admission.enter(
            peer.host, peer.account, asked.about, urgency, counted=asked.counted
        )
        header = ""
        if origin_of(url) == peer.origin:
            header = await self._tokens.known(peer, asked.scopes)
        for last in (False, True):
            async with self._answered(peer, call, header, counted=asked.counted) as answer:
                if answer.status == 401 and not last and origin_of(answer.url) == peer.origin:
                    challenges = parse_challenges(answer.headers("www-authenticate"))
                    other = await self._tokens.renewed(peer, challenges, asked.scopes, header)
                    if other:
                        header = other
                        continue
                if answer.status == 429:
                    raise await self._refusal(peer, asked, answer)
                yield answer
                return

    async def find(self, location: Location, *, insecure: bool) -> Origin:
        """Where a registry answers, and how: by TLS, unless it is insecure and has none."""
        secure = origin_at(location, scheme="https")
        if not insecure:
            return secure
        scheme = self._schemes.get(location.host)
        if scheme is None:
            key = ("scheme", location.host)
            scheme = await self._flights.share(key, lambda: self._probe(location))
            self._schemes.put(location.host, scheme, _SCHEME_LASTS)
        return origin_at(location, scheme=scheme)

    async def _probe(self, location: Location) -> str:
        """The scheme by which an insecure registry answers; without TLS only if there is none."""
        host, urgency = location.host, Urgency.NOW
        await self._admission.enter(host, "", host, urgency, counted=False)
        async with self._admission.watching(host):
            try:
                return await self._spoken(location, "https")
            except InsecureOnly:
                return await self._spoken(location, "http")
            except Unavailable:
                if ":" in location.authority:
                    raise  # the same port again
                return await self._spoken(location, "http")

    async def _spoken(self, location: Location, scheme: str) -> str:
        call = Call("GET", f"{origin_at(location, scheme=scheme)}/v2/")
        async with self._calls.open(call, Trust(verify=False)):
            return scheme

    @asynccontextmanager
    async def _answered(
        self, peer: Peer, call: Call, header: str, *, counted: bool
    ) -> AsyncIterator[Answer]:
        """The answer, and what it teaches of the registry; not what a server behind it does."""
        proof = (("Authorization", header),) if header else ()
        sent = replace(call, headers=(*call.headers, *proof))
        status = 0
        try:
            async with followed(self._calls, sent, peer) as answer:
                status = answer.status
                await self._learn(peer, answer)
                yield answer
        except Unavailable as error:
            # what is counted is read in this room, to its end: no failure but the registry's
            if status == 0 or (counted and status == 200):
                await self._admission.failed(peer.host, error)
            if status == 0 and peer.insecure:
                self._schemes.forget(peer.host)  # it may have got TLS since
            raise

    async def _learn(self, peer: Peer, answer: Answer) -> None:
        """Keep what an answer says of the registry."""
        itself = origin_of(answer.url) == peer.origin
        if itself and answer.status in _FAILING:
            await self._budgets.failed(peer.host, f"status {answer.status}")
            return
        await self._budgets.answered(peer.host)
        if itself and (found := read_allowance(answer.header, self._clock())):
            await self._budgets.learn(peer.host, peer.account, *found)

    async def _refusal(self, peer: Peer, asked: Asked, answer: Answer) -> RemoteError:
        anonymous = peer.credential is None
        error = await refusal(answer, asked.about, anonymous=anonymous, now=self._clock)
        if isinstance(error, RateLimited) and origin_of(answer.url) == peer.origin:
            await self._budgets.refused(peer.host, peer.account, error.retry_after)
        return error


def _via(url: str, via: Sequence[str]) -> Headers:
    """The headers that tell the next one on the way what was asked before; LoopDetected."""
    if url in via:
        raise LoopDetected(
            f"{url.partition('?')[0]} is asked by whom it asks: a loop of registries"
        )
    if len(via) >= VIA_LIMIT:
        raise LoopDetected(f"the request came through {len(via)} registries, more than sensible")
    return [(VIA_HEADER, each) for each in (*via, url)]
