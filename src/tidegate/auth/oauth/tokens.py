"""Access tokens: made, believed, and ended.

A token is 256 random bits after `sha256~`, as OpenShift's are; stored is its name, made from a hash
of it, in an OAuthAccessToken. Invariant: a token is good as long as its object is there, is not
expired, and its user may log in and is the same user still.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from functools import partial

import msgspec

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.accounts import AccountDirectory
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import ACCESS_TOKEN_PREFIX, Login, own_audiences
from tidegate.auth.oauth.kinds import (
    ACCESS_TOKENS,
    AUTHORIZE_TOKENS,
    OAuthAccessToken,
    expiry_of,
)
from tidegate.auth.stored import put_new, read

KIND = "oauth"
"""What references of these logins begin with."""

LIFETIME = 86_400
"""Seconds that a token is good for: OpenShift's default, a day."""

FULL = "user:full"
"""The one scope that there is: all that the user may do."""

_FORM = re.compile(r"sha256~[A-Za-z0-9_-]{43}")

_PURGED_AT_ONCE = 500


def new_secret() -> str:
    """A token or code, never seen before; it does not begin with a dash, so options can hold it."""
    while (text := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return ACCESS_TOKEN_PREFIX + text


def name_of(secret: str) -> str:
    """The name of the object that stands for a token or code."""
    text = secret.removeprefix(ACCESS_TOKEN_PREFIX)
    digest = hashlib.sha256(text.encode()).digest()
    return ACCESS_TOKEN_PREFIX + base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def issue(tx: DocumentTransaction, secret: str, token: OAuthAccessToken, now: float) -> None:
    """Make `secret` a token: `token` says whose, and for which client."""
    token.metadata.name = name_of(secret)
    token.expires_in, token.scopes = LIFETIME, [FULL]
    put_new(tx, ACCESS_TOKENS, token, now)


def end_all(tx: DocumentTransaction, user: str) -> None:
    """End every token and code of the user of this name."""
    for resource in (ACCESS_TOKENS, AUTHORIZE_TOKENS):
        for document in tx.list(resource.key):
            if _common(document).user_name == user:
                tx.delete(document.key)


async def purge(store: ObjectStore, now: float) -> int:
    """Remove expired tokens and codes; how many there were."""
    purged = 0
    for resource in (ACCESS_TOKENS, AUTHORIZE_TOKENS):
        after: tuple[str, str] | None = None
        while True:
            page = await store.list(resource.key, after=after, limit=_PURGED_AT_ONCE)
            expired = [each.key for each in page.documents if expiry_of(_common(each)) <= now]
            if expired:
                purged += await store.write(partial(_remove, expired))
            if not page.more:
                break
            last = page.documents[-1].key
            after = (last.namespace, last.name)
    return purged


def _remove(keys: Sequence[Key], tx: DocumentTransaction) -> int:
    return sum(tx.delete(key) is not None for key in keys)


def _common(document: Document) -> OAuthAccessToken:
    """What tokens and codes have in common, read of either."""
    return msgspec.json.decode(document.body, type=OAuthAccessToken)


class AccessTokens:
    """The `LoginKind` of access tokens."""

    kind = KIND

    def __init__(self, store: ObjectStore, accounts: AccountDirectory) -> None:
        self._store = store
        self._accounts = accounts

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        """Who holds the token, which is for this server alone."""
        if not token.startswith(ACCESS_TOKEN_PREFIX):
            return None
        if _FORM.fullmatch(token) is None:
            raise TokenInvalid("the token is none that was made here")
        compatible = own_audiences(audiences)
        name = name_of(token)
        stored = await self._find(name, now)
        user = await self._user(stored) if stored is not None else None
        if stored is None or user is None:
            raise TokenInvalid("the token has expired or was revoked")
        return Login(user, f"{KIND}:{name}", expiry_of(stored), compatible)

    async def resume(self, reference: str, now: float) -> User | None:
        stored = await self._find(reference.removeprefix(f"{KIND}:"), now)
        return await self._user(stored) if stored is not None else None

    async def _find(self, name: str, now: float) -> OAuthAccessToken | None:
        document = await self._store.get(Key(ACCESS_TOKENS.key, "", name))
        if document is None:
            return None
        token = read(ACCESS_TOKENS, document)
        return token if now < expiry_of(token) else None

    async def _user(self, token: OAuthAccessToken) -> User | None:
        account = await self._accounts.find(token.user_name)
        if account is None or account.user.uid != token.user_uid:
            return None
        return account.user
