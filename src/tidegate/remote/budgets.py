"""What a registry lets us ask of it, and whether it answers at all: the port.

All processes share the answer, so it is kept in the database, which this room does not know:
`metastore.upstreams.Upstreams` is made to this form. `NoBudgets` is for a command that runs alone.
"""

from enum import IntEnum
from typing import Protocol


class Urgency(IntEnum):
    """Who waits for what is asked of another registry."""

    NOW = 0
    """A client of ours, in the middle of a pull."""
    ASKED = 1
    """Somebody who asked for an import."""
    BACKGROUND = 2
    """Nobody: it is time to look."""


class Budgets(Protocol):
    """How many requests other registries allow, learned from what they say.

    `host` is the registry as people write it, `account` who is logged in there ("" for nobody),
    since registries count by account; times are in seconds. What is less urgent leaves a part to
    what is more.
    """

    async def wait(self, host: str, account: str, urgency: int, *, counted: bool) -> "Wait":
        """How long to wait before a request may be made, or 0: then it is taken as made.

        `counted` says that it is one of those that registries count: of a manifest or of tags.
        """
        ...

    async def learn(
        self, host: str, account: str, allowance: int, period: float, remaining: float
    ) -> None:
        """Take in that it allows `allowance` requests in `period`, of which so many remain."""
        ...

    async def refused(self, host: str, account: str, retry_after: float) -> None:
        """Take in that it wants to be left alone for a while."""
        ...

    async def failed(self, host: str, error: str) -> None:
        """Take in that it could not be reached, or failed; after some, it is left alone."""
        ...

    async def answered(self, host: str) -> None:
        """Take in that it works, whatever its answer was."""
        ...


Wait = tuple[float, str]
"""Seconds, and why the server is left alone: its last failure, or empty where it set a limit."""

NO_WAIT: Wait = (0.0, "")


class NoBudgets:
    """Nothing is known, nothing is kept: each request is made."""

    async def wait(self, host: str, account: str, urgency: int, *, counted: bool) -> Wait:
        del host, account, urgency, counted
        return NO_WAIT

    async def learn(
        self, host: str, account: str, allowance: int, period: float, remaining: float
    ) -> None:
        """Forget it."""

    async def refused(self, host: str, account: str, retry_after: float) -> None:
        """Forget it."""

    async def failed(self, host: str, error: str) -> None:
        """Forget it."""

    async def answered(self, host: str) -> None:
        """Forget it."""
