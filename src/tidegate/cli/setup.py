"""What a data directory needs before anything is served from it, and changes to its users."""

import time
from urllib.parse import urlsplit

from tidegate.auth import administrator
from tidegate.auth.keys import ensure_signing_key
from tidegate.auth.passwords import PasswordHashes
from tidegate.cli.refusal import Refused
from tidegate.config import Settings
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database


async def prepare(settings: Settings) -> str | None:
    """Bring the schema up to date, and make the first administrator and the first signing key.

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
        return await administrator.first_administrator(
            database, hashes, settings.admin_password, time.time()
        )
    finally:
        hashes.close()
        await database.close()


async def change_password(settings: Settings, name: str, password: str) -> bool:
    """Give a user a new password; False without such a user, `PasswordRefused`."""
    database = await open_database(settings.database_url)
    hashes = PasswordHashes()
    try:
        return await administrator.change_password(database, hashes, name, password, time.time())
    finally:
        hashes.close()
        await database.close()


def _shown(url: str) -> str:
    """A database URL for people: the file, or host and name without the password."""
    if url.startswith("sqlite:///"):
        return url.removeprefix("sqlite:///")
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}{parts.path}"
