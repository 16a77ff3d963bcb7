"""Tokens of service accounts: bound, expiring, for named audiences.

    {"iss", "sub": "system:serviceaccount:NS:NAME", "aud": [...], "exp", "iat", "nbf", "jti",
     "kubernetes.io": {"namespace", "serviceaccount": {"name", "uid"}, "secret": {"name", "uid"}}}

Claims are Kubernetes'; the signature is made and checked by `signing`, under a `typ` of its own.
Invariants: a token counts while its key exists, it has not expired, the account of its name has
its uid and is not being deleted, and so the Secret that it is bound to; and only for an audience
that it names.
"""

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.bodies import header
from tidegate.apimachinery.store import Key as DocumentKey
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.keys import KeyRing, Keys
from tidegate.auth.logins import API_AUDIENCE, REGISTRY_AUDIENCES, Login
from tidegate.auth.secrets import SECRETS
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS
from tidegate.auth.signing import claims_of, sign, signer_of
from tidegate.auth.users.groups import AUTHENTICATED
from tidegate.metastore.keys import Key

KIND = "serviceaccount"
TYPE = "sa+jwt"

ISSUER = API_AUDIENCE
"""The issuer is called as the API's audience is, as in a cluster."""

REGISTRY_AUDIENCE = next(each for each in REGISTRY_AUDIENCES if each != API_AUDIENCE)
"""The audience of tokens that the registry accepts and the API does not."""

USER_PREFIX = "system:serviceaccount:"
ALL_ACCOUNTS = "system:serviceaccounts"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

LEEWAY = 5.0
"""Seconds that a replica's clock may be ahead of ours; an expiry gets none."""

RELIED_ON = 0.5
"""Seconds for which a document is relied on after it was read."""

CAPACITY = 4096
"""Verified tokens, and documents, that are remembered."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An object in time and space: a later one of the same name is another."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token; `expires` is in seconds since the epoch."""

    token: str = field(repr=False)
    expires: int


@dataclass(frozen=True, slots=True)
class Signer:
    """What it takes to make tokens inside a unit of work: keys are read before it.

    `kids` are the keys that there are, `hosts` the names by which clients know the registry.
    """

    key: Key = field(repr=False)
    kids: frozenset[str]
    now: float
    issuer: str = ISSUER
    hosts: tuple[str, ...] = ()

    def sign(
        self,
        namespace: str,
        account: Bound,
        audiences: Sequence[str],
        lifetime: int,
        secret: Bound | None = None,
    ) -> Minted:
        """A token for the account that lives `lifetime` seconds."""
        issued = int(self.now)
        claims = _Claims(
            iss=self.issuer,
            sub=user_name(namespace, account.name),
            aud=list(audiences),
            exp=issued + lifetime,
            iat=issued,
            nbf=issued,
            jti=str(uuid.uuid4()),
            kubernetes=_Kubernetes(
                namespace=namespace,
                serviceaccount=_Reference(account.name, account.uid),
                secret=None if secret is None else _Reference(secret.name, secret.uid),
            ),
        )
        return Minted(sign(msgspec.json.encode(claims), TYPE, self.key), claims.exp)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token that is ours says."""

    namespace: str
    account: Bound
    secret: Bound | None
    audiences: tuple[str, ...]
    expires: int
    jti: str
    kid: str

    @property
    def user(self) -> User:
        """The account as RBAC knows it."""
        return User(
            user_name(self.namespace, self.account.name),
            account_groups(self.namespace),
            self.account.uid,
            ((CREDENTIAL_ID, (f"JTI={self.jti}",)),),
        )


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a token was made and when it ends, and under which key."""

    issued: int
    expires: int
    kid: str


def lifetime_of(token: str) -> Lifetime | None:
    """What a token says of itself, nothing of it verified: only to decide whether to renew it."""
    try:
        head, body, _ = token.split(".")
        kid = msgspec.json.decode(_unpadded(head), type=_Header).kid
        claims = msgspec.json.decode(_unpadded(body), type=_Claims)
    except (ValueError, msgspec.MsgspecError):
        return None
    return Lifetime(claims.iat, claims.exp, kid)


