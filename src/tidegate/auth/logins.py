"""What it is to be logged in, whichever way: the port between the kinds of credentials.

A *login* is somebody established by a password, an access token, a service account's token, an
identity provider or an exchanged CI token. A registry token is made from a login and remembers it
by its `reference`; at each use the kind of login that the reference belongs to is asked whether it
still stands, so that whatever voids a login voids every token that came of it.
"""

from dataclasses import dataclass
from typing import Protocol

from tidegate.apimachinery.authorizer import User


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody, established just now.

    `reference` is `KIND:…`, text that only its own kind reads; it holds no secret, since it is
    written into tokens. `expires` is when the login ends by itself, seconds since the epoch.
    """

    user: User
    reference: str
    expires: float | None = None


class LoginKind(Protocol):
    """One kind of login that bearer tokens prove."""

    @property
    def kind(self) -> str:
        """What the references of this kind begin with, before the colon."""
        ...

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        """Who the token proves; None when it is no token of this kind.

        `TokenInvalid` when it is one and does not hold. `audiences` are those asked for by a
        TokenReview, empty for the server's own.
        """
        ...

    async def resume(self, reference: str, now: float) -> User | None:
        """The user of an earlier login as she is now; None when the login is void."""
        ...
