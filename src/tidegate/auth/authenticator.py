"""From an `Authorization` header to an identity, for every surface of the server.

Basic is a user's password, or a token in its place under any name at all, which is how container
clients send one. Bearer is a registry token on `/v2/`, or a token of any kind of login anywhere.
Invariant: an identity is somebody who may log in now: a registry token is void with the login that
it came of, however much longer it would have lived.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tidegate.apimachinery.authorizer import ANONYMOUS
from tidegate.auth.credentials import Basic, Bearer, parse_authorization
from tidegate.auth.errors import IssuerUnavailable, TokenInvalid
from tidegate.auth.identity import NOBODY, Identity
from tidegate.auth.login import PasswordLogin
from tidegate.auth.logins import REGISTRY_AUDIENCES, Login, Logins, looks_like_token
from tidegate.auth.tokens import Tokens


class Authenticator:
    """Accepts passwords by `passwords`, registry tokens by `tokens`, all others by `logins`.

    `clock` gives seconds since the epoch. Each method raises `InvalidCredentials` (`TokenInvalid`
    for a token) and `Throttled` rather than take somebody for nobody: a client whose credentials
    are stale must hear of it.
    """

    def __init__(
        self,
        passwords: PasswordLogin,
        logins: Logins,
        tokens: Tokens,
        clock: Callable[[], float],
    ) -> None:
        self._passwords = passwords
        self._logins = logins
        self._tokens = tokens
        self._clock = clock

    async def authenticate(self, authorization: str | None, client: str) -> Identity:
        """Who sent this header to `/v2/` from the address `client`; `NOBODY` without a header."""
        if authorization is None:
            return NOBODY
        credentials = parse_authorization(authorization)
        if isinstance(credentials, Bearer):
            return await self._bearer(credentials.token)
        if not looks_like_token(credentials.password):
            account = await self._passwords.login(credentials.name, credentials.password, client)
            return Identity(account.user)
        with self._counting(client):
            return await self._bearer(credentials.password)

    async def log_in(
        self, credentials: Basic | Bearer, client: str, audiences: tuple[str, ...] = ()
    ) -> Login:
        """Who the credentials prove outside `/v2/`, where a registry token proves nothing.

        A registry token is for the registry: taken elsewhere it would buy more than it holds. A
        token that names audiences has to name one of `audiences`, with none the API's.
        """
        if isinstance(credentials, Bearer):
            return await self._logins.authenticate(credentials.token, self._clock(), audiences)
        if not looks_like_token(credentials.password):
            account = await self._passwords.login(credentials.name, credentials.password, client)
            return account.login
        with self._counting(client):
            return await self._logins.authenticate(credentials.password, self._clock(), audiences)

    @contextmanager
    def _counting(self, client: str) -> Iterator[None]:
        """A token in a password's place: one that does not hold counts as a failed login."""
        try:
            yield
        except IssuerUnavailable:
            raise
        except TokenInvalid:
            self._passwords.count_failed_token(client)
            raise

    async def _bearer(self, token: str) -> Identity:
        now = self._clock()
        verified = await self._tokens.verify(token, now)
        if verified is None:
            login = await self._logins.authenticate(token, now, REGISTRY_AUDIENCES)
            return Identity(login.user)
        if verified.subject == ANONYMOUS.name:
            return Identity(ANONYMOUS, verified.grants)
        user = await self._logins.resume(verified.login, now)
        if user is None:
            raise TokenInvalid("the token's login was revoked", verified.subject)
        return Identity(user, verified.grants)
