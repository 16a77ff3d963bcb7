"""Logging in at a running server of two processes, and what ends a login."""

import base64
import hashlib
import subprocess
import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.server import TRUST, Server, tidegate, wait_until

VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
PASSWORD, SECOND = "correct horse", "battery staple"


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


def access_token(server: Server, name: str) -> str:
    """What `oc login -u` ends with."""
    csrf = {"X-CSRF-Token": "1"}
    with httpx.Client(base_url=server.url, headers=csrf, timeout=20, verify=TRUST) as client:
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
    return get(server, "/apis/user.openshift.io/v1/users/~", token)


def registry_token(server: Server, token: str) -> str:
    """What `docker login -u anything -p TOKEN` gets."""
    url, pair = f"{server.url}/openshift/token", ("anything", token)
    answer = httpx.get(url, auth=pair, timeout=20, verify=TRUST).raise_for_status()
    issued: str = answer.json()["token"]
    return issued


def ping(server: Server, token: str) -> int:
    return get(server, "/v2/", token).status_code


def get(server: Server, path: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}{path}", headers=headers, timeout=20, verify=TRUST)


@pytest.fixture
def user(server: Server) -> str:
    """A user of the test's own, added while the server runs."""
    name = f"ann-{uuid.uuid4().hex[:8]}"
    command(server, "user", "add", name, "--password", PASSWORD)
    return name


def test_a_user_added_while_the_server_runs_logs_in_and_is_in_her_groups(
    server: Server, user: str
) -> None:
    token = access_token(server, user)
    me = whoami(server, token).raise_for_status().json()
    assert me["metadata"]["name"] == user
    assert me["identities"] == [f"local:{user}"]
    assert me["groups"] == ["system:authenticated", "system:authenticated:oauth"]
    command(server, "group", "add-users", "ops", user)
    for _ in range(10):
        assert whoami(server, token).json()["groups"][0] == "ops"
    assert ping(server, token) == 200
    assert ping(server, registry_token(server, token)) == 200


def log_out(server: Server, user: str, token: str) -> None:
    """`oc logout`."""
    digest = hashlib.sha256(token.removeprefix("sha256~").encode()).digest()
    name = "sha256~" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    url = f"{server.url}/apis/oauth.openshift.io/v1/oauthaccesstokens/{name}"
    headers = {"Authorization": f"Bearer {token}"}
    httpx.delete(url, headers=headers, timeout=20, verify=TRUST).raise_for_status()


@pytest.mark.parametrize(
    "end",
    [
        lambda server, user, _: command(server, "user", "disable", user),
        lambda server, user, _: command(server, "user", "passwd", user, "--password", SECOND),
        lambda server, user, _: command(server, "user", "delete", user),
        log_out,
    ],
    ids=["disable", "passwd", "delete", "logout"],
)
def test_what_ends_a_login_ends_its_tokens_on_every_process(
    server: Server, user: str, end: Callable[[Server, str, str], None]
) -> None:
    token = access_token(server, user)
    registry = registry_token(server, token)
    assert (whoami(server, token).status_code, ping(server, registry)) == (200, 200)
    end(server, user, token)
    for _ in range(10):
        assert whoami(server, token).status_code == 401
    wait_until(lambda: all(ping(server, registry) == 401 for _ in range(10)))


def test_no_token_or_password_is_printed_or_audited(start: Start) -> None:
    server = start()
    command(server, "user", "add", "ann", "--password", PASSWORD)
    token = access_token(server, "ann")
    registry = registry_token(server, token)
    whoami(server, token)
    whoami(server, token[:-1] + "x")
    command(server, "user", "delete", "ann")
    server.stop()
    audit = (server.data / "audit.log").read_text()
    assert '"action":"login"' in audit
    for secret in (PASSWORD, token.removeprefix("sha256~"), registry.rpartition(".")[2]):
        assert secret not in server.log + audit
