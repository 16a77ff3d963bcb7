"""The token endpoint: a login in exchange for a short-lived token with no more than its rights.

Two forms, as clients send them: `GET ?service=&scope=` with Basic (distribution's token
specification), and a `POST` form with `grant_type=password` (its OAuth2 variant). Both also take a
bearer token of the API, but never a registry token: a token must not prolong itself. What a token
carries is what was asked for and is allowed now; a client that gets less than it asked for learns
so at the registry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import msgspec

from tidegate.apimachinery.authorizer import ANONYMOUS, Authorizer, User
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.credentials import Basic, Bearer, parse_authorization
from tidegate.auth.errors import InvalidCredentials, InvalidTokenRequest
from tidegate.auth.logins import REGISTRY_AUDIENCES, Login
from tidegate.auth.scope import SCOPE_LIMIT, narrow, parse_scopes
from tidegate.auth.tokens import Tokens
from tidegate.observability.timestamp import rfc3339_seconds

REQUEST_LIMIT = 32_768
"""Bytes of a query or form that are read."""

FORM = "application/x-www-form-urlencoded"

_NO_LOGIN = ""
"""The login of an anonymous token."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a client asks for, and as whom (None: as nobody)."""

    service: str
    scopes: tuple[str, ...]
    login: Basic | Bearer | None = field(repr=False)


class TokenAnswer(msgspec.Struct, frozen=True):
    """The answer's JSON body: both specifications' names for the token, as clients read either."""

    token: str
    access_token: str
    expires_in: int
    issued_at: str
    scope: str


@dataclass(frozen=True, slots=True)
class IssuedTo:
    """A token answer, and to whom it went."""

    user: User
    answer: TokenAnswer = field(repr=False)


def read_token_query(query: bytes, authorization: str | None) -> TokenRequest:
    """Read `GET /openshift/token?…`."""
    fields = _fields(query)
    return TokenRequest(_one(fields, "service"), _all(fields, "scope"), _login(authorization))


def read_token_form(body: bytes, content_type: str, authorization: str | None) -> TokenRequest:
    """Read a `POST /openshift/token` with a form."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise InvalidTokenRequest(f"the body must be {FORM}")
    fields = _fields(body)
    if _one(fields, "grant_type") != "password":
        raise InvalidTokenRequest("use grant_type=password", "unsupported_grant_type")
    login = _login(authorization)
    if name := _one(fields, "username"):
        login = Basic(name, _one(fields, "password"))
    return TokenRequest(_one(fields, "service"), _all(fields, "scope"), login)


class TokenEndpoint:
    """Issues tokens for `service`; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        authenticator: Authenticator,
        tokens: Tokens,
        authorizer: Authorizer,
        service: str,
        clock: Callable[[], float],
    ) -> None:
        self._authenticator = authenticator
        self._tokens = tokens
        self._authorizer = authorizer
        self._service = service
        self._clock = clock

    async def issue(self, request: TokenRequest, client: str) -> IssuedTo:
        """A token for `request`, which came from the address `client`.

        Raises `InvalidCredentials`, `Throttled`, `InvalidScope` or `InvalidTokenRequest`. Nobody
        gets a token only for what nobody in particular may do.
        """
        if request.service not in ("", self._service):
            raise InvalidTokenRequest(f"this endpoint issues tokens for {self._service!r} only")
        asked = parse_scopes(request.scopes)
        login = Login(ANONYMOUS, _NO_LOGIN)
        if request.login is not None:
            login = await self._authenticator.log_in(request.login, client, REGISTRY_AUDIENCES)
        grants = await narrow(asked, login.user, self._authorizer)
        if request.login is None and not grants:
            raise InvalidCredentials("log in to get a token")
        issued = await self._tokens.issue(
            login.user.name, login.reference, grants, self._clock(), until=login.expires
        )
        return IssuedTo(
            login.user,
            TokenAnswer(
                token=issued.token,
                access_token=issued.token,
                expires_in=issued.expires_in,
                issued_at=rfc3339_seconds(issued.issued_at),
                scope=" ".join(map(str, grants)),
            ),
        )


def _login(authorization: str | None) -> Basic | Bearer | None:
    return None if authorization is None else parse_authorization(authorization)


def _fields(text: bytes) -> Sequence[tuple[str, str]]:
    if len(text) > REQUEST_LIMIT:
        raise InvalidTokenRequest(f"more than {REQUEST_LIMIT} bytes")
    try:
        return parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=SCOPE_LIMIT + 20,
        )
    except ValueError as error:
        raise InvalidTokenRequest("the parameters cannot be read") from error


def _all(fields: Sequence[tuple[str, str]], name: str) -> tuple[str, ...]:
    return tuple(value for key, value in fields if key == name)


def _one(fields: Sequence[tuple[str, str]], name: str) -> str:
    values = _all(fields, name)
    if len(values) > 1:
        raise InvalidTokenRequest(f"{name!r} is given more than once")
    return values[0] if values else ""
