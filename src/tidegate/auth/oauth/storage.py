"""What serves a user's own access tokens, and the list of clients."""

from dataclasses import replace

import msgspec

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import NotFound, missing
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, Deleted, DeleteOptions, ListOptions, Page
from tidegate.auth.oauth.clients import described
from tidegate.auth.oauth.kinds import (
    CLIENTS,
    USER_ACCESS_TOKENS,
    OAuthAccessToken,
    OAuthClient,
    UserOAuthAccessToken,
)


class UserTokenStorage:
    """Access tokens of `tokens` under another kind; whoever asks sees hers and no others."""

    def __init__(self, tokens: DocumentStorage[OAuthAccessToken]) -> None:
        self._tokens = tokens

    async def get(self, call: Call, name: str) -> bytes:
        return _own(await self._require(call, name))

    async def list(self, call: Call, options: ListOptions) -> Page:
        own = (("userName", call.user.name, True), ("userUID", call.user.uid, True))
        selection = Selection(options.selection.labels, options.selection.fields + own)
        page = await self._tokens.list(call, replace(options, selection=selection))
        return page._replace(bodies=[_own(each) for each in page.bodies])

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        await self._require(call, name)
        deleted = await self._tokens.delete(call, name, options)
        return deleted._replace(body=_own(deleted.body))

    async def _require(self, call: Call, name: str) -> bytes:
        """The token, if it is the caller's; another's is as if it were not there."""
        try:
            body = await self._tokens.get(call, name)
        except NotFound as error:
            raise missing(USER_ACCESS_TOKENS.qualified, name) from error
        token = msgspec.json.decode(body, type=OAuthAccessToken)
        if (token.user_name, token.user_uid) != (call.user.name, call.user.uid):
            raise missing(USER_ACCESS_TOKENS.qualified, name)
        return body


class ClientStorage:
    """The clients that there are, which is no matter of the database.

    `origin` is where this server is reached, empty where that is not known beforehand.
    """

    def __init__(self, origin: str) -> None:
        self._clients = {each.metadata.name: each for each in described(origin)}

    async def get(self, _call: Call, name: str) -> bytes:
        if name not in self._clients:
            raise missing(CLIENTS.qualified, name)
        return _encoded(self._clients[name])

    async def list(self, _call: Call, options: ListOptions) -> Page:
        wanted = options.selection.name
        found = [
            _encoded(each)
            for name, each in sorted(self._clients.items())
            if wanted in (None, name) and not options.selection.labels
        ]
        return Page(found, 1)


def _encoded(client: OAuthClient) -> bytes:
    client.api_version, client.kind = CLIENTS.api_version, CLIENTS.kind
    return msgspec.json.encode(client)


def _own(body: bytes) -> bytes:
    token = msgspec.json.decode(body, type=UserOAuthAccessToken)
    token.kind = USER_ACCESS_TOKENS.kind
    return msgspec.json.encode(token)
