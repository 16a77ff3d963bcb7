"""Logins that an identity provider vouches for: its ID tokens, as bearer tokens."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from tidegate.apimachinery.authorizer import User
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import Login, own_audiences
from tidegate.auth.oidc.claimed import Claimed, read_reference
from tidegate.auth.oidc.keys import IssuerKeys
from tidegate.auth.oidc.names import Claims, check_prefixes, group_names, text_of, user_name
from tidegate.auth.oidc.verification import (
    ALGORITHMS,
    LEEWAY,
    expiry,
    issuer_of,
    require_client,
    verified,
)
from tidegate.auth.users.groups import AUTHENTICATED
from tidegate.remote.errors import RemoteError
from tidegate.remote.https import check_url

KIND = "oidc"

NO_PREFIX = "-"

EMAIL = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcIssuer:
    """An identity provider, and how its users are called here.

    A prefix of `-` is none at all; left empty it is `NAME:`, except that an `email` that the
    provider has verified needs none (as in kube-apiserver). Without a prefix a user of hers cannot
    log in under the name of a local user, whoever was first; see `names` for the rest.
    """

    name: str
    issuer: str
    client_id: str
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    ca_file: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS

    @property
    def user_prefix(self) -> str:
        if self.username_prefix == NO_PREFIX:
            return ""
        if not self.username_prefix and self.username_claim == EMAIL:
            return ""
        return self.username_prefix or f"{self.name}:"

    @property
    def group_prefix(self) -> str:
        return "" if self.groups_prefix == NO_PREFIX else self.groups_prefix or f"{self.name}:"


def check_issuers(issuers: Sequence[OidcIssuer]) -> None:
    """Refuse issuers that cannot be told apart or used; `ValueError` says what to change."""
    for each in issuers:
        try:
            check_url(each.issuer)
        except RemoteError as error:
            raise ValueError(f"issuer {each.name!r}: {error}") from error
        if not each.name or not each.client_id or not each.username_claim:
            raise ValueError(f"issuer {each.name!r}: name, client_id and username_claim are needed")
        unknown = set(each.algorithms) - set(ALGORITHMS)
        if unknown or not each.algorithms:
            raise ValueError(f"issuer {each.name!r}: algorithms are of {', '.join(ALGORITHMS)}")
    if len({each.name for each in issuers}) < len(issuers):
        raise ValueError("two issuers have one name")
    check_prefixes({each.name: each.user_prefix for each in issuers})
    for each in issuers:  # groups of two issuers may be meant to be the same
        check_prefixes({each.name: each.group_prefix})


class OidcLogins:
    """The `LoginKind` of ID tokens.

    `keys` are by the issuers' names. `groups_of` gives the local groups that name a user;
    `is_local` says whether there is a local user of a name, disabled or not.
    """

    kind = KIND

    def __init__(
        self,
        issuers: Sequence[OidcIssuer],
        keys: Mapping[str, IssuerKeys],
        groups_of: Callable[[str], Awaitable[tuple[str, ...]]],
        is_local: Callable[[str], Awaitable[bool]],
    ) -> None:
        check_issuers(issuers)
        self._issuers = {each.name: each for each in issuers}
        self._keys = keys
        self._groups_of = groups_of
        self._is_local = is_local

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        """Whom the token is about; it was made for our client and proves her here alone."""
        claimed = issuer_of(token)
        candidates = [each for each in self._issuers.values() if each.issuer == claimed]
        if not candidates:
            return None
        compatible = own_audiences(audiences)
        refusal = TokenInvalid("the token is for another audience")
        for issuer in candidates:
            claims = await verified(token, self._keys[issuer.name], issuer.algorithms, now)
            try:
                require_client(claims, issuer.client_id)
            except TokenInvalid as error:
                refusal = error
                continue
            seen = Claimed(
                issuer.name, issuer.issuer, _user(issuer, claims), _groups(issuer, claims)
            )
            user = await self._current(seen)
            return Login(user, seen.reference(KIND), expiry(claims) + LEEWAY, compatible)
        raise refusal

    async def resume(self, reference: str, _now: float) -> User | None:
        """The user, as long as the provider is configured; her local groups are those of now."""
        seen = read_reference(reference, KIND)
        issuer = self._issuers.get(seen.name) if seen is not None else None
        if seen is None or issuer is None or issuer.issuer != seen.issuer:
            return None
        try:
            return await self._current(seen)
        except TokenInvalid:
            return None

    async def _current(self, seen: Claimed) -> User:
        if not self._issuers[seen.name].user_prefix and await self._is_local(seen.user):
            raise TokenInvalid("there is a local user of this name", seen.user)
        local = await self._groups_of(seen.user)
        groups = dict.fromkeys((*seen.groups, *local, AUTHENTICATED))
        return User(seen.user, tuple(groups))


def _user(issuer: OidcIssuer, claims: Claims) -> str:
    if issuer.username_claim == EMAIL:
        proven = claims.get("email_verified")
        if proven is not True and (proven is not None or not issuer.user_prefix):
            raise TokenInvalid("the provider has not verified the e-mail address")
    return user_name(issuer.user_prefix, text_of(claims, issuer.username_claim))


def _groups(issuer: OidcIssuer, claims: Claims) -> tuple[str, ...]:
    if not issuer.groups_claim:
        return ()
    return group_names(issuer.group_prefix, claims.get(issuer.groups_claim))