def _unpadded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def user_name(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{USER_PREFIX}{namespace}:{name}"


def account_of(user: str) -> tuple[str, str] | None:
    """Namespace and name of the service account with this user name; None when it is none."""
    if not user.startswith(USER_PREFIX):
        return None
    namespace, colon, name = user[len(USER_PREFIX) :].partition(":")
    return (namespace, name) if namespace and colon and name and ":" not in name else None


def account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace."""
    return (ALL_ACCOUNTS, f"{ALL_ACCOUNTS}:{namespace}", AUTHENTICATED)


class ServiceAccountTokens:
    """Makes and accepts the tokens of service accounts (`logins.LoginKind`)."""

    def __init__(
        self,
        keys: KeyRing,
        store: ObjectStore,
        issuer: str = ISSUER,
        hosts: Sequence[str] = (),
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._hosts = tuple(hosts)
        self._living = _Living(store)
        self._verified: dict[str, Verified] = {}

    @property
    def kind(self) -> str:
        return KIND

    async def signer(self, now: float) -> Signer:
        """What makes tokens in a unit of work that begins soon."""
        keys = await self._keys.keys(now)
        return Signer(keys.signing, frozenset(keys.by_kid), now, self._issuer, self._hosts)

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        """Whose token it is, if it is for one of `audiences`: with none for the API."""
        keys = await self._keys.keys(now)
        verified = self._verified.get(token) or self._check(token, keys, now)
        if verified is None:
            return None
        named = verified.user.name
        if verified.kid not in keys.by_kid:
            raise TokenInvalid("the token's key was removed", named)
        if now >= verified.expires:
            raise TokenInvalid("the token has expired", named)
        wanted = audiences or (self._issuer,)
        common = tuple(each for each in wanted if each in verified.audiences)
        if not common:
            raise TokenInvalid("the token is for another audience", named)
        if not await self._living.are(verified, now):
            raise TokenInvalid("the token's service account or Secret is gone", named)
        self._remember(token, verified)
        return Login(verified.user, _reference(verified), verified.expires, common)

    async def resume(self, reference: str, now: float) -> User | None:
        """The account of an earlier login, as long as the token that proved it would count."""
        verified = _referred(reference)
        if verified is None or now >= verified.expires:
            return None
        if verified.kid not in (await self._keys.keys(now)).by_kid:
            return None
        return verified.user if await self._living.are(verified, now) else None

    def _check(self, token: str, keys: Keys, now: float) -> Verified | None:
        key = signer_of(token, TYPE, keys)
        if key is None:
            return None
        try:
            claims = msgspec.json.decode(claims_of(token, key), type=_Claims)
        except (msgspec.MsgspecError, ValueError) as error:
            raise TokenInvalid("the token was not made here") from error
        if claims.iss != self._issuer:
            raise TokenInvalid("the token is from another issuer", claims.sub)
        if claims.nbf > now + LEEWAY:
            raise TokenInvalid("the token is not valid yet", claims.sub)
        private = claims.kubernetes
        secret = private.secret
        return Verified(
            private.namespace,
            Bound(private.serviceaccount.name, private.serviceaccount.uid),
            None if secret is None else Bound(secret.name, secret.uid),
            tuple(claims.aud),
            claims.exp,
            claims.jti,
            key.kid,
        )

    def _remember(self, token: str, verified: Verified) -> None:
        self._verified[token] = verified
        if len(self._verified) > CAPACITY:
            del self._verified[next(iter(self._verified))]


class _Living:
    """Whether the objects that a token is bound to are there, and are to stay."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._seen: dict[DocumentKey, tuple[float, str]] = {}  # when, and with which uid

    async def are(self, token: Verified, now: float) -> bool:
        return await self._is(SERVICE_ACCOUNTS.key, token.namespace, token.account, now) and (
            token.secret is None or await self._is(SECRETS.key, token.namespace, token.secret, now)
        )

    async def _is(self, resource: str, namespace: str, bound: Bound, now: float) -> bool:
        key = DocumentKey(resource, namespace, bound.name)
        seen = self._seen.get(key)
        if seen is not None and 0 <= now - seen[0] < RELIED_ON and seen[1] == bound.uid:
            return True
        self._seen.pop(key, None)
        document = await self._store.get(key)
        if document is None or document.uid != bound.uid:
            return False
        if header(document.body).deletion_timestamp:
            return False
        self._seen[key] = (now, document.uid)
        if len(self._seen) > CAPACITY:
            del self._seen[next(iter(self._seen))]
        return True


class _Header(msgspec.Struct, frozen=True):
    kid: str


class _Reference(msgspec.Struct, frozen=True):
    name: str
    uid: str


class _Kubernetes(msgspec.Struct, frozen=True, omit_defaults=True):
    namespace: str
    serviceaccount: _Reference
    secret: _Reference | None = None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: list[str]
    exp: int
    iat: int
    nbf: int
    jti: str
    kubernetes: _Kubernetes = msgspec.field(name="kubernetes.io")


def _reference(token: Verified) -> str:
    """A token without its signature, for `_referred`: none of these contain a colon."""
    secret = token.secret or Bound("", "")
    return ":".join(
        (
            KIND,
            token.namespace,
            token.account.name,
            token.account.uid,
            secret.name,
            secret.uid,
            str(token.expires),
            token.jti,
            token.kid,
        )
    )


def _referred(reference: str) -> Verified | None:
    parts = reference.split(":")
    if len(parts) != 9 or parts[0] != KIND or not parts[6].isdecimal():
        return None
    _, namespace, name, uid, secret, secret_uid, expires, jti, kid = parts
    bound = Bound(secret, secret_uid) if secret else None
    return Verified(namespace, Bound(name, uid), bound, (), int(expires), jti, kid)
