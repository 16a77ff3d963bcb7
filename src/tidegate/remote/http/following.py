"""A call whose redirects are followed, one checked hop after the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from tidegate.remote.errors import DetourUnavailable, RemoteError, Unavailable
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.calls import Call, Calls
from tidegate.remote.http.redirects import REDIRECT_LIMIT, Hop, Origin, next_hop, origin_of, shown
from tidegate.remote.http.trust import Trust

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Trusting(Protocol):
    """Whoever calls: how far she trusts the servers that she is sent to."""

    @property
    def insecure(self) -> bool: ...

    def trust(self, origin: Origin) -> Trust: ...


@asynccontextmanager
async def followed(calls: Calls, call: Call, caller: Trusting) -> AsyncIterator[Answer]:
    """The answer at the end of the redirects; what changes something is sent nowhere else."""
    hop = Hop(call.url, call.headers)
    for _ in range(REDIRECT_LIMIT + 1):
        sent = replace(call, url=hop.url, headers=hop.headers)
        answered = False
        try:
            async with calls.open(sent, caller.trust(origin_of(hop.url))) as answer:
                answered = True
                target = answer.header("location")
                leads = call.method in ("GET", "HEAD") and answer.status in _REDIRECTS
                if not (leads and target):
                    yield answer
                    return
                hop = next_hop(hop, target, insecure=caller.insecure)
        except Unavailable as error:
            if answered or hop.url == call.url:
                raise
            raise DetourUnavailable(str(error)) from error
    raise RemoteError(f"{shown(call.url)}: more than {REDIRECT_LIMIT} redirects")
