"""The clients that may log people in: OpenShift's three, known to `oc` by their names.

None has a secret: what protects a code is that it goes only to an address registered here, and the
proof key of RFC 7636. Invariant: an address that `redirect_uri` lets pass is one of the client's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.auth.oauth.kinds import OAuthClient

AUTHORIZE = "/oauth/authorize"
TOKEN = "/oauth/token"  # noqa: S105  a path
REQUEST_TOKEN = "/oauth/token/request"  # noqa: S105  a path
DISPLAY_TOKEN = "/oauth/token/display"  # noqa: S105  a path
IMPLICIT_TOKEN = "/oauth/token/implicit"  # noqa: S105  a path

_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?/callback")
"""RFC 8252 section 7.3: a program on the user's machine listens on whichever port is free."""


@dataclass(frozen=True, slots=True)
class Client:
    """A public client.

    `path` is where users are sent on this server; without one they are sent to a loopback address.
    With `challenges` the client is asked for a password by a challenge, otherwise a page asks the
    user. `implicit` allows a token without a code (RFC 6749 section 4.2); `needs_proof` demands a
    proof key.
    """

    name: str
    path: str = ""
    challenges: bool = False
    implicit: bool = False
    needs_proof: bool = False

    def redirect_uri(self, asked: str, origin: str) -> str | None:
        """Where to send the user: `asked` if it is the client's, its only one if none is asked."""
        if self.path:
            own = origin + self.path
            return own if asked in ("", own) else None
        return asked if _LOOPBACK.fullmatch(asked) else None


CHALLENGING = Client("openshift-challenging-client", IMPLICIT_TOKEN, challenges=True, implicit=True)
BROWSER = Client("openshift-browser-client", DISPLAY_TOKEN)
CLI = Client("openshift-cli-client", needs_proof=True)

CLIENTS = {each.name: each for each in (CHALLENGING, BROWSER, CLI)}


def described(origin: str) -> Sequence[OAuthClient]:
    """The clients as objects."""
    found = []
    for each in CLIENTS.values():
        loopback = ["http://127.0.0.1/callback", "http://[::1]/callback"]
        described = OAuthClient(
            respond_with_challenges=each.challenges,
            redirect_uris=[origin + each.path] if each.path else loopback,
            grant_method="auto",
        )
        described.metadata.name = each.name
        found.append(described)
    return found
