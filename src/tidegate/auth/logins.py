"""What it is to be logged in, whichever way: the port between the kinds of credentials.

A *login* is somebody established by a password, an access token, a service account's token, an
identity provider or an exchanged CI token. A registry token is made from a login and remembers it
by its `reference`; at each use the kind of login that the reference belongs to is asked whether it
still stands, so that whatever voids a login voids every token that came of it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegate.apimachinery.authorizer import User
from tidegate.auth.errors import TokenInvalid

RELIED_ON = 0.5
"""Seconds that a login is relied on for registry tokens: with it, whatever voids the login takes
effect everywhere within a second. A proof of freshness from the database on every request
(`PRAGMA data_version`) cost as much as the rest of the check."""

CAPACITY = 10_000

API_AUDIENCE = "https://kubernetes.default.svc"
"""The audience of the API, as in a cluster; the registry takes what the API takes."""

REGISTRY_AUDIENCES = ("tidegate", API_AUDIENCE)
"""What a token has to name one of for the registry, if it names any."""

ACCESS_TOKEN_PREFIX = "sha256~"  # noqa: S105  what OpenShift's access tokens begin with

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
"""RFC 7519: three parts in base64url, of which the first is a JSON object's."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody, established just now.

    `reference` is `KIND:…`, text that only its own kind reads; it holds no secret, since it is
    written into tokens. `expires` is when the login ends by itself, seconds since the epoch.
    `audiences` are those of the wanted ones that a token was made for, where it says so.
    """

    user: User
    reference: str
    expires: float | None = None
    audiences: tuple[str, ...] = ()


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


class Logins:
    """Every kind of login that there is; `clock` counts seconds and never goes back."""

    def __init__(self, kinds: Sequence[LoginKind], clock: Callable[[], float]) -> None:
        self._kinds = {each.kind: each for each in kinds}
        self._clock = clock
        self._resumed: dict[str, tuple[float, User]] = {}

    async def authenticate(self, token: str, now: float, audiences: tuple[str, ...] = ()) -> Login:
        """Who the token proves; `TokenInvalid` when it proves nobody."""
        if looks_like_token(token):
            for kind in self._kinds.values():
                login = await kind.authenticate(token, now, audiences)
                if login is not None:
                    return login
        raise TokenInvalid("the token is none that this server accepts")

    async def resume(self, reference: str, now: float) -> User | None:
        """The user of an earlier login, as she was less than `RELIED_ON` seconds ago.

        None when the login is void, which is not kept.
        """
        moment = self._clock()
        resumed = self._resumed.get(reference)
        if resumed is not None and moment - resumed[0] < RELIED_ON:
            return resumed[1]
        self._resumed.pop(reference, None)
        kind = self._kinds.get(reference.partition(":")[0])
        user = await kind.resume(reference, now) if kind is not None else None
        if user is not None:
            self._resumed[reference] = (moment, user)
            if len(self._resumed) > CAPACITY:
                del self._resumed[next(iter(self._resumed))]
        return user


def own_audiences(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the audiences asked for that a token for this server alone suits.

    `TokenInvalid` when it suits none: another service must not take such a token for its own, with
    all that its holder may do here.
    """
    if asked and API_AUDIENCE not in asked:
        raise TokenInvalid("the token is for another audience")
    return (API_AUDIENCE,) if asked else ()


def looks_like_token(text: str) -> bool:
    """Whether text that came where a password may be is a token; no password may look so."""
    return text.startswith(ACCESS_TOKEN_PREFIX) or _JWT.fullmatch(text) is not None
