"""Registry tokens: short-lived JWTs that this registry alone makes and reads.

Invariants: a token counts only when its header is, byte for byte, one that we write for a key that
still exists. That one comparison refuses `alg: none`, every other algorithm, `crit`, embedded keys,
an unknown and a missing `kid` before anything of the token is parsed. Signature, issuer, audience
and times are checked next; a verified token is remembered, its expiry and key checked each time.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tidegate.auth.errors import InvalidScope, TokenInvalid
from tidegate.auth.keys import KeyRing, Keys
from tidegate.auth.scope import Grant
from tidegate.metastore.keys import Key

ALGORITHM = "HS256"

TOKEN_LIMIT = 8192
"""Characters of a token, made or read: proxies take headers of 8 KB."""

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
    """What a token that is ours says.

    `generation` names the state of the user's login that it was issued from; it is void when that
    has changed.
    """

    subject: str
    generation: float
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
        self, subject: str, generation: float, grants: Sequence[Grant], now: float
    ) -> Issued:
        """A token that lets `subject` do what `grants` say; `InvalidScope` if it gets too long."""
        key = (await self._keys.keys(now)).signing
        issued = int(now)
        claims = _Claims(
            iss=ISSUER,
            sub=subject,
            aud=self._service,
            exp=issued + self._lifetime,
            nbf=issued,
            iat=issued,
            jti=os.urandom(12).hex(),
            gen=generation,
            access=[_Access(each.type, each.name, sorted(each.actions)) for each in grants],
        )
        token = jws.serialize_compact(
            _header(key.kid),
            _ENCODER.encode(claims),
            OctKey.import_key(key.secret),
            [ALGORITHM],
        )
        if len(token) > TOKEN_LIMIT:
            raise InvalidScope("too many scopes for one token")
        return Issued(token, self._lifetime, issued)

    async def verify(self, token: str, now: float) -> Verified:
        """What `token` says, or `TokenInvalid`."""
        keys = await self._keys.keys(now)
        remembered = self._verified.get(token)
        verified = remembered or self._check(token, keys, now)
        if verified.kid not in keys.by_kid:
            raise TokenInvalid("the token's key was removed", verified.subject)
        if now >= verified.expires:
            raise TokenInvalid("the token has expired", verified.subject)
        if remembered is None:
            self._remember(token, verified)
        return verified

    def _check(self, token: str, keys: Keys, now: float) -> Verified:
        if len(token) > TOKEN_LIMIT or not token.isascii():
            raise TokenInvalid("the token is no JWT")
        key = _key_of(token, keys)
        try:
            signed = jws.deserialize_compact(token, OctKey.import_key(key.secret), [ALGORITHM])
            claims = msgspec.json.decode(signed.payload, type=_Claims)
        except (JoseError, msgspec.MsgspecError, ValueError) as error:
            raise TokenInvalid("the token was not made here") from error
        if claims.iss != ISSUER or claims.aud != self._service:
            raise TokenInvalid("the token is for another service", claims.sub)
        if claims.nbf > now + LEEWAY:
            raise TokenInvalid("the token is not valid yet", claims.sub)
        return Verified(
            claims.sub,
            claims.gen,
            tuple(Grant(each.type, each.name, frozenset(each.actions)) for each in claims.access),
            claims.exp,
            key.kid,
        )

    def _remember(self, token: str, verified: Verified) -> None:
        # All live equally long, so the first in is about the first to expire.
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
    gen: float
    access: list[_Access]


_ENCODER = msgspec.json.Encoder(enc_hook=str)  # repository names are a subclass of str


def _header(kid: str) -> dict[str, str]:
    return {"alg": ALGORITHM, "kid": kid, "typ": "JWT"}


def _header_segment(kid: str) -> str:
    """The header as it stands in a token."""
    header = msgspec.json.encode(_header(kid))
    return base64.urlsafe_b64encode(header).rstrip(b"=").decode("ascii")


def _key_of(token: str, keys: Keys) -> Key:
    header = token.partition(".")[0]
    for kid, key in keys.by_kid.items():  # two or three
        if header == _header_segment(kid):
            return key
    raise TokenInvalid("the token's header is none that this registry writes")
