"""From a user's name and password to an access token, as `oc login` gets it.

The client asks to be challenged, answers with the password, is redirected with a code, and turns
the code into a token (RFC 6749; RFC 7636 with S256, so that a stolen code is worth nothing).
Invariant: the password goes to the authorization endpoint alone, and over TLS if the server's
address is one of TLS.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tidegate.cli.client.api import Api
from tidegate.cli.client.shapes import text
from tidegate.cli.client.tables import printable
from tidegate.cli.refusal import Failed

CLIENT = "openshift-challenging-client"
_METADATA = "/.well-known/oauth-authorization-server"
_NO_BROWSER = {"X-CSRF-Token": "1"}  # or the server shows a page instead of a challenge


def request_token(api: Api, user: str, password: str) -> str:
    """An access token of the user."""
    server = api.send("GET", _METADATA)
    authorize, exchange, issuer = (
        _endpoint(api, server, name)
        for name in ("authorization_endpoint", "token_endpoint", "issuer")
    )
    verifier = urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    redirect = f"{issuer}/oauth/token/implicit"
    code = _code(api, authorize, redirect, challenge(verifier), (user, password))
    answer = api.exchange(
        "POST",
        exchange,
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        },
        auth=(CLIENT, ""),
    )
    granted = _json(answer)
    token = text(granted, "access_token")
    if not answer.is_success or not token:
        raise Failed(_said(granted) or f"{exchange} answered {answer.status_code} and no token")
    return token


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def token_name(token: str) -> str:
    """The name of an access token in the API, which cannot be turned back into the token."""
    digest = hashlib.sha256(token.removeprefix("sha256~").encode()).digest()
    return "sha256~" + urlsafe_b64encode(digest).rstrip(b"=").decode()


def _code(
    api: Api, authorize: str, redirect: str, challenged: str, credentials: tuple[str, str]
) -> str:
    answer = api.exchange(
        "GET",
        authorize,
        params={
            "client_id": CLIENT,
            "response_type": "code",
            "redirect_uri": redirect,
            "code_challenge": challenged,
            "code_challenge_method": "S256",
        },
        headers=_NO_BROWSER,
        auth=tuple(part.encode() for part in credentials),
    )
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise Failed("the user's name or the password is wrong")
    target = answer.headers.get("location", "")
    if not answer.has_redirect_location or not target.startswith(redirect):
        raise Failed(
            _said(_json(answer)) or f"{authorize} answered {answer.status_code} and no code"
        )
    query = parse_qs(urlsplit(target).query)
    if "code" not in query:
        error = query.get("error_description") or query.get("error") or ["no code came back"]
        raise Failed(printable(f"the server does not let you in: {error[0]}"))
    code: str = query["code"][0]
    return code


def _endpoint(api: Api, server: dict[str, Any], name: str) -> str:
    url = text(server, name)
    secure = urlsplit(api.login.server).scheme == "https"
    if urlsplit(url).scheme not in (("https",) if secure else ("https", "http")):
        raise Failed(f"{api.login.server} names no usable {name}: {printable(url)!r}")
    return url


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _said(answer: Any) -> str:
    return printable(
        text(answer, "error_description") or text(answer, "error") or text(answer, "message")
    )
