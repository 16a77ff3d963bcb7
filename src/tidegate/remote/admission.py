"""Whether a server may be asked now, and what its failures teach: between requests and budgets.

A registry, the server of its tokens, and the question whether a registry speaks TLS are all treated
so. What is no failure of the server (its pool is full here, a server that it leads to is gone) is
not counted as one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tidegate.remote.answers import one_line
from tidegate.remote.budgets import Budgets, Urgency
from tidegate.remote.errors import (
    AccessDenied,
    Busy,
    ContentInvalid,
    ContentMissing,
    DetourUnavailable,
    LeftAlone,
    RateLimited,
    Unavailable,
)

BRIEF = 2.0
"""Seconds that a request waits by itself for what a registry allows; for more it is refused."""


class Admission:
    """The way of all requests to what is known of servers."""

    def __init__(self, budgets: Budgets) -> None:
        self.budgets = budgets

    async def enter(
        self, host: str, account: str, about: str, urgency: Urgency, *, counted: bool
    ) -> None:
        """Return when the request may be made, which is then taken as made.

        RateLimited says for how long not, LeftAlone too, and why.
        """
        left = BRIEF
        while True:
            seconds, why = await self.budgets.wait(host, account, urgency, counted=counted)
            if seconds <= 0:
                return
            if why:
                raise LeftAlone(
                    f"{about}: {host} is not asked for {seconds:.0f} s, "
                    f"as it failed again and again: {why}",
                    seconds,
                )
            if seconds > left:
                raise RateLimited(
                    f"{about}: what {host} allows is used up for {seconds:.0f} s", seconds
                )
            left -= seconds
            await asyncio.sleep(seconds)

    async def failed(self, host: str, error: Unavailable) -> None:
        """Count a failure, unless it is none of the server's."""
        if isinstance(error, DetourUnavailable):
            await self.budgets.answered(host)
        elif not isinstance(error, Busy | LeftAlone):
            await self.budgets.failed(host, one_line(str(error)))

    @asynccontextmanager
    async def watching(self, host: str) -> AsyncIterator[None]:
        """Count what happens to a short call as a failure or an answer of the server."""
        try:
            yield
        except Unavailable as error:
            await self.failed(host, error)
            raise
        except RateLimited as error:
            await self.budgets.refused(host, "", error.retry_after)
            raise
        except (AccessDenied, ContentInvalid, ContentMissing):
            await self.budgets.answered(host)
            raise
        else:
            await self.budgets.answered(host)
