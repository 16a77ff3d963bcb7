"""Who sends a request to the API: the `Authenticate` port of its application.

Differs from `/v2/` in that no credentials are somebody too, judged like any other, and that a
registry token proves nothing.
"""

from collections.abc import Sequence

from tidegate.apimachinery.authorizer import ANONYMOUS, User
from tidegate.apimachinery.errors import TooManyRequests, Unauthorized
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.credentials import parse_authorization
from tidegate.auth.errors import InvalidCredentials, Throttled


class ApiAuthenticator:
    """Reads the `Authorization` header of API requests."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, headers: Sequence[tuple[bytes, bytes]], client: str) -> User:
        """The user; `Unauthorized` or `TooManyRequests` for credentials that prove nobody."""
        authorization = next((value for name, value in headers if name == b"authorization"), None)
        if authorization is None:
            return ANONYMOUS
        try:
            credentials = parse_authorization(authorization.decode("latin-1"))
            login = await self._authenticator.log_in(credentials, client)
        except Throttled as error:
            raise TooManyRequests(
                str(error), retry_after=error.retry_after, claimed=error.user
            ) from error
        except InvalidCredentials as error:
            raise Unauthorized(claimed=error.user) from error
        return login.user
