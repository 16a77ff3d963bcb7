"""A minimal client of the Kubernetes API over httpx, and logging in as `oc login` does.

Like `registry_client`, it does what a test says, right or wrong, and raises nothing.
"""

import contextlib
import hashlib
import secrets
import socket
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.server import PASSWORD, TRUST, USERNAME, Server
from tests.tools import must

CORE = "/api/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PROJECTS = "/apis/project.openshift.io/v1"
USERS = "/apis/user.openshift.io/v1"
TOKENS = "/apis/oauth.openshift.io/v1/oauthaccesstokens"


def log_in(url: str, name: str = USERNAME, password: str = PASSWORD, verify: Any = TRUST) -> str:
    """An access token, by the challenge flow that `oc login -u -p` goes through."""
    verifier = urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    redirect = f"{url}/oauth/token/implicit"
    with httpx.Client(base_url=url, verify=verify, trust_env=False, timeout=60) as client:
        redirected = client.get(
            "/oauth/authorize",
            params={
                "client_id": "openshift-challenging-client",
                "response_type": "code",
                "redirect_uri": redirect,
                "code_challenge": challenge.decode(),
                "code_challenge_method": "S256",
            },
            headers={"X-CSRF-Token": "1"},
            auth=(name, password),
        )
        assert redirected.status_code == 302, redirected.text
        (code,) = parse_qs(urlsplit(redirected.headers["location"]).query)["code"]
        answer = client.post(
            "/oauth/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect,
                "code_verifier": verifier,
            },
            auth=("openshift-challenging-client", ""),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


def token_name(token: str) -> str:
    """The name of an access token in the API, as `oc logout` works it out."""
    digest = hashlib.sha256(token.removeprefix("sha256~").encode()).digest()
    return "sha256~" + urlsafe_b64encode(digest).rstrip(b"=").decode()


def add_user(server: Server, name: str, password: str = PASSWORD, *options: str) -> None:
    """`tidegate user add` beside the running server."""
    must(
        *(server.program, "user", "add", name, "--password-stdin", *options),
        *("--data", server.data),
        environment=server.environment(),
        stdin=f"{password}\n",
    )


class KubeClient:
    """Speaks to one server as one user, by a bearer token or (None) as nobody."""

    def __init__(self, url: str, token: str | None, *, verify: Any = TRUST) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url, self.token = url, token
        self.http = httpx.Client(
            base_url=url, headers=headers, timeout=60, trust_env=False, verify=verify
        )

    def __enter__(self) -> "KubeClient":
        return self

    def __exit__(self, *ignored: object) -> None:
        self.http.close()

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params)

    def post(self, path: str, body: Any, **params: Any) -> httpx.Response:
        return self.http.post(path, json=body, params=params)

    def put(self, path: str, body: Any, **params: Any) -> httpx.Response:
        return self.http.put(path, json=body, params=params)

    def patch(
        self, path: str, body: Any, form: str = "application/merge-patch+json", **params: Any
    ) -> httpx.Response:
        return self.http.patch(path, json=body, params=params, headers={"Content-Type": form})

    def delete(self, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self.http.request("DELETE", path, json=body, params=params)

    def make(self, path: str, body: Any, **params: Any) -> dict[str, Any]:
        """POST that has to succeed; the object made."""
        answer = self.post(path, body, **params)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def read(self, path: str, **params: Any) -> dict[str, Any]:
        """GET that has to succeed."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def hang_up(answer: httpx.Response) -> None:
    """End at once what another thread reads: a watch would go on until its timeout."""
    connection = answer.extensions["network_stream"].get_extra_info("socket")
    with contextlib.suppress(OSError):  # ended already
        connection.shutdown(socket.SHUT_RDWR)


def kube_client(server: Server, name: str = USERNAME, password: str = PASSWORD) -> KubeClient:
    """A client that has logged in to a server of the test's own."""
    return KubeClient(server.url, log_in(server.url, name, password))


def role_binding(
    name: str, role: str, *users: str, kind: str = "ClusterRole", groups: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A RoleBinding of a role to users and groups."""
    api_group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": each, "apiGroup": api_group} for each in users]
    subjects += [{"kind": "Group", "name": each, "apiGroup": api_group} for each in groups]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": api_group, "kind": kind, "name": role},
        "subjects": subjects,
    }


def project(name: str) -> dict[str, Any]:
    """A ProjectRequest."""
    return {
        "apiVersion": "project.openshift.io/v1",
        "kind": "ProjectRequest",
        "metadata": {"name": name},
    }
