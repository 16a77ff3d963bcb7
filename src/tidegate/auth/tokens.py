"""Registry tokens: short-lived JWTs that this registry alone makes and reads.

A token says whose it is, from which login it came (`logins.py`) and what it is limited to. Header,
signature, issuer, audience and times are checked here; whether the login still stands is asked by
`authenticator.py` at each use. A verified token is remembered, its expiry and key checked each
time.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tidegate.auth.errors import InvalidScope, TokenInvalid
from tidegate.auth.keys import KeyRing, Keys
from tidegate.auth.scope import Grant
from tidegate.auth.signing import TOKEN_LIMIT, claims_of, sign, signer_of

TYPE = "registry+jwt"

LEEWAY = 5.0
"""Seconds that a replica's clock may be ahead of ours; an expiry gets none."""

ISSUER = "tidegate"

REMEMBERED = 4096
"""Verified tokens kept: 2 to 3 MB at their usual length."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token and what the client is told of it."""

    token: str
    expires_in: int
    issued_at: float


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token that is ours says; `login` is the reference of the login that it came of."""

    subject: str
    login: str
    grants: tuple[Grant, ...]
    expires: float
    kid: str


class Tokens:
    """Issues and verifies tokens for the audience `service`, good for `lifetime` seconds."""

    def __init__(self, keys: KeyRing, service: str, lifetime: int = 300) -> None:
        self._keys = keys
        self._service = service
        self._lifetime = lifetime
        self._verified: dict[str, Verified] = {}  # in the order of their verification

    async def issue(
        self,
        subject: str,
        login: str,
        grants: Sequence[Grant],
        now: float,
        *,
        until: float | None = None,
    ) -> Issued:
        """A token that lets `subject` do what `grants` say, at most `until` the login's end.

        `InvalidScope` if it gets too long.
        """
        key = (await self._keys.keys(now)).signing
        issued = int(now)
        expires = issued + self._lifetime
        if until is not None:
            expires = min(expires, int(until))
        claims = _Claims(
            iss=ISSUER,
            sub=subject,
            aud=self._service,
            exp=expires,
            nbf=issued,
            iat=issued,
            jti=os.urandom(12).hex(),
            login=login,
            access=[_Access(each.type, each.name, sorted(each.actions)) for each in grants],
        )
        token = sign(_ENCODER.encode(claims), TYPE, key)
        if len(token) > TOKEN_LIMIT:
            raise InvalidScope("too many scopes for one token")
        return Issued(token, expires - issued, issued)

    async def verify(self, token: str, now: float) -> Verified | None:
        """What `token` says; None when it is no registry token, `TokenInvalid` when void."""
        keys = await self._keys.keys(now)
        remembered = self._verified.get(token)
        verified = remembered or self._check(token, keys, now)
        if verified is None:
            return None
        if verified.kid not in keys.by_kid:
            raise TokenInvalid("the token's key was removed", verified.subject)
        if now >= verified.expires:
            raise TokenInvalid("the token has expired", verified.subject)
        if remembered is None:
            self._remember(token, verified)
        return verified

    def _check(self, token: str, keys: Keys, now: float) -> Verified | None:
        key = signer_of(token, TYPE, keys)
        if key is None:
            return None
        try:
            claims = msgspec.json.decode(claims_of(token, key), type=_Claims)
        except (msgspec.MsgspecError, ValueError) as error:
            raise TokenInvalid("the token was not made here") from error
        if claims.iss != ISSUER or claims.aud != self._service:
            raise TokenInvalid("the token is for another service", claims.sub)
        if claims.nbf > now + LEEWAY:
            raise TokenInvalid("the token is not valid yet", claims.sub)
        return Verified(
            claims.sub,
            claims.login,
            tuple(Grant(each.type, each.name, frozenset(each.actions)) for each in claims.access),
            claims.exp,
            key.kid,
        )

    def _remember(self, token: str, verified: Verified) -> None:
        # All live about equally long, so the first in is about the first to expire.
        self._verified[token] = verified
        if len(self._verified) > REMEMBERED:
            del self._verified[next(iter(self._verified))]


class _Access(msgspec.Struct, frozen=True):
    type: str
    name: str
    actions: list[str]


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str
    exp: int
    nbf: int
    iat: int
    jti: str
    login: str
    access: list[_Access]


_ENCODER = msgspec.json.Encoder(enc_hook=str)  # repository names are a subclass of str
