"""Making users and setting passwords; a password is hashed here and kept nowhere else."""

import re
import secrets

from tidegate.auth.credentials import PASSWORD_LIMIT, check_password_login
from tidegate.auth.errors import InvalidCredentials, PasswordRefused
from tidegate.auth.logins import looks_like_token
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.users import local
from tidegate.metastore import users
from tidegate.metastore.database import Database, Transaction

FIRST_ADMINISTRATOR = "admin"

SHORTEST_PASSWORD = 8
"""Characters; NIST SP 800-63B section 5.1.1.2 asks for no less, and for no other rule."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,126}[A-Za-z0-9])?", re.ASCII)
"""No colon: Basic credentials end a name there, and `system:` names are Kubernetes' own."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""What generated passwords are made of: nothing that is mistaken for something else."""


async def first_administrator(
    database: Database, hashes: PasswordHashes, password: str, now: float
) -> str | None:
    """Make the user `admin` in a database without users.

    An empty `password` asks for a generated one, which is returned, to be shown once; None means
    that nothing was generated. Processes that start together make one administrator; where there
    is any user already nothing changes, whatever `password` says.
    """
    if await users.names(database, "", 1):
        return None
    generated = None if password else generate_password()
    encoded = await _hash(hashes, FIRST_ADMINISTRATOR, generated or password)

    def unit(tx: Transaction) -> bool:
        if users.count(tx):
            return False
        return local.create(tx, FIRST_ADMINISTRATOR, encoded, now, admin=True)

    return generated if await database.write(unit) else None


async def add_user(
    database: Database,
    hashes: PasswordHashes,
    name: str,
    password: str,
    now: float,
    *,
    admin: bool = False,
) -> bool:
    """Make a user, with `admin` one who may do everything; False when there is one already."""
    encoded = await _hash(hashes, name, password)
    return await database.write(lambda tx: local.create(tx, name, encoded, now, admin=admin))


async def change_password(
    database: Database, hashes: PasswordHashes, name: str, password: str, now: float
) -> bool:
    """Give the user `name` another password, which voids her tokens; False without such a user."""
    encoded = await _hash(hashes, name, password)
    return await database.write(lambda tx: local.set_password(tx, name, encoded, now))


def generate_password() -> str:
    """Four groups of five letters and digits: 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


async def _hash(hashes: PasswordHashes, name: str, password: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise PasswordRefused(
            "a user name is made of letters, digits, '.', '_', '@' and '-', at most 128, "
            "and starts and ends with a letter or digit"
        )
    if looks_like_token(password):
        raise PasswordRefused("a password must not look like a token, as it would be taken for one")
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordRefused(f"a password has at least {SHORTEST_PASSWORD} characters")
    try:
        check_password_login(name, password)  # what could not be logged in with is not set
    except InvalidCredentials as error:
        raise PasswordRefused(
            f"a password has at most {PASSWORD_LIMIT} bytes, all of them text"
        ) from error
    return await hashes.hash(password)
