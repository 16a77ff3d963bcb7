"""The `Authorization` header as a value: Basic (RFC 7617) or Bearer (RFC 6750)."""

import base64
import binascii
import re
from dataclasses import dataclass, field

from tidegate.auth.errors import InvalidCredentials
from tidegate.auth.logins import looks_like_token
from tidegate.auth.signing import TOKEN_LIMIT

BASIC_LIMIT = 16_384
"""Characters of Basic credentials that are read; room for a name and a token."""

NAME_LIMIT = 1024
"""Bytes of a user name, as given; the longest stored names have 128."""

PASSWORD_LIMIT = 1024
"""Bytes of a password; a token in its place may have `signing.TOKEN_LIMIT`."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""RFC 7617 section 2 forbids control characters in both parts."""


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and a password, neither checked."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token, not checked."""

    token: str = field(repr=False)


def parse_authorization(value: str) -> Basic | Bearer:
    """Read an `Authorization` header; `InvalidCredentials` for anything but the two schemes."""
    scheme, _, rest = value.partition(" ")
    rest = rest.strip(" ")
    match scheme.lower():
        case "bearer" if rest:
            return Bearer(rest)
        case "basic":
            return _parse_basic(rest)
    raise InvalidCredentials("unsupported authorization; use Basic or Bearer")


def check_password_login(name: str, password: str) -> Basic:
    """A name and password within the bounds of what can be right, however they arrived."""
    try:
        size, password_size = len(name.encode()), len(password.encode())
    except UnicodeEncodeError as error:
        raise InvalidCredentials from error
    is_token = looks_like_token(password)  # clients send any name with one, or none
    limit = TOKEN_LIMIT if is_token else PASSWORD_LIMIT
    if size > NAME_LIMIT or not (size or is_token) or not 0 < password_size <= limit:
        raise InvalidCredentials
    if _CONTROL.search(name) or _CONTROL.search(password):
        raise InvalidCredentials
    return Basic(name, password)


def _parse_basic(encoded: str) -> Basic:
    if len(encoded) > BASIC_LIMIT:
        raise InvalidCredentials("credentials too long")
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise InvalidCredentials("failed to decode credentials") from error
    name, colon, password = text.partition(":")
    if not colon:
        raise InvalidCredentials("failed to decode credentials")
    return check_password_login(name, password)
