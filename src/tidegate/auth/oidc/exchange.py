"""Token exchange (RFC 8693): a CI job's token in, a short-lived token of ours out.

The token that is given is an HS256 JWT under a `typ` of its own, for this server alone. Invariants:
it ends no later than the token that it was given for; it is void once its issuer is configured no
more, or with another URL. Another `require` counts for the next exchange.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from tidegate.apimachinery.authorizer import User
from tidegate.auth.errors import InvalidTokenRequest, TokenInvalid
from tidegate.auth.keys import KeyRing
from tidegate.auth.logins import REGISTRY_AUDIENCES, Login, own_audiences
from tidegate.auth.oauth.authorize import one
from tidegate.auth.oauth.grant import Fields
from tidegate.auth.oauth.server import BEARER, Granted, TokenAnswer
from tidegate.auth.oauth.tokens import FULL
from tidegate.auth.oidc.ci import (
    CiIssuer,
    check_ci_issuers,
    groups_of,
    require_claims,
    subject_of,
)
from tidegate.auth.oidc.claimed import Claimed, read_reference
from tidegate.auth.oidc.keys import IssuerKeys
from tidegate.auth.oidc.names import Claims
from tidegate.auth.oidc.verification import expiry, issuer_of, require_audience, verified
from tidegate.auth.signing import TOKEN_LIMIT, claims_of, sign, signer_of
from tidegate.auth.users.groups import AUTHENTICATED

KIND = "ci"
TYPE = "ci+jwt"
ISSUER = "tidegate"
AUDIENCE = "tidegate:api"

LEEWAY = 5.0
"""Seconds that a replica's clock may be ahead of ours; an expiry gets none."""

TOKEN_TYPES = "urn:ietf:params:oauth:token-type:"  # noqa: S105  a prefix of names
ACCESS_TOKEN = TOKEN_TYPES + "access_token"
SUBJECT_TYPES = (TOKEN_TYPES + "jwt", TOKEN_TYPES + "id_token")


class CiTokens:
    """Gives tokens for CI jobs' tokens, and accepts them (`LoginKind`, `oauth.server.Exchange`).

    `keys` are by the issuers' names. `groups_of` gives the local groups that name a user.
    """

    kind = KIND

    def __init__(
        self,
        issuers: Sequence[CiIssuer],
        keys: Mapping[str, IssuerKeys],
        ring: KeyRing,
        groups_of: Callable[[str], Awaitable[tuple[str, ...]]],
    ) -> None:
        check_ci_issuers(issuers)
        self._issuers = {each.name: each for each in issuers}
        self._keys = keys
        self._ring = ring
        self._groups_of = groups_of

    async def exchange(self, fields: Fields, now: float) -> Granted:
        """Answer a token request with grant_type token-exchange.

        `InvalidTokenRequest` for one that breaks the protocol, `TokenInvalid` for a subject token
        that does not hold.
        """
        token = _subject_token(fields)
        issuer, claims = await self._accepted(token, now)
        job = Claimed(
            issuer.name, issuer.issuer, subject_of(issuer, claims), groups_of(issuer, claims)
        )
        issued = int(now)
        expires = min(issued + issuer.lifetime, int(expiry(claims)))
        if expires <= now:
            raise TokenInvalid("the token has expired", job.user)
        answer = TokenAnswer(
            access_token=await self._sign(job, issued, expires),
            token_type=BEARER,
            expires_in=expires - issued,
            issued_token_type=ACCESS_TOKEN,
        )
        return Granted(job.user, answer)

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        """The job that the token was given to."""
        key = signer_of(token, TYPE, await self._ring.keys(now))
        if key is None:
            return None
        try:
            claims = msgspec.json.decode(claims_of(token, key), type=_Claims)
        except msgspec.MsgspecError as error:
            raise TokenInvalid("the token was not made here") from error
        if claims.iss != ISSUER or claims.aud != AUDIENCE:
            raise TokenInvalid("the token is for another service", claims.sub)
        if now >= claims.exp:
            raise TokenInvalid("the token has expired", claims.sub)
        if claims.nbf > now + LEEWAY:
            raise TokenInvalid("the token is not valid yet", claims.sub)
        compatible = own_audiences(audiences)
        job = Claimed(claims.ci, claims.ci_issuer, claims.sub, tuple(claims.groups))
        user = await self._current(job)
        if user is None:
            raise TokenInvalid("the token's issuer is no longer accepted", claims.sub)
        return Login(user, job.reference(KIND), claims.exp, compatible)

    async def resume(self, reference: str, _now: float) -> User | None:
        """The job's user, as long as its issuer is configured."""
        job = read_reference(reference, KIND)
        return None if job is None else await self._current(job)

    async def _accepted(self, token: str, now: float) -> tuple[CiIssuer, Claims]:
        """The first issuer, as configured, that the token is of and whose demands it meets."""
        claimed = issuer_of(token)
        refusal = TokenInvalid("the subject token is from no issuer that is accepted here")
        for issuer in self._issuers.values():
            if issuer.issuer != claimed:
                continue
            claims = await verified(token, self._keys[issuer.name], issuer.algorithms, now)
            try:
                require_audience(claims, issuer.audience)
                require_claims(issuer, claims)
            except TokenInvalid as error:
                refusal = error
            else:
                return issuer, claims
        raise refusal

    async def _sign(self, job: Claimed, issued: int, expires: int) -> str:
        key = (await self._ring.keys(issued)).signing
        claims = _Claims(
            iss=ISSUER,
            sub=job.user,
            aud=AUDIENCE,
            exp=expires,
            nbf=issued,
            iat=issued,
            jti=str(uuid.uuid4()),
            groups=list(job.groups),
            ci=job.name,
            ci_issuer=job.issuer,
        )
        token = sign(msgspec.json.encode(claims), TYPE, key)
        if len(token) > TOKEN_LIMIT:
            raise TokenInvalid("the names that the claims make are too long", job.user)
        return token

    async def _current(self, job: Claimed) -> User | None:
        issuer = self._issuers.get(job.name)
        if issuer is None or issuer.issuer != job.issuer:
            return None
        groups = dict.fromkeys((*job.groups, *await self._groups_of(job.user), AUTHENTICATED))
        return User(job.user, tuple(groups))


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str
    exp: int
    nbf: int
    iat: int
    jti: str
    groups: list[str]
    ci: str
    ci_issuer: str


def _subject_token(fields: Fields) -> str:
    """The token of a request that asks for what we can give (RFC 8693 section 2.1)."""
    token = one(fields, "subject_token")
    if not token:
        raise InvalidTokenRequest("subject_token is missing")
    if one(fields, "subject_token_type") not in SUBJECT_TYPES:
        raise InvalidTokenRequest(f"subject_token_type is {' or '.join(SUBJECT_TYPES)}")
    if one(fields, "requested_token_type") not in ("", ACCESS_TOKEN):
        raise InvalidTokenRequest(f"requested_token_type is {ACCESS_TOKEN}")
    if one(fields, "actor_token") or one(fields, "actor_token_type"):
        raise InvalidTokenRequest("acting for somebody is not supported")
    if one(fields, "scope") not in ("", FULL):
        raise InvalidTokenRequest(f"the only scope is {FULL}", "invalid_scope")
    audience = one(fields, "audience")
    if audience not in ("", AUDIENCE, *REGISTRY_AUDIENCES) or one(fields, "resource"):
        raise InvalidTokenRequest("tokens are given for this server alone", "invalid_target")
    return token
