"""Whether a JWT is an issuer's, for us, and now: OpenID Connect Core section 3.1.3.7, RFC 8725.

Invariant: the algorithm is one of an allow-list of asymmetric ones, and fits the key; neither
`none` nor a public key passed off as a shared secret ever gets as far as a signature check.
"""

import base64
import binascii
import warnings
from collections.abc import Collection
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from tidegate.auth.errors import TokenInvalid
from tidegate.auth.oidc.keys import IssuerKeys, PublicKey
from tidegate.auth.oidc.names import Claims

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
    "EdDSA", "Ed25519",
)  # fmt: skip

LEEWAY = 30.0
"""Seconds that an issuer's clock may differ from ours."""

TOKEN_LIMIT = 16_384
"""Characters of a token from outside, groups and all."""

_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class Header(msgspec.Struct):
    """What is read of a JWT's header; everything else in it is ignored or refused."""

    alg: str
    kid: str = ""
    typ: str = "JWT"
    crit: Any = None
    b64: bool = True


def issuer_of(token: str) -> str:
    """Which issuer a JWT says that it is from, unchecked; empty when it is no such JWT."""
    parts = token.split(".")
    if len(token) > TOKEN_LIMIT or len(parts) != 3 or not token.isascii():
        return ""
    try:
        claimed = msgspec.json.decode(_decoded(parts[1]))
    except (msgspec.MsgspecError, ValueError):
        return ""
    issuer = claimed.get("iss") if isinstance(claimed, dict) else None
    return issuer if isinstance(issuer, str) else ""


async def verified(token: str, keys: IssuerKeys, algorithms: Collection[str], now: float) -> Claims:
    """The claims of a token of this issuer that is valid now; `TokenInvalid` otherwise.

    Whom it is for is for the caller to check.
    """
    header = _header(token, algorithms)
    claims = _signed(token, header, await keys.find(header.kid, now))
    if claims.get("iss") != keys.issuer:
        raise TokenInvalid("the token is from another issuer")
    if "events" in claims:
        raise TokenInvalid("the token is for logging out")  # Back-Channel Logout section 2.4
    _check_times(claims, now)
    return claims


def require_audience(claims: Claims, audience: str) -> None:
    """That the token was made for `audience`."""
    if audience not in _audiences(claims):
        raise TokenInvalid("the token is for another audience")


def require_client(claims: Claims, client: str) -> None:
    """That the token was made for `client`, and not merely shown to it."""
    require_audience(claims, client)
    party = claims.get("azp")
    if party is None and len(_audiences(claims)) > 1:
        raise TokenInvalid("the token is for several clients and does not say whose it is")
    if party is not None and party != client:
        raise TokenInvalid("the token is another client's")


def expiry(claims: Claims) -> float:
    """When the token ends, seconds since the epoch."""
    return _seconds(claims, "exp")


def _header(token: str, algorithms: Collection[str]) -> Header:
    try:
        header = msgspec.json.decode(_decoded(token.partition(".")[0]), type=Header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise TokenInvalid("the token's header cannot be read") from error
    if header.alg not in algorithms or header.alg not in ALGORITHMS:
        raise TokenInvalid("the token is signed with an algorithm that is not accepted")
    if header.crit is not None or not header.b64:
        raise TokenInvalid("the token demands extensions")
    if header.typ.upper() != "JWT":
        raise TokenInvalid("the token is of another type")
    return header


def _signed(token: str, header: Header, keys: Collection[PublicKey]) -> Claims:
    registry = jws.JWSRegistry(algorithms=[header.alg], strict_check_header=False)
    registry.max_header_length = TOKEN_LIMIT  # some headers carry a certificate chain
    for each in keys:
        if not _fits(each, header.alg):
            continue
        try:
            with warnings.catch_warnings():
                # RFC 9864 calls EdDSA by its curves' names; providers do not yet.
                warnings.simplefilter("ignore", SecurityWarning)
                signed = jws.deserialize_compact(token, each.key, registry=registry)
            claims = msgspec.json.decode(signed.payload, type=dict[str, Any])
        except (JoseError, msgspec.MsgspecError, ValueError):
            continue
        return claims
    raise TokenInvalid("the token is not signed by its issuer")


def _fits(key: PublicKey, algorithm: str) -> bool:
    return key.key.key_type == _KEY_TYPES[algorithm[:2]] and key.algorithm in ("", algorithm)


def _audiences(claims: Claims) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _check_times(claims: Claims, now: float) -> None:
    if now >= expiry(claims) + LEEWAY:
        raise TokenInvalid("the token has expired")
    if _seconds(claims, "iat") > now + LEEWAY:
        raise TokenInvalid("the token was issued in the future")
    if "nbf" in claims and _seconds(claims, "nbf") > now + LEEWAY:
        raise TokenInvalid("the token is not valid yet")


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TokenInvalid(f"the token has no usable claim {name!r}")
    return float(value)


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError("no base64url") from error
