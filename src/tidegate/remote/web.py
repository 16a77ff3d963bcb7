"""Plain calls, for webhooks and gates: an address that somebody configured, and a short answer.

The same addresses are refused as for registries, redirects are answers like any other, and nothing
is repeated: whoever calls has a queue for that.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidegate.remote.errors import Unavailable
from tidegate.remote.http.calls import Call, Calls
from tidegate.remote.http.redirects import origin_of, shown
from tidegate.remote.http.trust import Trust
from tidegate.remote.rules import RegistryRules

BODY_LIMIT = 1024 * 1024
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer, whatever its status; headers by their names in lower case, the first of each."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """Makes calls; certificates configured for a host are believed there, as for registries."""

    def __init__(self, calls: Calls, rules: Callable[[], RegistryRules]) -> None:
        self._calls = calls
        self._rules = rules

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        limit: int = BODY_LIMIT,
        patience: float = PATIENCE,
    ) -> WebAnswer:
        """What the server answers within `patience` seconds, in at most `limit` bytes.

        RemoteError's kinds: AddressRefused, InsecureOnly where its certificate is not believed,
        Unavailable, ContentInvalid where it answers more.
        """
        origin = origin_of(url)
        trust = Trust(self._rules().authority_of(origin.host, origin.port))
        call = Call(method, url, tuple((headers or {}).items()), body)
        try:
            async with asyncio.timeout(patience), self._calls.open(call, trust) as answer:
                content = await answer.content(limit)
                found = dict(reversed(answer.every_header()))
                return WebAnswer(answer.status, found, content)
        except TimeoutError as error:
            raise Unavailable(f"{shown(url)}: no answer within {patience:g} s") from error
