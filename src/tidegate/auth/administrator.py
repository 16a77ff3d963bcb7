"""Making users and setting passwords; a password is hashed here and kept nowhere else."""

import re
import secrets

from tidegate.auth.credentials import PASSWORD_LIMIT, check_password_login
from tidegate.auth.errors import InvalidCredentials, PasswordRefused
from tidegate.auth.passwords import PasswordHashes
from tidegate.metastore import users
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.users import User

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
    user = User(FIRST_ADMINISTRATOR, encoded, admin=True, disabled=False, changed_at=now)

    def unit(tx: Transaction) -> bool:
        if users.count(tx):
            return False
        users.put(tx, user)
        return True

    return generated if await database.write(unit) else None


async def change_password(
    database: Database, hashes: PasswordHashes, name: str, password: str, now: float
) -> bool:
    """Give the user `name` another password, which voids her tokens; False without such a user."""
    encoded = await _hash(hashes, name, password)

    def unit(tx: Transaction) -> bool:
        user = users.get(tx, name)
        if user is None:
            return False
        users.put(tx, user._replace(password_hash=encoded, changed_at=now))
        return True

    return await database.write(unit)


def generate_password() -> str:
    """Four groups of five letters and digits: 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


async def _hash(hashes: PasswordHashes, name: str, password: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise PasswordRefused(
            "a user name is made of letters, digits, '.', '_', '@' and '-', at most 128, "
            "and starts and ends with a letter or digit"
        )
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordRefused(f"a password has at least {SHORTEST_PASSWORD} characters")
    try:
        check_password_login(name, password)  # what could not be logged in with is not set
    except InvalidCredentials as error:
        raise PasswordRefused(
            f"a password has at most {PASSWORD_LIMIT} bytes, all of them text"
        ) from error
    return await hashes.hash(password)
