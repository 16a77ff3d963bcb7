"""Logging in at a running server of two processes, and what ends a login."""

import base64
import hashlib
import subprocess
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.server import Server, tidegate, wait_until

VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
PASSWORD = "correct horse"


def command(server: Server, *words: str) -> None:
    finished = subprocess.run(
        [tidegate(), *words, "--data", str(server.data)],
        capture_output=True,
        text=True,
        env=server.environment(),
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def access_token(server: Server, name: str = "ann") -> str:
    """What `oc login -u` ends with."""
    with httpx.Client(base_url=server.url, headers={"X-CSRF-Token": "1"}, timeout=20) as client:
        found = client.get("/.well-known/oauth-authorization-server").json()
        address = f"{found['issuer']}/oauth/token/implicit"
        request = {
            "client_id": "openshift-challenging-client",
            "response_type": "code",
            "redirect_uri": address,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        url = found["authorization_endpoint"]
        assert client.get(url, params=request).status_code == 401
        response = client.get(url, params=request, auth=(name, PASSWORD))
        assert response.status_code == 302, response.text
        code = parse_qs(urlsplit(response.headers["location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": address,
            "code_verifier": VERIFIER,
        }
        auth = ("openshift-challenging-client", "")
        answer = client.post(found["token_endpoint"], data=form, auth=auth).raise_for_status()
        token: str = answer.json()["access_token"]
        return token


def whoami(server: Server, token: str) -> httpx.Response:
    """`users/~`, on a connection of its own, so that any process may answer."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}/apis/user.openshift.io/v1/users/~", headers=headers, timeout=20)


def registry_token(server: Server, token: str) -> str:
    """What `docker login -u anything -p TOKEN` gets."""
    url = f"{server.url}/openshift/token"
    answer = httpx.get(url, auth=("anything", token), timeout=20).raise_for_status()
    issued: str = answer.json()["token"]
    return issued


def ping(server: Server, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}/v2/", headers=headers, timeout=20).status_code


def test_a_user_added_while_the_server_runs_logs_in_and_is_in_her_groups(start: Start) -> None:
    server = start()
    command(server, "user", "add", "ann", "--password", PASSWORD)
    token = access_token(server)
    me = whoami(server, token).raise_for_status().json()
    assert me["metadata"]["name"] == "ann"
    assert me["identities"] == ["local:ann"]
    assert me["groups"] == ["system:authenticated", "system:authenticated:oauth"]
    command(server, "group", "add-users", "ops", "ann")
    for _ in range(10):
        assert whoami(server, token).json()["groups"][0] == "ops"
    assert ping(server, token) == 200
    assert ping(server, registry_token(server, token)) == 200


def log_out(server: Server, token: str) -> None:
    """`oc logout`."""
    digest = hashlib.sha256(token.removeprefix("sha256~").encode()).digest()
    name = "sha256~" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    url = f"{server.url}/apis/oauth.openshift.io/v1/oauthaccesstokens/{name}"
    headers = {"Authorization": f"Bearer {token}"}
    httpx.delete(url, headers=headers, timeout=20).raise_for_status()


@pytest.mark.parametrize(
    "end",
    [
        lambda server, _: command(server, "user", "disable", "ann"),
        lambda server, _: command(server, "user", "passwd", "ann", "--password", "battery staple"),
        lambda server, _: command(server, "user", "delete", "ann"),
        log_out,
    ],
    ids=["disable", "passwd", "delete", "logout"],
)
def test_what_ends_a_login_ends_its_tokens_on_every_process(
    start: Start, end: Callable[[Server, str], None]
) -> None:
    server = start()
    command(server, "user", "add", "ann", "--password", PASSWORD)
    token = access_token(server)
    registry = registry_token(server, token)
    assert (whoami(server, token).status_code, ping(server, registry)) == (200, 200)
    end(server, token)
    for _ in range(10):
        assert whoami(server, token).status_code == 401
    wait_until(lambda: all(ping(server, registry) == 401 for _ in range(10)))


def test_no_token_or_password_is_printed_or_audited(start: Start) -> None:
    server = start()
    command(server, "user", "add", "ann", "--password", PASSWORD)
    token = access_token(server)
    registry = registry_token(server, token)
    whoami(server, token)
    whoami(server, token[:-1] + "x")
    command(server, "user", "delete", "ann")
    server.stop()
    audit = (server.data / "audit.log").read_text()
    assert '"action":"login"' in audit
    for secret in (PASSWORD, token.removeprefix("sha256~"), registry.rpartition(".")[2]):
        assert secret not in server.log + audit
