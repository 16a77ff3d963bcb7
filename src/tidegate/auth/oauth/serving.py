"""OAuth's objects, each joined to what serves it."""

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.oauth.kinds import (
    ACCESS_TOKENS,
    AUTHORIZE_TOKENS,
    CLIENTS,
    USER_ACCESS_TOKENS,
)
from tidegate.auth.oauth.storage import ClientStorage, UserTokenStorage


def serve(store: ObjectStore, origin: str) -> list[Served]:
    """What the API application serves of this part; `origin` is the server's URL, if one is set."""
    tokens = DocumentStorage(ACCESS_TOKENS, store)
    return [
        Served(ACCESS_TOKENS, tokens),
        Served(USER_ACCESS_TOKENS, UserTokenStorage(tokens)),
        Served(AUTHORIZE_TOKENS, DocumentStorage(AUTHORIZE_TOKENS, store)),
        Served(CLIENTS, ClientStorage(origin)),
    ]
