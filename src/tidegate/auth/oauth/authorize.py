"""The authorization request (RFC 6749 section 4), read and answered as values.

Invariant: until client and address are established to belong together nothing is redirected; from
then on every fault is told to the client at that address (section 4.1.2.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tidegate.auth.errors import AuthError, InvalidTokenRequest
from tidegate.auth.oauth.clients import CLIENTS, Client
from tidegate.auth.oauth.proof import Challenge, read_challenge
from tidegate.auth.oauth.tokens import FULL, LIFETIME

STATE_LIMIT = 2048
"""Characters of `state`; it comes back in the Location header."""


class SentBack(AuthError):
    """An authorization request whose fault is told to the client, at `location`."""

    def __init__(self, location: str, message: str) -> None:
        super().__init__(message)
        self.location = location


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """A client asks for a code or, with `implicit`, a token; the address is the client's."""

    client: Client
    redirect_uri: str
    implicit: bool
    state: str
    challenge: Challenge | None


def read_authorize(parameters: Mapping[str, Sequence[str]], origin: str) -> AuthorizeRequest:
    """Read the parameters of a request to the server at `origin`.

    `InvalidTokenRequest` for one that nobody can be told of, else `SentBack`.
    """
    client = CLIENTS.get(one(parameters, "client_id"))
    if client is None:
        raise InvalidTokenRequest("there is no such client", "unauthorized_client")
    address = client.redirect_uri(one(parameters, "redirect_uri"), origin)
    if address is None:
        raise InvalidTokenRequest("redirect_uri is none of the client's")
    state = one(parameters, "state")
    if len(state) > STATE_LIMIT:
        raise InvalidTokenRequest(f"state has at most {STATE_LIMIT} characters")
    try:
        implicit = _implicit(client, one(parameters, "response_type"))
        if one(parameters, "scope") not in ("", FULL):
            raise InvalidTokenRequest(f"the only scope is {FULL}", "invalid_scope")
        challenge = read_challenge(
            one(parameters, "code_challenge"), one(parameters, "code_challenge_method")
        )
        if client.needs_proof and challenge is None:
            raise InvalidTokenRequest("this client has to send a code_challenge")
    except InvalidTokenRequest as error:
        answer = {"error": error.code, "error_description": str(error)}
        raise SentBack(_location(address, answer, state), str(error)) from error
    return AuthorizeRequest(client, address, implicit, state, challenge)


def location_with_code(request: AuthorizeRequest, code: str) -> str:
    """Where a user is sent with the code for the client (section 4.1.2)."""
    return _location(request.redirect_uri, {"code": code}, request.state)


def location_with_token(request: AuthorizeRequest, token: str) -> str:
    """Where a token is told in the fragment, which no server is sent (section 4.2.2)."""
    answer = {
        "access_token": token,
        "expires_in": str(LIFETIME),
        "scope": FULL,
        "token_type": "Bearer",
    }
    return _location(request.redirect_uri, answer, request.state, "#")


def one(parameters: Mapping[str, Sequence[str]], name: str) -> str:
    """A parameter, empty when it is missing; section 3.1 allows none twice."""
    values = parameters.get(name, ())
    if len(values) > 1:
        raise InvalidTokenRequest(f"{name!r} is given more than once")
    return values[0] if values else ""


def _implicit(client: Client, response_type: str) -> bool:
    if response_type not in ("code", "token"):
        raise InvalidTokenRequest("response_type is code or token", "unsupported_response_type")
    if response_type == "token" and not client.implicit:
        raise InvalidTokenRequest("this client has to ask for a code", "unauthorized_client")
    return response_type == "token"


def _location(address: str, answer: Mapping[str, str], state: str, separator: str = "?") -> str:
    # no registered address has a query of its own
    return address + separator + urlencode({**answer, **({"state": state} if state else {})})
