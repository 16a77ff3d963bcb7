"""The token request (RFC 6749 section 4.1.3), read as a value."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote_plus

from tidegate.auth.errors import AuthError, InvalidTokenRequest
from tidegate.auth.oauth.authorize import one

FORM = "application/x-www-form-urlencoded"

FORM_LIMIT = 32_768
"""Bytes of a form that are read; room for a token of somebody else's."""

Fields = Mapping[str, Sequence[str]]


class InvalidClient(AuthError):
    """A client that did not say who it is, or claims a secret that none has."""


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """A client wants a token for a code."""

    client: str
    code: str = field(repr=False)
    redirect_uri: str
    verifier: str = field(repr=False)


def read_form(body: bytes, content_type: str) -> Fields:
    """The fields of a form; `InvalidTokenRequest` when it is none."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise InvalidTokenRequest(f"the body must be {FORM}")
    if len(body) > FORM_LIMIT:
        raise InvalidTokenRequest(f"more than {FORM_LIMIT} bytes")
    return read_fields(body)


def read_fields(text: bytes) -> Fields:
    """The fields of a query or form."""
    try:
        return parse_qs(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise InvalidTokenRequest("the parameters cannot be read") from error


def read_code_grant(fields: Fields, authorization: str) -> CodeGrant:
    """A form with grant_type=authorization_code."""
    code, address = one(fields, "code"), one(fields, "redirect_uri")
    if not code:
        raise InvalidTokenRequest("code is missing")
    return CodeGrant(_client(fields, authorization), code, address, one(fields, "code_verifier"))


def _client(fields: Fields, authorization: str) -> str:
    """Who asks: by Basic with an empty password (section 2.3.1), or a field."""
    named = one(fields, "client_id")
    if one(fields, "client_secret"):
        raise InvalidClient("the client has no secret")
    if not authorization:
        if not named:
            raise InvalidClient("the client did not say which it is")
        return named
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("the client's credentials cannot be read") from error
    name, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon or secret:
        raise InvalidClient("the client has no secret: use Basic with an empty password")
    name = unquote_plus(name)
    if named not in ("", name):
        raise InvalidTokenRequest("two clients are named")
    return name
