"""From an `Authorization` header to an identity.

Invariant: an identity is somebody who may log in now: a token of a user who was removed, disabled
or given another password since is void, however much longer it would have lived.
"""

from collections.abc import Callable

from tidegate.apimachinery.authorizer import ANONYMOUS
from tidegate.auth.accounts import AccountDirectory
from tidegate.auth.credentials import Basic, parse_authorization
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.identity import NOBODY, Identity
from tidegate.auth.login import PasswordLogin
from tidegate.auth.tokens import Tokens


class Authenticator:
    """Accepts passwords by `login` and bearer tokens of `tokens`.

    `accounts` is asked at every bearer token; `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        login: PasswordLogin,
        tokens: Tokens,
        accounts: AccountDirectory,
        clock: Callable[[], float],
    ) -> None:
        self._login = login
        self._tokens = tokens
        self._accounts = accounts
        self._clock = clock

    async def authenticate(self, authorization: str | None, client: str) -> Identity:
        """Who sent this header from the address `client`; `NOBODY` without a header.

        `InvalidCredentials` (`TokenInvalid` for a token) and `Throttled` are raised rather than
        taken for nobody: a client whose credentials are stale must hear of it.
        """
        if authorization is None:
            return NOBODY
        credentials = parse_authorization(authorization)
        if isinstance(credentials, Basic):
            account = await self._login.login(credentials.name, credentials.password, client)
            return Identity(account.user)
        verified = await self._tokens.verify(credentials.token, self._clock())
        if verified.subject == ANONYMOUS.name:
            return Identity(ANONYMOUS, verified.grants)
        current = await self._accounts.find(verified.subject)
        if current is None or current.generation != verified.generation:
            raise TokenInvalid("the token's login was revoked", verified.subject)
        return Identity(current.user, verified.grants)
