"""Logging in with a browser: pages, cookies and what they withstand."""

import re
from html import unescape

import httpx
import pytest

from tests.unit.auth.oauth.site import DISPLAY, HERE, S256, VERIFIER, Site, new_site, sent_on

CLI = {
    "client_id": "openshift-cli-client",
    "response_type": "code",
    "redirect_uri": "http://127.0.0.1:45678/callback",
    "code_challenge": S256,
    "code_challenge_method": "S256",
    "state": "xyz",
}


def field(page: httpx.Response, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert match, page.text
    return unescape(match[1])


def action(page: httpx.Response) -> str:
    match = re.search(r'action="([^"]*)"', page.text)
    assert match
    return unescape(match[1])


def log_in(site: Site, page: httpx.Response, **changes: str) -> httpx.Response:
    fields = {
        "username": "ann",
        "password": "correct horse",
        "csrf": field(page, "csrf"),
        **changes,
    }
    return site.post(action(page), data=fields)


def test_oc_login_web_ends_with_a_code_at_the_loopback_address(site: Site) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    assert page.status_code == 200
    response = log_in(site, page)
    assert response.status_code == 302
    assert response.headers["location"].startswith("http://127.0.0.1:45678/callback?")
    sent = sent_on(response)
    assert sent["state"] == "xyz"
    answer = site.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code",
            "code": sent["code"],
            "redirect_uri": CLI["redirect_uri"],
            "code_verifier": VERIFIER,
        },
        auth=("openshift-cli-client", ""),
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("address", ["http://127.0.0.1/callback", "http://[::1]:8000/callback"])
def test_any_port_of_the_loopback_addresses_will_do(site: Site, address: str) -> None:
    assert site.get("/oauth/authorize", params={**CLI, "redirect_uri": address}).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:80@evil.example/callback",
        "http://127.0.0.1:80/callback/../x",
        "http://127.0.0.1:80/callback?x=1",
        "http://127.0.0.1:80/callback#x",
        "http://127.0.0.1:800000/callback",
        "http://127.0.0.2/callback",
        "http://localhost/callback",
        "https://127.0.0.1/callback",
        "",
    ],
)
def test_no_other_address_will_do(site: Site, address: str) -> None:
    response = site.get("/oauth/authorize", params={**CLI, "redirect_uri": address})
    assert response.status_code == 400
    assert "location" not in response.headers


def test_a_program_on_the_users_machine_has_to_send_a_challenge(site: Site) -> None:
    request = {key: value for key, value in CLI.items() if "challenge" not in key}
    response = site.get("/oauth/authorize", params=request)
    assert sent_on(response)["error"] == "invalid_request"


def test_a_program_on_the_users_machine_gets_no_token_without_a_code(site: Site) -> None:
    response = site.get("/oauth/authorize", params={**CLI, "response_type": "token"})
    assert sent_on(response)["error"] == "unauthorized_client"


def test_the_page_loads_nothing_runs_nothing_and_is_framed_by_nobody(site: Site) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    policy = page.headers["content-security-policy"]
    nonce = re.search(r'<style nonce="([^"]+)">', page.text)
    assert nonce
    assert policy == (
        f"default-src 'none'; style-src 'nonce-{nonce[1]}'; "
        "form-action 'self' http://127.0.0.1:45678; frame-ancestors 'none'; base-uri 'none'"
    )
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in page.headers["cache-control"]
    assert "<script" not in page.text
    again = site.get("/oauth/authorize", params=CLI).headers["content-security-policy"]
    assert again != policy, "a nonce is used once"


def test_the_cookie_is_bound_to_this_host_and_reused(site: Site) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    cookie = page.headers["set-cookie"]
    assert cookie.startswith("__Host-csrf=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict; Secure")
    again = site.get("/oauth/authorize", params=CLI)
    assert "set-cookie" not in again.headers
    assert field(again, "csrf") == field(page, "csrf")


