"""The OAuth server gives nothing to the wrong client, address, form or site."""

import hashlib
import secrets
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.attacking import VAULT, Scene, attacked, together
from tests.e2e.conftest import Start
from tests.kube_client import CORE, USERS
from tests.registry_client import basic, client_of
from tests.server import PASSWORD, USERNAME, Server

ME = f"{USERS}/users/~"
CHALLENGING, BROWSER, CLI = (
    f"openshift-{each}-client" for each in ("challenging", "browser", "cli")
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("oauth") / "data") as ready:
        yield ready


def encode(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def opens_nothing(scene: Scene, token: str) -> None:
    with client_of(scene.server, bearer=token) as client:
        for path in (ME, "/v2/", "/openshift/token"):
            assert client.http.get(path).status_code == 401, (path, token)


def authorize(server: Server, client: str = CHALLENGING, **changes: str) -> httpx.Response:
    """An authorization request of mallory's, as its client would send it but for `changes`."""
    address = f"{server.url}/oauth/token/implicit"
    if client == CLI:
        address = "http://127.0.0.1:4000/callback"
    parameters = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": address,
        "state": "s",
        **changes,
    }
    return httpx.get(
        f"{server.url}/oauth/authorize",
        params={name: value for name, value in parameters.items() if value != "-"},
        headers={"X-CSRF-Token": "1", **basic("mallory")},
        trust_env=False,
    )


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 302, answer.text
    (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    return code


def redeem(server: Server, code: str, client: str = CHALLENGING, **changes: str) -> httpx.Response:
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{server.url}/oauth/token/implicit",
        **changes,
    }
    sent = {name: value for name, value in fields.items() if value != "-"}
    return httpx.post(f"{server.url}/oauth/token", data=sent, auth=(client, ""), trust_env=False)


def challenge_for(verifier: str) -> str:
    return encode(hashlib.sha256(verifier.encode()).digest())


def test_a_code_is_redeemed_once_and_by_its_client_alone(scene: Scene) -> None:
    server = scene.server
    proof = secrets.token_urlsafe(40)
    proven = {"code_challenge": challenge_for(proof), "code_challenge_method": "S256"}
    for asked, sent in (
        ({}, {"client": BROWSER}),
        ({}, {"redirect_uri": f"{server.url}/oauth/token/display"}),
        ({}, {"redirect_uri": "-"}),
        ({}, {"redirect_uri": "http://evil.example/"}),
        ({}, {"grant_type": "password"}),
        ({}, {"grant_type": "client_credentials"}),
        ({}, {"grant_type": "refresh_token"}),
        ({}, {"code_verifier": proof}),
        ({}, {"client_secret": "x"}),
        (proven, {}),
        (proven, {"code_verifier": proof + "x"}),
        (proven, {"code_verifier": challenge_for(proof)}),
        (proven, {"code_verifier": "A" * 43}),
    ):
        code = code_of(authorize(server, **asked))
        answer = redeem(server, code, **sent)
        assert answer.status_code in (400, 401), (sent, answer.text)
        assert "access_token" not in answer.text
        assert code not in answer.text
    code = code_of(authorize(server, **proven))
    first = redeem(server, code, code_verifier=proof)
    assert first.status_code == 200, first.text
    again = redeem(server, code, code_verifier=proof)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    opens_nothing(scene, code)
    opens_nothing(scene, f"sha256~{secrets.token_urlsafe(32)}")


def test_many_at_once_do_not_redeem_a_code_twice(scene: Scene) -> None:
    times = 8
    with httpx.Client(base_url=scene.server.url, trust_env=False) as client:
        code = code_of(authorize(scene.server))
        answers = together(
            times,
            lambda: client.post(
                "/oauth/token",
                data={
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": f"{scene.server.url}/oauth/token/implicit",
                },
                auth=(CHALLENGING, ""),
            ),
        )
    assert sorted(each.status_code for each in answers) == [200] + [400] * (times - 1)


