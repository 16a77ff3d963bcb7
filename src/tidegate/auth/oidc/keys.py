"""An issuer's public keys, found by discovery and kept up to date.

    nobody asked --first token--> fetched --hourly, in the background--> fetched
                                     |  a key id that is not known: at once, at most every 10 s
                                     |  the issuer does not answer: those at hand, for a day

Knows no claims. Invariant: a key counts only from the issuer's own discovery document.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from tidegate.auth.errors import IssuerUnavailable
from tidegate.remote.errors import RemoteError

log = logging.getLogger(__name__)

FRESH_FOR = 3600.0
"""Seconds after which the keys are read again: how long a key that was withdrawn counts."""

ASKED_EVERY = 10.0
"""Seconds between two questions to an issuer: a token can name any key id."""

STALE_FOR = 86_400.0
"""Seconds that keys count while the issuer does not answer."""

KEYS_LIMIT = 100

Fetch = Callable[[str], Awaitable[bytes]]


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may have signed; `algorithm` is empty where the issuer does not say which."""

    kid: str
    algorithm: str
    key: Key


class IssuerKeys:
    """The keys of `issuer`; `fetch` reads an address, or raises `RemoteError`."""

    def __init__(self, issuer: str, fetch: Fetch) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched: float | None = None
        self._asked: float | None = None
        self._asking = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, kid: str, now: float) -> tuple[PublicKey, ...]:
        """Keys with this id, or every key for a token that names none."""
        if self._fetched is None or not 0 <= now - self._fetched < STALE_FOR:
            await self._ask(now)
        elif now - self._fetched >= FRESH_FOR and self._refresh is None:
            self._refresh = asyncio.create_task(self._ask(now))
            self._refresh.add_done_callback(self._refreshed)
        found = self._named(kid)
        if not found:
            await self._ask(now)
            found = self._named(kid)
        if self._fetched is None or not 0 <= now - self._fetched < STALE_FOR:
            raise IssuerUnavailable("the token's issuer cannot be asked for its keys")
        return found

    def _named(self, kid: str) -> tuple[PublicKey, ...]:
        return tuple(each for each in self._keys if not kid or each.kid == kid)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refresh = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("reading the keys of %s failed", self.issuer, exc_info=error)

    async def _ask(self, now: float) -> None:
        """Read the keys, unless that was tried a moment ago; a failure leaves those at hand."""
        async with self._asking:
            if self._asked is not None and 0 <= now - self._asked < ASKED_EVERY:
                return
            self._asked = now
            try:
                self._keys = await self._read()
            except (RemoteError, msgspec.MsgspecError) as error:
                log.warning("the keys of %s cannot be read: %s", self.issuer, error)
            else:
                self._fetched = now

    async def _read(self) -> tuple[PublicKey, ...]:
        address = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = msgspec.json.decode(await self._fetch(address), type=_Discovery)
        if found.issuer != self.issuer:
            raise RemoteError(f"{address} is about another issuer")
        answer = msgspec.json.decode(await self._fetch(found.jwks_uri), type=_KeySet)
        return tuple(_public_keys(answer.keys[:KEYS_LIMIT]))


def _public_keys(described: list[dict[str, Any]]) -> list[PublicKey]:
    """Keys that can verify; shared secrets are none, whatever the issuer says."""
    keys = []
    for each in described:
        if each.get("kty") not in ("RSA", "EC", "OKP") or each.get("use", "sig") != "sig":
            continue
        try:
            key = import_key(each)
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # a sort of key that we cannot read
        keys.append(PublicKey(str(each.get("kid", "")), str(each.get("alg", "")), key))
    return keys
