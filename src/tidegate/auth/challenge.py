"""`WWW-Authenticate` values (RFC 9110 section 11.6.1, RFC 6750 section 3).

Invariant: whatever is put in, one challenge with the intended parameters comes out: characters
that could end a quoted string or the header are escaped or dropped.
"""

import re
from collections.abc import Iterable

from tidegate.auth.scope import Grant

INVALID_TOKEN = "invalid_token"  # noqa: S105  an error code
INSUFFICIENT_SCOPE = "insufficient_scope"

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_SPECIAL = re.compile(r'["\\]')


def bearer_challenge(
    realm: str, service: str, scope: Iterable[Grant] = (), error: str | None = None
) -> str:
    """Sends the client to the token endpoint at `realm` for a token that covers `scope`."""
    parameters = {"realm": realm, "service": service}
    if scopes := " ".join(map(str, scope)):
        parameters["scope"] = scopes
    if error:
        parameters["error"] = error
    return "Bearer " + ",".join(f"{name}={_quoted(text)}" for name, text in parameters.items())


def basic_challenge(realm: str) -> str:
    """Asks for a user name and password, in UTF-8 (RFC 7617)."""
    return f'Basic realm={_quoted(realm)},charset="UTF-8"'


def _quoted(text: str) -> str:
    return '"' + _SPECIAL.sub(r"\\\g<0>", _UNPRINTABLE.sub("", text)) + '"'
