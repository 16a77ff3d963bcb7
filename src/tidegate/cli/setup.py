"""What a data directory needs before anything is served from it."""

import time
from urllib.parse import urlsplit

from tidegate.apimachinery.store import DocumentTransaction
from tidegate.auth import administrator
from tidegate.auth.keys import KeyRing, ensure_signing_key
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.projects.provision import ensure_system_namespaces
from tidegate.auth.rbac.anonymous import let_anybody_pull
from tidegate.auth.rbac.reconciliation import reconcile
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens, Signer
from tidegate.cli.refusal import Refused
from tidegate.config import Settings
from tidegate.controllers.adoption import Older, adopt_users, older_users
from tidegate.kinds.registries.singleton import KnownHosts, ensure_image
from tidegate.metastore import keys
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database


async def prepare(settings: Settings) -> str | None:
    """Bring schema, signing key, default roles and namespaces up to date, and make `admin`.

    Returns her password when it was generated, which is the only time that it is known. `Refused`
    names the database that cannot be used.
    """
    try:
        migrate(settings.database_url)
        database = await open_database(settings.database_url)
    except MetastoreError as error:
        raise Refused(f"metadata database {_shown(settings.database_url)}: {error}") from error
    hashes = PasswordHashes()
    try:
        await ensure_signing_key(database, time.time())
        await _bootstrap(database, settings)
        return await administrator.first_administrator(
            database, hashes, settings.admin_password, time.time()
        )
    finally:
        hashes.close()
        await database.close()


async def _bootstrap(database: Database, settings: Settings) -> None:
    """Roles, bindings and namespaces that are always there; doing it again changes nothing."""
    store = Documents(database)
    ring = KeyRing(lambda: keys.signing(database))
    tokens = ServiceAccountTokens(ring, store, hosts=settings.pull_secret_hosts)
    signer = await tokens.signer(time.time())
    older = await older_users(database)
    await store.write(lambda tx: _furnish(tx, settings, signer, older))


def _furnish(tx: DocumentTransaction, settings: Settings, signer: Signer, older: Older) -> None:
    ensure_system_namespaces(tx, signer)
    reconcile(tx, signer.now)
    let_anybody_pull(tx, signer.now, allowed=settings.anonymous_pull)
    adopt_users(tx, older, signer.now)
    ensure_image(tx, KnownHosts(*settings.image_hosts), signer.now)


def _shown(url: str) -> str:
    """A database URL for people: the file, or host and name without the password."""
    if url.startswith("sqlite:///"):
        return url.removeprefix("sqlite:///")
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}{parts.path}"
