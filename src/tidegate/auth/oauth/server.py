"""What the OAuth server does once a request is read: log in, give codes and tokens."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.errors import InvalidCredentials, InvalidTokenRequest
from tidegate.auth.login import PasswordLogin
from tidegate.auth.oauth.authorize import (
    AuthorizeRequest,
    location_with_code,
    location_with_token,
    one,
)
from tidegate.auth.oauth.clients import AUTHORIZE, BROWSER, TOKEN
from tidegate.auth.oauth.codes import exchange, put_code
from tidegate.auth.oauth.grant import CodeGrant, Fields, read_code_grant
from tidegate.auth.oauth.kinds import OAuthAccessToken
from tidegate.auth.oauth.proof import METHODS
from tidegate.auth.oauth.tokens import FULL, LIFETIME, issue, new_secret

BEARER = "Bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class TokenAnswer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of a token answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str = ""
    issued_token_type: str = ""

    def __repr__(self) -> str:
        return f"TokenAnswer(expires_in={self.expires_in})"


class Granted(msgspec.Struct, frozen=True):
    """A token answer, and whose the token is."""

    user: str
    answer: TokenAnswer


class Exchange(Protocol):
    """Turns a form with a token of somebody else's into one of ours (RFC 8693)."""

    async def exchange(self, fields: Fields, now: float) -> Granted: ...


class OAuthServer:
    """Gives codes and tokens to who logs in; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        store: ObjectStore,
        passwords: PasswordLogin,
        exchange: Exchange | None,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._exchange = exchange
        self._clock = clock

    async def authorize(
        self, request: AuthorizeRequest, name: str, password: str, client: str
    ) -> str:
        """Where to send the user `name`, who comes from the address `client`.

        `InvalidCredentials` or `Throttled` when she does not prove who she is. A token in the
        password's place is none: it must not prolong itself.
        """
        account = await self._passwords.login(name, password, client)
        secret, now = new_secret(), self._clock()
        if request.implicit:
            await self._issue(request, secret, account.user, now)
            location = location_with_token(request, secret)
        else:
            await self._store.write(lambda tx: put_code(tx, secret, request, account.user, now))
            location = location_with_code(request, secret)
        if not await self._passwords.stands(account):
            raise InvalidCredentials(user=name)
        return location

    async def grant(self, fields: Fields, authorization: str) -> Granted:
        """Answer a token request; `InvalidTokenRequest`, `InvalidClient` or `TokenInvalid`."""
        kind = one(fields, "grant_type")
        if kind == EXCHANGE and self._exchange is not None:
            return await self._exchange.exchange(fields, self._clock())
        if kind != "authorization_code":
            raise InvalidTokenRequest(
                "grant_type is none that this server supports", "unsupported_grant_type"
            )
        return await self.redeem(read_code_grant(fields, authorization))

    async def redeem(self, grant: CodeGrant) -> Granted:
        """An access token for a code."""
        secret, now = new_secret(), self._clock()
        user = await self._store.write(lambda tx: exchange(tx, grant, secret, now))
        answer = TokenAnswer(
            access_token=secret, token_type=BEARER, expires_in=LIFETIME, scope=FULL
        )
        return Granted(user, answer)

    async def redeem_shown(self, code: str, address: str) -> Granted:
        """An access token for the code that a browser brought to `address`, a page of ours."""
        return await self.redeem(CodeGrant(BROWSER.name, code, address, ""))

    async def _issue(self, request: AuthorizeRequest, secret: str, user: User, now: float) -> None:
        token = OAuthAccessToken(
            client_name=request.client.name,
            redirect_uri=request.redirect_uri,
            user_name=user.name,
            user_uid=user.uid,
        )
        await self._store.write(lambda tx: issue(tx, secret, token, now))


def metadata(origin: str, *, exchanges: bool) -> dict[str, object]:
    """What clients find out about the server at `origin` (RFC 8414)."""
    grants = ["authorization_code", "implicit"]
    return {
        "issuer": origin,
        "authorization_endpoint": origin + AUTHORIZE,
        "token_endpoint": origin + TOKEN,
        "scopes_supported": [FULL],
        "response_types_supported": ["code", "token"],
        "grant_types_supported": [*grants, EXCHANGE] if exchanges else grants,
        "code_challenge_methods_supported": list(METHODS),
    }
