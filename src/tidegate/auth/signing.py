"""Compact JWTs that this server makes and reads itself, each purpose under its own `typ`.

Invariant: a token counts only when its header is, byte for byte, one that we write for its purpose
and a key that still exists. That one comparison refuses `alg: none`, every other algorithm, `crit`,
embedded keys, an unknown and a missing `kid` before anything of the token is parsed, and keeps a
token made for one purpose from being taken for one of another (RFC 8725 section 3.11).
"""

import base64
from functools import lru_cache

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tidegate.auth.errors import TokenInvalid
from tidegate.auth.keys import Keys
from tidegate.metastore.keys import Key

ALGORITHM = "HS256"

TOKEN_LIMIT = 8192
"""Characters of a token, made or read: proxies take headers of 8 KB."""


def sign(claims: bytes, typ: str, key: Key) -> str:
    """A token of the purpose `typ` with these claims, JSON."""
    return jws.serialize_compact(
        _header(key.kid, typ), claims, OctKey.import_key(key.secret), [ALGORITHM]
    )


def signer_of(token: str, typ: str, keys: Keys) -> Key | None:
    """The key that the token says it was signed with; None when it is none of this purpose."""
    if len(token) > TOKEN_LIMIT:
        return None
    header = token.partition(".")[0]
    for kid, key in keys.by_kid.items():  # two or three
        if header == _header_segment(kid, typ):
            return key
    return None


def claims_of(token: str, key: Key) -> bytes:
    """The claims of a token whose signature is right; `TokenInvalid` otherwise."""
    if not token.isascii():
        raise TokenInvalid("the token was not made here")
    try:
        signed = jws.deserialize_compact(token, OctKey.import_key(key.secret), [ALGORITHM])
    except (JoseError, ValueError) as error:
        raise TokenInvalid("the token was not made here") from error
    return signed.payload


def _header(kid: str, typ: str) -> dict[str, str]:
    return {"alg": ALGORITHM, "kid": kid, "typ": typ}


@lru_cache(maxsize=64)
def _header_segment(kid: str, typ: str) -> str:
    """The header as it stands in a token."""
    header = msgspec.json.encode(_header(kid, typ))
    return base64.urlsafe_b64encode(header).rstrip(b"=").decode("ascii")
