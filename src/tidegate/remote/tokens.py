"""How a registry is told who asks: Basic, or a token that its token server gives.

Docker's token authentication (distribution-spec, "token"; RFC 6750): a 401 names a realm, which
gives a token for a scope to who has credentials, or to anybody. Invariants: a token is used for
nothing but the registry, credential and scope that it was made for; credentials go to a realm only
under TLS, unless the registry itself is spoken to without.
"""

import base64
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from tidegate.remote.admission import Admission
from tidegate.remote.answers import BODY_LIMIT, refusal
from tidegate.remote.budgets import Urgency
from tidegate.remote.challenges import Challenge
from tidegate.remote.credentials import Credential
from tidegate.remote.errors import AccessDenied, ContentInvalid, RemoteError
from tidegate.remote.flights import Flights
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.calls import Call, Calls
from tidegate.remote.http.following import followed
from tidegate.remote.http.redirects import Origin, origin_of
from tidegate.remote.memory import Memory
from tidegate.remote.peers import Peer

_CLIENT = "tidegate"
_TOKENS, _WAYS = 4096, 1024
"""How many are remembered."""
_WAY_LASTS = 600.0
"""Seconds for which a registry is taken to want what it wanted."""
_DEFAULT_LIFETIME, _LONGEST_LIFETIME = 60.0, 3600.0
"""Seconds that a token is used when its server does not say, and at most."""
_SAFETY = 0.9
"""The part of its life in which a token is used: the rest is for clocks and long requests."""
_TOKEN_LIMIT = 32 * 1024
"""Characters; some token servers pack all of a user's groups into theirs."""

Scopes = tuple[str, ...]


class _Way(NamedTuple):
    """How a registry lets in: by password, or by tokens of a realm."""

    basic: bool
    realm: str = ""
    service: str = ""


class _Use(NamedTuple):
    """What a token is for."""

    origin: Origin
    insecure: bool
    credential: Credential | None
    scopes: Scopes


class Tokens:
    """The Authorization headers of one process."""

    def __init__(self, calls: Calls, flights: Flights, admission: Admission) -> None:
        self._calls = calls
        self._admission = admission
        self._flights = flights
        self._ways: Memory[tuple[Origin, bool], _Way] = Memory(_WAYS, time.monotonic)
        self._tokens: Memory[_Use, str] = Memory(_TOKENS, time.monotonic)

    async def known(self, peer: Peer, scopes: Scopes) -> str:
        """The header to try first; empty where nothing is known of the registry yet."""
        use = _use(peer, scopes)
        if token := self._tokens.get(use):
            return token
        way = self._ways.get((peer.origin, peer.insecure))
        return await self._authorization(peer, way, use, scopes) if way is not None else ""

    async def renewed(
        self, peer: Peer, challenges: Sequence[Challenge], scopes: Scopes, refused: str
    ) -> str:
        """The header to try after a 401, which answered `refused`; empty if there is no other."""
        way = _way(challenges)
        if way is None or (way.basic and refused.startswith("Basic ")):
            return ""
        self._ways.put((peer.origin, peer.insecure), way, _WAY_LASTS)
        use = _use(peer, scopes)
        if (token := self._tokens.get(use)) and token != refused:
            return token  # somebody else was told so, and has another
        self._tokens.forget(use)
        wanted = tuple(dict.fromkeys([*_challenged(challenges), *scopes]))
        return await self._authorization(peer, way, use, wanted)

    async def _authorization(self, peer: Peer, way: _Way, use: _Use, wanted: Scopes) -> str:
        if not way.basic:
            key = ("token", use, way, wanted)
            return await self._flights.share(key, lambda: self._fetch(peer, way, use, wanted))
        if peer.credential is None or not peer.credential.password:
            return ""
        return _basic(peer.credential)

    async def _fetch(self, peer: Peer, way: _Way, use: _Use, wanted: Scopes) -> str:
        about = f"{peer.host}: token of {origin_of(way.realm)}"
        host = f"{peer.host} (tokens)"  # a registry that names a realm says nothing of others'
        call = _token_call(peer, way, wanted)
        await self._admission.enter(host, "", about, Urgency.NOW, counted=False)
        async with self._admission.watching(host), followed(self._calls, call, peer) as answer:
            if answer.status != 200:
                raise await _token_refusal(answer, about, peer)
            token, lifetime = _read(await answer.content(BODY_LIMIT), about)
        header = f"Bearer {token}"
        self._tokens.put(use, header, lifetime * _SAFETY)
        return header


def _use(peer: Peer, scopes: Scopes) -> _Use:
    return _Use(peer.origin, peer.insecure, peer.credential, scopes)


def _way(challenges: Sequence[Challenge]) -> _Way | None:
    """The first challenge that can be answered, a token before a password."""
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            parameters = challenge.parameters
            return _Way(False, parameters["realm"], parameters.get("service", ""))
    return _Way(True) if any(each.scheme == "basic" for each in challenges) else None


def _challenged(challenges: Iterable[Challenge]) -> list[str]:
    """What the registry says is needed, which need not be what everybody else calls it."""
    scopes = (each.parameters.get("scope", "") for each in challenges if each.scheme == "bearer")
    return [scope for text in scopes for scope in text.split()][:16]


def _token_call(peer: Peer, way: _Way, wanted: Scopes) -> Call:
    realm = origin_of(way.realm)
    credential = peer.credential
    if credential is not None and realm.scheme != "https" and not peer.insecure:
        raise RemoteError(f"{peer.host} wants credentials sent to {realm}, without TLS")
    query = [("service", way.service)] if way.service else []
    scopes = [("scope", scope) for scope in wanted]
    if credential is not None and credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credential.identity_token,
            "client_id": _CLIENT,
            "scope": " ".join(wanted),
            **dict(query),
        }
        headers = [("Content-Type", "application/x-www-form-urlencoded")]
        return Call("POST", way.realm, headers, urlencode(form).encode())
    headers = [] if credential is None else [("Authorization", _basic(credential))]
    address, _, own = way.realm.partition("?")
    joined = "&".join(filter(None, (own, urlencode([*query, *scopes]))))
    return Call("GET", f"{address}?{joined}", headers)


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


async def _token_refusal(answer: Answer, about: str, peer: Peer) -> RemoteError:
    error = await refusal(answer, about, anonymous=peer.credential is None)
    if type(error) is RemoteError and answer.status == 400 and peer.credential is not None:
        return AccessDenied(str(error), anonymous=False)  # RFC 6749 5.2: invalid_grant is a 400
    return error


def _read(body: bytes, about: str) -> tuple[str, float]:
    """A token and for how many seconds it is good."""
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ContentInvalid(f"{about}: no JSON") from error
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ContentInvalid(f"{about}: there is none in the answer")
    if len(token) > _TOKEN_LIMIT or " " in token:
        raise ContentInvalid(f"{about}: what came is none")
    lifetime = document.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not lifetime > 0:
        return token, _DEFAULT_LIFETIME
    return token, min(float(lifetime), _LONGEST_LIFETIME)
