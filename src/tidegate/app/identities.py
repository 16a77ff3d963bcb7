"""Everything that says who somebody is, put together."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidegate.auth.accounts import LocalLogins, StoredAccounts
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.keys import KeyRing, Keys
from tidegate.auth.login import PasswordLogin
from tidegate.auth.logins import Logins
from tidegate.auth.oauth.server import OAuthServer
from tidegate.auth.oauth.tokens import AccessTokens
from tidegate.auth.oidc.configuration import Issuers
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens
from tidegate.auth.tokens import Tokens
from tidegate.auth.users.groups import GroupIndex
from tidegate.config import Settings
from tidegate.metastore import keys
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.registry.access import SERVICE


@dataclass(frozen=True, slots=True)
class Identities:
    """Everything that says who somebody is; `keys` are those that sign, as of a time."""

    keys: Callable[[float], Awaitable[Keys]]
    passwords: PasswordLogin
    accounts: ServiceAccountTokens
    logins: Logins
    tokens: Tokens
    authenticator: Authenticator
    oauth: OAuthServer


def make_identities(
    settings: Settings,
    database: Database,
    store: Documents,
    hashes: PasswordHashes,
    issuers: Issuers,
) -> Identities:
    """Passwords, access tokens, service accounts, identity providers, exchanged tokens."""
    ring = KeyRing(lambda: keys.signing(database))
    groups = GroupIndex(store)
    directory = StoredAccounts(database, store, groups)
    passwords = PasswordLogin(directory, hashes, time.monotonic)
    accounts = ServiceAccountTokens(ring, store, hosts=settings.pull_secret_hosts)
    jobs = issuers.tokens(ring, groups)
    kinds = (
        LocalLogins(directory),
        AccessTokens(store, directory),
        accounts,
        jobs,
        issuers.logins(database, groups),
    )
    logins = Logins(kinds, time.monotonic)
    tokens = Tokens(ring, SERVICE, settings.token_lifetime)
    return Identities(
        ring.keys,
        passwords,
        accounts,
        logins,
        tokens,
        Authenticator(passwords, logins, tokens, time.time),
        OAuthServer(store, passwords, jobs if settings.ci else None, time.time),
    )