def test_without_tls_the_cookie_has_a_name_that_browsers_take() -> None:
    with new_site(origin="http://127.0.0.1:5000") as site:
        cookie = site.get("/oauth/authorize", params=CLI).headers["set-cookie"]
        assert cookie.startswith("csrf=")
        assert "Secure" not in cookie


@pytest.mark.parametrize("secret", ["", "x", "A" * 43])
def test_a_form_from_elsewhere_logs_nobody_in(site: Site, secret: str) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    response = log_in(site, page, csrf=secret)
    assert response.status_code == 403
    assert "location" not in response.headers
    assert site.world.hashes.checked == 0


def test_a_form_without_the_cookie_logs_nobody_in(site: Site) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    site.client.cookies.clear()
    assert log_in(site, page).status_code == 403


def test_a_wrong_password_shows_the_form_again_without_it(site: Site) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    response = log_in(site, page, password="<wrong password>")
    assert response.status_code == 403
    assert "Invalid user name or password" in response.text
    assert "wrong password" not in response.text
    assert log_in(site, response).status_code == 302


def test_guessing_on_the_page_is_throttled(site: Site) -> None:
    page = site.get("/oauth/authorize", params=CLI)
    statuses = [log_in(site, page, password=f"guess {n}").status_code for n in range(7)]
    assert statuses[0] == 403
    assert statuses[-1] == 429


def test_what_a_request_carries_is_escaped_on_the_page(site: Site) -> None:
    page = site.get("/oauth/authorize", params={**CLI, "state": '"><img src=x onerror=alert(1)>'})
    assert "<img" not in page.text
    response = log_in(site, page)
    assert sent_on(response)["state"] == '"><img src=x onerror=alert(1)>'


def test_the_challenged_client_has_no_page(site: Site) -> None:
    request = {**CLI, "client_id": "openshift-challenging-client", "redirect_uri": ""}
    page = site.get("/oauth/authorize", params=CLI)
    fields = {"username": "ann", "password": "correct horse", "csrf": field(page, "csrf")}
    assert site.post("/oauth/authorize", params=request, data=fields).status_code == 400


def browser_code(site: Site) -> str:
    response = site.get("/oauth/token/request")
    assert response.status_code == 302
    page = site.get(response.headers["location"])
    response = log_in(site, page)
    assert response.headers["location"].startswith(DISPLAY + "?code=")
    return sent_on(response)["code"]


def test_a_browser_gets_a_token_shown_and_how_to_use_it(site: Site) -> None:
    code = browser_code(site)
    page = site.get("/oauth/token/display", params={"code": code})
    assert "sha256~" not in page.text.replace(code, "")
    shown = site.post(action(page), data={"code": field(page, "code"), "csrf": field(page, "csrf")})
    assert shown.status_code == 200
    match = re.search(r"oc login --token=(sha256~[A-Za-z0-9_-]{43}) --server=(\S+?)<", shown.text)
    assert match
    assert match[2] == HERE
    login = site.world.run(site.tokens.authenticate(match[1], site.world.now))
    assert login is not None
    assert login.user.name == "ann"
    again = site.post(action(page), data={"code": field(page, "code"), "csrf": field(page, "csrf")})
    assert again.status_code == 400
    assert "Request another token" in again.text


def test_another_site_cannot_have_a_token_shown(site: Site) -> None:
    code = browser_code(site)
    response = site.post("/oauth/token/display", data={"code": code, "csrf": "x"})
    assert response.status_code == 403
    assert "sha256~" not in response.text


def test_a_fault_that_the_address_brings_is_shown_as_text(site: Site) -> None:
    page = site.get("/oauth/token/display", params={"error_description": "<b>no</b>"})
    assert page.status_code == 400
    assert "&lt;b&gt;no&lt;/b&gt;" in page.text
    assert site.get("/oauth/token/display").status_code == 400