@pytest.mark.parametrize("client", [CHALLENGING, BROWSER, CLI])
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(scene: Scene, client: str) -> None:
    server = scene.server
    own = urlsplit(server.url)
    for address in (
        "http://evil.example/",
        "http://evil.example/callback",
        "//evil.example/callback",
        "https://127.0.0.1:4000/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://127.0.0.1:4000@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://evil.example#http://127.0.0.1/callback",
        "http://evil.example?http://127.0.0.1/callback",
        "http://evil.example\\@127.0.0.1/callback",
        "http://127.0.0.1:4000\\@evil.example/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:x/callback",
        "http://127.0.0.1:4000/callback#",
        "http://127.0.0.1:4000/callback#x",
        "http://127.0.0.1:4000/callback?x=y",
        "http://127.0.0.1:4000/callback/../evil",
        "http://127.0.0.1:4000/callback/",
        "http://127.0.0.1:4000/other",
        "http://127.0.0.1:4000/callback\r\nSet-Cookie: a=b",
        "http://127.0.0.1:4000/callback\n",
        "http://127.0.0.1:4000/callback\0",
        "http://localhost:4000/callback",
        "http://127.1:4000/callback",
        "http://2130706433/callback",
        "http://0x7f000001/callback",
        "http://127.0.0.2/callback",
        "http://0.0.0.0/callback",
        "http://[::ffff:127.0.0.1]/callback",
        "http://[::1].evil.example/callback",
        "http://\uff11\uff12\uff17.0.0.1/callback",
        "HTTP://127.0.0.1/callback",
        "javascript:alert(1)//127.0.0.1/callback",
        "data:text/html,x",
        f"{server.url}/",
        f"{server.url}/oauth/token/display/../../authorize",
        f"{server.url}/oauth/token/implicit?next=http://evil.example",
        f"{server.url}/oauth/token/implicit#",
        f"{server.url}@evil.example/oauth/token/implicit",
        f"{server.url}.evil.example/oauth/token/implicit",
        f"http://evil.example/oauth/token/implicit?{server.url}/oauth/token/implicit",
        f"//{own.netloc}/oauth/token/implicit",
        "/oauth/token/implicit",
        "oob",
    ):
        answer = authorize(server, client, redirect_uri=address)
        assert answer.status_code == 400, (address, answer.status_code)
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_faults_are_told_to_the_client_without_a_login(scene: Scene) -> None:
    for changes, wanted in (
        ({"response_type": "nonsense"}, "unsupported_response_type"),
        ({"scope": "user:admin"}, "invalid_scope"),
        ({"code_challenge_method": "S512", "code_challenge": "A" * 43}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"state": "s\r\nSet-Cookie: a=b", "scope": "x"}, "invalid_scope"),
    ):
        answer = authorize(scene.server, **changes)
        assert answer.status_code == 302
        location = answer.headers["location"]
        assert location.startswith(f"{scene.server.url}/oauth/token/implicit?")
        assert parse_qs(urlsplit(location).query)["error"] == [wanted]
        assert "set-cookie" not in answer.headers
    assert authorize(scene.server, CLI).status_code == 302  # it has to send a proof
    assert "error=" in authorize(scene.server, CLI).headers["location"]
    assert authorize(scene.server, "nonsense").status_code == 400
    assert authorize(scene.server, state="x" * 5000).status_code == 400


def test_a_host_that_is_made_up_makes_no_address(scene: Scene) -> None:
    """A Host header decides where codes go only where nobody named the server's URL."""
    for host in ("evil.example/x", "a b", "a@b", "evil.example\\", '"', "evil.example#"):
        answer = httpx.get(
            f"{scene.server.url}/oauth/token/request", headers={"Host": host}, trust_env=False
        )
        assert answer.status_code == 400, answer.headers


def test_a_token_in_an_address_or_a_cookie_is_no_login(scene: Scene) -> None:
    token = scene.admin.token
    assert token is not None
    url = scene.server.url
    for path in (f"{CORE}/secrets", "/v2/_catalog", f"/v2/{VAULT}/app/manifests/1"):
        for name in ("access_token", "token", "bearer", "bearer_token", "Authorization", "code"):
            answer = httpx.get(f"{url}{path}", params={name: token}, trust_env=False)
            assert answer.status_code in (401, 403), answer.url
            cookies = {name: token}
            answer = httpx.get(f"{url}{path}", cookies=cookies, trust_env=False)
            assert answer.status_code in (401, 403), name
    address = f"http://{USERNAME}:{token}@{scene.server.address}{ME}"  # what Basic is made of
    assert httpx.get(address, trust_env=False).status_code == 200
    protocols = f"base64url.bearer.authorization.k8s.io.{encode(token.encode())}, v4.channel.k8s.io"
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": protocols,
    }
    answer = httpx.get(f"{url}{CORE}/secrets", headers=headers, trust_env=False)
    assert answer.status_code == 403


