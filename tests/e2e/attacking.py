"""The scene of the attacks: a server, its administrator, and two users with a project each.

`mallory` is the administrator of `lair` and nothing else; what `alice` has in `vault` must stay
hers. Every attack in here goes over HTTP, with what mallory could have.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.images import Pushable, small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    USERS,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.raw_http import RawAnswer, exchange, request
from tests.registry_client import RegistryClient, client_of
from tests.server import PASSWORD, Server, serving

LAIR, VAULT = "lair", "vault"

GROUP = "rbac.authorization.k8s.io"
APPLY = "application/apply-patch+yaml"
READ_MAPS = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


class Scene(NamedTuple):
    """Who there is, and what is to be kept from mallory."""

    server: Server
    admin: KubeClient
    alice: KubeClient
    mallory: KubeClient
    image: Pushable  # `vault/app:1`
    own: Pushable  # `lair/app:1`

    def registry(self, user: str = "mallory", password: str = PASSWORD) -> RegistryClient:
        return client_of(self.server, credentials=(user, password))


@contextlib.contextmanager
def scene_of(server: Server) -> Iterator[Scene]:
    """Set the scene on a server that has just been started."""
    with contextlib.ExitStack() as stack:
        for name in ("alice", "mallory"):
            add_user(server, name)
        admin, alice, mallory = (
            stack.enter_context(kube_client(server, name)) for name in ("admin", "alice", "mallory")
        )
        alice.make(f"{PROJECTS}/projectrequests", project(VAULT))
        mallory.make(f"{PROJECTS}/projectrequests", project(LAIR))
        image, own = small_image("alice's"), small_image("mallory's")
        for user, repository, pushed in (
            ("alice", f"{VAULT}/app", image),
            ("mallory", f"{LAIR}/app", own),
        ):
            with client_of(server, credentials=(user, PASSWORD)) as client:
                client.push(repository, pushed, "1")
        yield Scene(server, admin, alice, mallory, image, own)


@contextlib.contextmanager
def attacked(data: Path, **options: Any) -> Iterator[Scene]:
    """A scene on a server of its own, which has to be whole when the attacks are over."""
    with serving(Server(data, **options)) as server, scene_of(server) as scene:
        workers = server.worker_ids()
        yield scene
        healthy(scene, workers)


def bearer(scene: Scene, token: str) -> KubeClient:
    """A client with some other token."""
    return KubeClient(scene.server.url, token)


def account_token(client: KubeClient, namespace: str, name: str, *audiences: str) -> str:
    """A new token of a service account, by TokenRequest."""
    path = f"{CORE}/namespaces/{namespace}/serviceaccounts/{name}/token"
    spec: dict[str, Any] = {"audiences": list(audiences)} if audiences else {}
    return str(client.make(path, {"spec": spec})["status"]["token"])


def healthy(scene: Scene, workers: list[int]) -> None:
    """The server is as it was: no worker died, nothing unforeseen was logged."""
    assert scene.server.ready(), scene.server.log
    assert scene.server.worker_ids() == workers, scene.server.log
    assert "Traceback" not in scene.server.log, scene.server.log


def role(name: str, rules: list[dict[str, Any]], kind: str = "Role") -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "rules": rules}


def account_binding(name: str, role: str, namespace: str, account: str) -> dict[str, Any]:
    binding = role_binding(name, role)
    binding["subjects"] = [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
    return binding


def raw(server: Server, method: str, target: str, headers: dict[str, str]) -> RawAnswer:
    answer = exchange(server.address, request(method, target, headers), method)
    assert answer is not None
    return answer


def cannot(client: KubeClient) -> None:
    """Who has a project and no more is refused what is elsewhere."""
    for path in (
        f"{CORE}/secrets",
        f"{CORE}/namespaces/{VAULT}/secrets",
        f"{RBAC}/clusterrolebindings",
        f"{USERS}/users",
    ):
        assert client.get(path).status_code == 403, path


def together(count: int, ask: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to `count` requests that are sent at once."""
    with ThreadPoolExecutor(count) as threads:
        return [each.result() for each in [threads.submit(ask) for _ in range(count)]]
