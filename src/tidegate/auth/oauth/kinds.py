"""The kinds of group oauth.openshift.io: tokens by their hashes, codes, and the known clients.

Wire forms and columns are OpenShift's `oauth/v1`. None of them holds a secret: a token's name is
made from its hash, from which the token cannot be found.
"""

import time
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy

GROUP, VERSION = "oauth.openshift.io", "v1"


class OAuthAccessToken(Object):
    """OAuthAccessToken is somebody's login, for as long as it is there and not expired.

    Its name is `sha256~` and the unpadded base64url of the SHA-256 of the token without its prefix.
    """

    client_name: Annotated[str, doc("The client that the token was given to.")] = ""
    expires_in: Annotated[
        int, doc("Seconds from its creation until it expires.", format="int64")
    ] = 0
    scopes: Annotated[list[str], doc("What the token may be used for.")] = field(
        default_factory=list
    )
    redirect_uri: Annotated[str, doc("The address that the token was sent to.")] = field(
        name="redirectURI", default=""
    )
    user_name: Annotated[str, doc("The user who logged in.")] = ""
    user_uid: Annotated[str, doc("The UID of the user who logged in.")] = field(
        name="userUID", default=""
    )
    authorize_token: Annotated[str, doc("Name of the code that the token was made of.")] = ""
    inactivity_timeout_seconds: Annotated[
        int, doc("Seconds without use after which it ends; 0 for never.", format="int32")
    ] = 0


class UserOAuthAccessToken(OAuthAccessToken):
    """UserOAuthAccessToken is an OAuthAccessToken as its own user sees it."""


class OAuthAuthorizeToken(Object):
    """OAuthAuthorizeToken is a code that a client exchanges for an access token, once."""

    client_name: Annotated[str, doc("The client that the code was given to.")] = ""
    expires_in: Annotated[
        int, doc("Seconds from its creation until it expires.", format="int64")
    ] = 0
    scopes: Annotated[list[str], doc("What the token may be used for.")] = field(
        default_factory=list
    )
    redirect_uri: Annotated[str, doc("The address that the code was sent to.")] = field(
        name="redirectURI", default=""
    )
    user_name: Annotated[str, doc("The user who logged in.")] = ""
    user_uid: Annotated[str, doc("The UID of the user who logged in.")] = field(
        name="userUID", default=""
    )
    code_challenge: Annotated[str, doc("The code_challenge of RFC 7636.")] = ""
    code_challenge_method: Annotated[str, doc("plain or S256.")] = ""


class OAuthClient(Object):
    """OAuthClient is a program that users may log in to."""

    respond_with_challenges: Annotated[
        bool, doc("Whether the client is asked for a password by a challenge, not by a page.")
    ] = False
    redirect_uris: Annotated[
        list[str], doc("Where the client may have users sent to.", list_type="set")
    ] = field(name="redirectURIs", default_factory=list)
    grant_method: Annotated[str, doc("auto: users are not asked whether they agree.")] = ""


def expiry_of(token: OAuthAccessToken | OAuthAuthorizeToken) -> float:
    """When the token ends, seconds since the epoch."""
    return epoch_seconds(token.metadata.creation_timestamp) + token.expires_in


def _expires(token: OAuthAccessToken | OAuthAuthorizeToken, _now: float) -> str:
    """As Go prints a time, which is what OpenShift shows."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(expiry_of(token)))


_USER = Column("User Name", lambda each, _: each.user_name, "The user who logged in.")
_CLIENT = Column("Client Name", lambda each, _: each.client_name, "The client it was given to.")
_WHEN = (
    Column("Created", lambda each, _: each.metadata.creation_timestamp, "When it was made."),
    Column("Expires", _expires, "When it ends."),
    Column("Redirect URI", lambda each, _: each.redirect_uri, "Where it was sent to."),
    Column("Scopes", lambda each, _: ",".join(each.scopes), "What it may be used for."),
)

_FIELDS: dict[str, Callable[[Any], str]] = {
    "clientName": lambda each: each.client_name,
    "userName": lambda each: each.user_name,
    "userUID": lambda each: each.user_uid,
}


def _any_name(_name: str) -> str | None:
    return None


ACCESS_TOKENS = Resource(
    group=GROUP,
    version=VERSION,
    kind="OAuthAccessToken",
    plural="oauthaccesstokens",
    type=OAuthAccessToken,
    namespaced=False,
    verbs=("delete", "deletecollection", "get", "list", "watch"),
    columns=(_USER, _CLIENT, *_WHEN),
    age=False,
    fields={**_FIELDS, "authorizeToken": lambda each: each.authorize_token},
    strategy=Strategy(name_fault=_any_name),
)

USER_ACCESS_TOKENS = Resource(
    group=GROUP,
    version=VERSION,
    kind="UserOAuthAccessToken",
    plural="useroauthaccesstokens",
    type=UserOAuthAccessToken,
    namespaced=False,
    verbs=("delete", "get", "list"),
    columns=(_CLIENT, *_WHEN),
    age=False,
    fields=_FIELDS,
    strategy=Strategy(name_fault=_any_name),
)

AUTHORIZE_TOKENS = Resource(
    group=GROUP,
    version=VERSION,
    kind="OAuthAuthorizeToken",
    plural="oauthauthorizetokens",
    type=OAuthAuthorizeToken,
    namespaced=False,
    verbs=("delete", "deletecollection", "get", "list", "watch"),
    columns=(_USER, _CLIENT, *_WHEN),
    age=False,
    fields=_FIELDS,
    strategy=Strategy(name_fault=_any_name),
)

CLIENTS = Resource(
    group=GROUP,
    version=VERSION,
    kind="OAuthClient",
    plural="oauthclients",
    type=OAuthClient,
    namespaced=False,
    verbs=("get", "list"),
    columns=(
        Column(
            "WWW-Challenge",
            lambda each, _: each.respond_with_challenges,
            "Whether it is challenged for a password.",
            type="boolean",
        ),
        Column("Redirect URIs", lambda each, _: ",".join(each.redirect_uris), "Its addresses."),
    ),
    age=False,
    strategy=Strategy(name_fault=_any_name),
)