def login_form(server: Server) -> tuple[httpx.Response, str, str]:
    """The login page, the address of its form and the form's secret."""
    page = httpx.get(f"{server.url}/oauth/token/request", follow_redirects=True, trust_env=False)
    assert page.status_code == 200, page.text
    action = page.text.split('action="')[1].split('"')[0].replace("&amp;", "&")
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    return page, action, csrf


def test_the_login_form_is_sent_from_its_own_page_alone(scene: Scene) -> None:
    page, action, csrf = login_form(scene.server)
    cookie = page.headers["set-cookie"].partition(";")[0]
    _, _, other = login_form(scene.server)
    fields = {"username": "mallory", "password": PASSWORD}
    for secret, cookies in (
        ("", cookie),
        (csrf, ""),
        (other, cookie),
        (csrf, f"csrf={other}"),
        ("", "csrf="),
        ("x", "csrf=x"),
        (csrf, f"csrf=; {cookie}x"),
    ):
        answer = httpx.post(
            f"{scene.server.url}{action}",
            data={**fields, "csrf": secret},
            headers={"Cookie": cookies},
            trust_env=False,
        )
        assert answer.status_code == 403, answer.text
        assert "location" not in answer.headers
    answer = httpx.post(
        f"{scene.server.url}{action}",
        data={**fields, "csrf": csrf},
        headers={"Cookie": cookie},
        trust_env=False,
    )
    assert answer.status_code == 302


def test_the_login_pages_are_framed_by_nobody_and_keep_their_cookie_close(scene: Scene) -> None:
    page, _, _ = login_form(scene.server)
    cookie = page.headers["set-cookie"]
    for flag in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert flag in cookie
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "no-store" in page.headers["cache-control"]
    assert page.headers["referrer-policy"] == "no-referrer"
    # a browser that another site sends here is asked for no password
    answer = httpx.get(
        f"{scene.server.url}/oauth/authorize",
        params={"client_id": CHALLENGING, "response_type": "token"},
        headers=basic("mallory"),
        trust_env=False,
    )
    assert answer.status_code == 401
    assert "www-authenticate" not in answer.headers
    assert "location" not in answer.headers


def test_over_tls_the_cookie_is_sent_nowhere_else(start: Start) -> None:
    server = start(tls=True)
    page = httpx.get(
        f"https://{server.tls_address}/oauth/token/request",
        follow_redirects=True,
        trust_env=False,
        verify=ssl.create_default_context(cafile=str(server.authority)),
    )
    cookie = page.headers["set-cookie"]
    assert cookie.startswith("__Host-csrf=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x>', "{{7*7}}", "%3Cscript%3E", "\r\nX: y"]
)
def test_nothing_that_is_shown_is_markup(scene: Scene, text: str) -> None:
    url = scene.server.url
    page, action, csrf = login_form(scene.server)
    cookie = page.headers["set-cookie"].partition(";")[0]
    for answer in (
        httpx.get(f"{url}/oauth/token/display", params={"code": text}, trust_env=False),
        httpx.get(
            f"{url}/oauth/token/display",
            params={"error": "x", "error_description": text},
            trust_env=False,
        ),
        httpx.get(
            f"{url}/oauth/authorize",
            params={"client_id": BROWSER, "response_type": "code", "state": text},
            trust_env=False,
        ),
        httpx.post(
            f"{url}{action}",
            data={"username": text, "password": text, "csrf": csrf},
            headers={"Cookie": cookie},
            trust_env=False,
        ),
    ):
        assert answer.status_code in (200, 400, 403, 429), answer.text
        for markup in ("<script", "<img", "49"):
            if markup in text or markup == "<script":
                assert markup not in answer.text
        assert "x" not in answer.headers
