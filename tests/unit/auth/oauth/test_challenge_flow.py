"""The flow of `oc login -u`: its requests are those of library-go's tokenrequest."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.oauth.site import HERE, IMPLICIT, S256, VERIFIER, Site, sent_on
from tidegate.apimachinery.http import request
from tidegate.apimachinery.store import DocumentTransaction
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import RELIED_ON
from tidegate.auth.oauth.tokens import name_of
from tidegate.metastore.errors import MetastoreBusy

T = TypeVar("T")

AUTHORIZE = (
    "/oauth/authorize?client_id=openshift-challenging-client&response_type=code"
    f"&redirect_uri={IMPLICIT}&code_challenge={S256}&code_challenge_method=S256"
)


def test_the_metadata_are_what_oc_reads(site: Site) -> None:
    response = site.get("/.well-known/oauth-authorization-server", headers={"X-CSRF-Token": "1"})
    assert response.json() == {
        "issuer": HERE,
        "authorization_endpoint": f"{HERE}/oauth/authorize",
        "token_endpoint": f"{HERE}/oauth/token",
        "scopes_supported": ["user:full"],
        "response_types_supported": ["code", "token"],
        "grant_types_supported": ["authorization_code", "implicit"],
        "code_challenge_methods_supported": ["plain", "S256"],
    }
    assert response.headers["content-type"] == "application/json"
    assert site.send("HEAD", "/.well-known/oauth-authorization-server").status_code == 200


def test_a_client_that_says_it_can_be_challenged_is(site: Site) -> None:
    response = site.get(AUTHORIZE, headers={"X-CSRF-Token": "1"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Basic realm="openshift"'


@pytest.mark.parametrize("auth", [None, ("ann", "correct horse")])
def test_a_browser_sent_here_by_another_site_is_not_challenged_nor_its_password_used(
    site: Site, auth: tuple[str, str] | None
) -> None:
    response = site.get(AUTHORIZE, auth=auth)
    assert response.status_code == 401
    assert "www-authenticate" not in response.headers
    assert "X-CSRF-Token" in response.headers["warning"]
    assert site.world.hashes.checked == 0


def test_a_password_gives_a_code_and_a_code_a_token(site: Site) -> None:
    response = site.challenged(state="a b&c")
    assert response.status_code == 302
    assert response.headers["location"].startswith(IMPLICIT + "?")
    sent = sent_on(response)
    assert sent["state"] == "a b&c"
    answer = site.redeem(sent["code"])
    assert answer.headers["content-type"] == "application/json"
    assert "no-store" in answer.headers["cache-control"]
    body = answer.json()
    token = body.pop("access_token")
    assert re.fullmatch(r"sha256~[A-Za-z0-9_-]{43}", token)
    assert body == {"token_type": "Bearer", "expires_in": 86400, "scope": "user:full"}
    login = site.world.run(site.tokens.authenticate(token, site.world.now))
    assert login is not None
    assert login.user.name == "ann"


def test_a_wrong_password_is_401_and_audited_without_it(site: Site) -> None:
    response = site.challenged(password="wrong password")
    assert response.status_code == 401
    [event] = site.audit.events
    assert (event.action, event.user, event.status) == ("login", "ann", 401)
    assert "wrong password" not in repr(event)


def test_guessing_is_throttled_for_the_user_and_for_the_address(site: Site) -> None:
    for _ in range(5):
        assert site.challenged(password="wrong password").status_code == 401
    response = site.challenged(password="wrong password")
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    statuses = [
        site.challenged(name=f"user{number}", password="wrong password").status_code
        for number in range(50)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429


@pytest.mark.parametrize("response_type", ["code", "token"])
def test_a_password_that_lost_its_word_while_it_was_checked_brings_nothing(
    site: Site, response_type: str
) -> None:
    account = site.world.accounts["ann"]
    changed = replace(account, generation=account.generation + 1)

    class Changing(MemoryStore):
        """Another password is set just before what a login brings is stored."""

        async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
            site.world.accounts["ann"] = changed
            return await super().write(unit)

    changing = Site(site.world, store=Changing())
    response = changing.challenged(response_type=response_type)
    assert response.status_code == 401
    assert "location" not in response.headers
    assert changing.challenged(response_type=response_type).status_code == 302


def test_a_token_in_the_passwords_place_does_not_prolong_itself(site: Site) -> None:
    token = site.token()
    assert site.challenged(password=token).status_code == 401
    response = site.get(
        AUTHORIZE, headers={"X-CSRF-Token": "1", "Authorization": f"Bearer {token}"}
    )
    assert response.status_code == 401


def test_a_code_is_good_once_and_its_replay_costs_the_first_token_nothing(site: Site) -> None:
    code = site.code()
    token = site.redeem(code).json()["access_token"]
    replayed = site.redeem(code)
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_grant")
    assert site.world.run(site.tokens.authenticate(token, site.world.now))


def test_two_exchanges_of_a_code_at_once_give_one_token(site: Site) -> None:
    code = site.code()

    async def both() -> list[int]:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": IMPLICIT,
            "code_verifier": VERIFIER,
        }
        auth = ("openshift-challenging-client", "")
        answers = await asyncio.gather(
            *(site.client.post("/oauth/token", data=fields, auth=auth) for _ in range(4))
        )
        return sorted(each.status_code for each in answers)

    assert site.world.run(both()) == [200, 400, 400, 400]


def test_a_code_is_good_for_five_minutes(site: Site) -> None:
    code = site.code()
    site.world.now = int(site.world.now) + 300
    assert site.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": None},
        {"code_verifier": S256},
        {"code_verifier": "short"},
        {"redirect_uri": f"{HERE}/oauth/token/display"},
        {"redirect_uri": None},
        {"code": "sha256~" + "A" * 43},
        {"code": "x"},
    ],
)
def test_a_code_is_useless_to_who_did_not_ask_for_it(
    site: Site, changes: dict[str, str | None]
) -> None:
    code = site.code()
    answer = site.redeem(**{"code": code, **changes})  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert site.redeem(code).status_code == 200, "the right client can use it still"


def test_a_code_of_one_client_is_useless_to_another(site: Site) -> None:
    code = site.code()
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": IMPLICIT,
        "code_verifier": VERIFIER,
        "client_id": "openshift-browser-client",
    }
    assert site.post("/oauth/token", data=fields).json()["error"] == "invalid_grant"


def test_a_plain_proof_key_is_its_own_verifier(site: Site) -> None:
    code = site.code(code_challenge=VERIFIER, code_challenge_method="plain")
    assert site.redeem(code).status_code == 200
    code = site.code(code_challenge=VERIFIER, code_challenge_method=None)
    assert site.redeem(code).status_code == 200


def test_a_verifier_for_a_code_without_a_challenge_is_refused(site: Site) -> None:
    """RFC 9700 section 2.1.1: somebody stripped the challenge."""
    code = site.code(code_challenge=None, code_challenge_method=None)
    assert site.redeem(code).json()["error"] == "invalid_grant"
    assert site.redeem(code, code_verifier=None).status_code == 200


def test_without_a_code_the_token_comes_in_the_fragment(site: Site) -> None:
    response = site.challenged(
        response_type="token", code_challenge=None, code_challenge_method=None
    )
    location = response.headers["location"]
    assert location.startswith(IMPLICIT + "#")
    sent = sent_on(response)
    assert sent["token_type"] == "Bearer"
    assert site.world.run(site.tokens.authenticate(sent["access_token"], site.world.now))


def test_the_address_may_be_left_out_where_there_is_one(site: Site) -> None:
    assert site.challenged(redirect_uri=None).headers["location"].startswith(IMPLICIT)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "user:info"}, "invalid_scope"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
    ],
)
def test_a_fault_is_told_to_the_client_at_its_own_address(
    site: Site, changes: dict[str, str | None], error: str
) -> None:
    response = site.challenged(state="s", **changes)  # type: ignore[arg-type]
    assert response.status_code == 302
    assert response.headers["location"].startswith(IMPLICIT + "?")
    sent = sent_on(response)
    assert (sent["error"], sent["state"]) == (error, "s")
    assert site.world.hashes.checked == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        f"{HERE}.evil.example/oauth/token/implicit",
        f"{IMPLICIT}/../../../evil",
        f"{IMPLICIT}?next=https://evil.example",
        f"{IMPLICIT}#x",
        IMPLICIT.replace("https", "http"),
        IMPLICIT.replace("//", "//user@"),
        "//evil.example/oauth/token/implicit",
        "javascript:alert(1)",
        "http://127.0.0.1:1/callback",
        f"{HERE}/oauth/token/display",
        IMPLICIT + "\r\nX-Injected: 1",
    ],
)
@pytest.mark.parametrize("broken", [False, True])
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(
    site: Site, address: str, broken: bool
) -> None:
    changes = {"response_type": "x"} if broken else {}
    response = site.challenged(redirect_uri=address, **changes)
    assert response.status_code == 400
    assert "location" not in response.headers
    assert response.json()["error"] == "invalid_request"


def test_an_unknown_client_is_not_sent_anywhere(site: Site) -> None:
    response = site.challenged(client_id="evil")
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


def test_a_parameter_given_twice_is_refused(site: Site) -> None:
    for doubled in ("client_id", "redirect_uri", "state"):
        response = site.get(
            f"{AUTHORIZE}&state=x&{doubled}=https://evil.example", headers={"X-CSRF-Token": "1"}
        )
        assert response.status_code == 400
        assert "location" not in response.headers


@pytest.mark.parametrize("grant_type", ["password", "refresh_token", "client_credentials", ""])
def test_other_grants_are_unsupported(site: Site, grant_type: str) -> None:
    answer = site.post("/oauth/token", data={"grant_type": grant_type, "code": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_a_client_that_does_not_say_who_it_is_is_challenged(site: Site) -> None:
    fields = {"grant_type": "authorization_code", "code": site.code()}
    for options in ({}, {"auth": ("openshift-challenging-client", "a secret")}):
        answer = site.post("/oauth/token", data=fields, **options)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_token_request_is_a_form(site: Site) -> None:
    assert site.get("/oauth/token").status_code == 405
    answer = site.post("/oauth/token", json={"grant_type": "authorization_code"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    answer = site.post("/oauth/token", data={"grant_type": "x" * 40_000})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_is_stored_as_its_hash_alone_and_told_to_nobody_else(site: Site) -> None:
    token = site.token()
    names = [key.name for key in site.store.documents if key.resource.startswith("oauthaccess")]
    assert names == [name_of(token)]
    stored = b"".join(each.body for each in site.store.documents.values())
    history = b"".join((each.before or b"") + (each.after or b"") for each in site.store.history)
    secret = token.removeprefix("sha256~")
    assert secret.encode() not in stored + history
    assert secret not in repr(site.audit.events)


def test_a_token_ends_after_a_day(site: Site) -> None:
    token = site.token()
    site.world.now = int(site.world.now) + 86_399
    assert site.world.run(site.tokens.authenticate(token, site.world.now))
    site.world.now += 1
    with pytest.raises(TokenInvalid):
        site.world.run(site.tokens.authenticate(token, site.world.now))


def test_a_token_of_a_removed_user_is_void_and_so_is_what_came_of_it(site: Site) -> None:
    token = site.token()
    login = site.world.run(site.tokens.authenticate(token, site.world.now))
    assert login is not None
    assert site.world.run(site.world.logins.resume(login.reference, site.world.now)) == login.user
    del site.world.accounts["ann"]
    site.world.now += RELIED_ON
    with pytest.raises(TokenInvalid):
        site.world.run(site.tokens.authenticate(token, site.world.now))
    assert site.world.run(site.world.logins.resume(login.reference, site.world.now)) is None


def test_nothing_else_is_served(site: Site) -> None:
    assert site.get("/oauth/info").status_code == 404
    assert site.send("DELETE", "/oauth/authorize").status_code == 405
    assert site.get("/oauth/token/implicit").status_code == 200


def test_more_than_a_form_could_have_is_not_read(site: Site) -> None:
    answer = site.post("/oauth/token", data={"code": "x" * 4_000_000})
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


def test_a_database_that_does_not_answer_is_told_as_such(site: Site) -> None:
    class Busy(MemoryStore):
        async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
            raise MetastoreBusy("1024 writes are waiting already")

    site.application._server._store = Busy()
    answer = site.challenged()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "waiting" not in answer.text


def test_a_host_header_that_is_none_is_refused(site: Site) -> None:
    response = site.get("/oauth/token/request", headers={"Host": 'evil"><script>'})
    assert response.status_code == 400


def test_a_form_that_stops_arriving_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "BODY_PATIENCE", 0.01)

    async def endless() -> AsyncIterator[bytes]:
        yield b"grant_type="
        await asyncio.sleep(20)

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert site.post("/oauth/token", content=endless(), headers=form).status_code == 408
