import asyncio
import hashlib
import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.oauth.site import Site
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import NotFound
from tidegate.apimachinery.selectors import EVERYTHING, Selection
from tidegate.apimachinery.storage import Call, DeleteOptions, ListOptions
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import API_AUDIENCE
from tidegate.auth.oauth.kinds import ACCESS_TOKENS, OAuthAccessToken
from tidegate.auth.oauth.storage import ClientStorage, UserTokenStorage
from tidegate.auth.oauth.tokens import issue, name_of, new_secret, purge

NOW = 1_767_323_045.0


def put(store: MemoryStore, user: str, uid: str = "", now: float = NOW) -> str:
    secret = new_secret()
    token = OAuthAccessToken(user_name=user, user_uid=uid, client_name="openshift-cli-client")
    asyncio.run(store.write(lambda tx: issue(tx, secret, token, now)))
    return name_of(secret)


def call(name: str, uid: str = "") -> Call:
    return Call(user=User(name, uid=uid), verb="get")


def test_the_name_of_a_token_is_computed_as_oc_logout_does() -> None:
    """oc: `sha256~` + base64url without padding of the SHA-256 of the token without its prefix."""
    digest = hashlib.sha256(b"abc").digest()
    assert name_of("sha256~abc") == "sha256~" + urlsafe_b64encode(digest).decode().rstrip("=")


def test_secrets_never_begin_with_a_dash() -> None:
    assert not [each for _ in range(500) if (each := new_secret()).startswith("sha256~-")]


@pytest.mark.parametrize(
    "token", ["sha256~", "sha256~x", "sha256~" + "A" * 44, "sha256~" + "é" * 43]
)
def test_text_in_no_tokens_form_costs_no_look_up(site: Site, token: str) -> None:
    with pytest.raises(TokenInvalid):
        site.world.run(site.tokens.authenticate(token, site.world.now))
    assert site.store.reads == 0


def test_a_token_is_for_this_server_and_no_other_service(site: Site) -> None:
    token, now = site.token(), site.world.now
    login = site.world.run(site.tokens.authenticate(token, now, ("x", API_AUDIENCE)))
    assert login is not None
    assert login.audiences == (API_AUDIENCE,)
    with pytest.raises(TokenInvalid, match="audience"):
        site.world.run(site.tokens.authenticate(token, now, ("vault",)))


def test_a_later_user_of_the_same_name_does_not_inherit_a_token(site: Site) -> None:
    token = site.token()
    account = site.world.accounts["ann"]
    object.__setattr__(account, "user", User("ann", account.user.groups, "another uid"))
    with pytest.raises(TokenInvalid):
        site.world.run(site.tokens.authenticate(token, site.world.now))


def test_expired_tokens_and_codes_are_purged_and_no_others(site: Site) -> None:
    site.token()
    site.code()
    later = site.world.now + 400
    assert site.world.run(purge(site.store, later)) == 1
    assert site.world.run(purge(site.store, later)) == 0
    assert site.world.run(purge(site.store, later + 86_400)) == 1
    assert not site.store.documents


def test_more_tokens_than_a_page_holds_are_all_purged() -> None:
    store = MemoryStore()
    for _ in range(501):
        put(store, "ann")
    assert asyncio.run(purge(store, NOW + 86_400)) == 501


def test_a_user_sees_and_ends_her_own_tokens_and_no_others() -> None:
    store = MemoryStore()
    hers, other, old = put(store, "ann", "u-1"), put(store, "eve", "u-2"), put(store, "ann", "u-0")
    tokens = UserTokenStorage(DocumentStorage(ACCESS_TOKENS, store))
    ann = call("ann", "u-1")

    async def scenario() -> None:
        page = await tokens.list(ann, ListOptions(selection=EVERYTHING))
        [body] = [json.loads(each) for each in page.bodies]
        assert body["kind"] == "UserOAuthAccessToken"
        assert body["metadata"]["name"] == hers
        assert json.loads(await tokens.get(ann, hers)) == body
        messages = []
        for name in (other, old, "sha256~missing"):
            for attempt in (tokens.get(ann, name), tokens.delete(ann, name, DeleteOptions())):
                with pytest.raises(NotFound) as refusal:
                    await attempt
                messages.append(str(refusal.value).replace(name, "X"))
        assert set(messages) == {'useroauthaccesstokens.oauth.openshift.io "X" not found'}
        deleted = await tokens.delete(ann, hers, DeleteOptions())
        assert json.loads(deleted.body)["kind"] == "UserOAuthAccessToken"
        assert not (await tokens.list(ann, ListOptions(selection=EVERYTHING))).bodies
        asked = Selection(fields=(("userName", "eve", True),))
        assert not (await tokens.list(ann, ListOptions(selection=asked))).bodies

    asyncio.run(scenario())


def test_the_columns_are_those_of_oc_get(tmp_path: Path) -> None:
    token = OAuthAccessToken(
        user_name="ann",
        client_name="openshift-challenging-client",
        redirect_uri="https://x/oauth/token/implicit",
        expires_in=86_400,
        scopes=["user:full"],
    )
    token.metadata.creation_timestamp = "2026-01-02T03:04:05Z"
    assert {each.name: each.cell(token, NOW) for each in ACCESS_TOKENS.columns} == {
        "User Name": "ann",
        "Client Name": "openshift-challenging-client",
        "Created": "2026-01-02T03:04:05Z",
        "Expires": "2026-01-03 03:04:05 +0000 UTC",
        "Redirect URI": "https://x/oauth/token/implicit",
        "Scopes": "user:full",
    }


def test_the_clients_are_listed_with_their_addresses() -> None:
    clients = ClientStorage("https://x")

    async def scenario() -> None:
        page = await clients.list(call("root"), ListOptions(selection=EVERYTHING))
        found = {json.loads(each)["metadata"]["name"]: json.loads(each) for each in page.bodies}
        assert sorted(found) == [
            "openshift-browser-client",
            "openshift-challenging-client",
            "openshift-cli-client",
        ]
        cli = json.loads(await clients.get(call("root"), "openshift-cli-client"))
        assert cli["redirectURIs"] == ["http://127.0.0.1/callback", "http://[::1]/callback"]
        with pytest.raises(NotFound):
            await clients.get(call("root"), "evil")

    asyncio.run(scenario())
