"""A workload pulls, and a build pushes, with what the project has for them: no password of anybody.

Each service account has a `dockercfg` Secret for its own project, as on OpenShift. skopeo stands
for the kubelet: it reads the same format from `~/.dockercfg`, and nothing else here tells it who it
is.
"""

import base64
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Registry
from tests.images import small_image, write_layout
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    TOKENS,
    KubeClient,
    log_in,
    project,
    role_binding,
    token_name,
)
from tests.server import wait_until
from tests.tools import Outcome, Program, require

PULL_SECRET = "openshift.io/internal-registry-pull-secret-ref"


@pytest.fixture(scope="module")
def admin(registry: Registry) -> Iterator[KubeClient]:
    url = f"http://{registry.address}"
    with KubeClient(url, log_in(url)) as client:
        yield client


@pytest.fixture
def shop(admin: KubeClient, repository: str) -> str:
    """A project."""
    name = f"shop-{repository.partition('/')[0]}"
    admin.make(f"{PROJECTS}/projectrequests", project(name))
    return name


@pytest.fixture
def other(admin: KubeClient, shop: str) -> str:
    """A project beside it."""
    admin.make(f"{PROJECTS}/projectrequests", project(f"other-{shop}"))
    return f"other-{shop}"


class Skopeo:
    """skopeo in a home that holds a pull secret and nothing else."""

    def __init__(self, directory: Path, registry: Registry, secret: dict[str, Any] | None) -> None:
        for name, key, path in (
            ("kubernetes.io/dockercfg", ".dockercfg", ".dockercfg"),
            ("kubernetes.io/dockerconfigjson", ".dockerconfigjson", ".docker/config.json"),
        ):
            if secret is not None and secret["type"] == name:
                (directory / path).parent.mkdir(exist_ok=True)
                (directory / path).write_bytes(base64.b64decode(secret["data"][key]))
        empty = {name: str(directory) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
        self._program, self._registry = Program(require("skopeo"), empty), registry
        self._directory = directory

    def push(self, repository: str, *words: str) -> Outcome:
        directory = Path(tempfile.mkdtemp(dir=self._directory)) / "layout"
        layout = write_layout(small_image(repository), directory)
        return self._program.attempt(
            *("copy", "--dest-tls-verify=false", *words, f"oci:{layout}:latest"),
            f"docker://{self._registry.address}/{repository}",
        )

    def pull(self, repository: str, *words: str) -> Outcome:
        return self._program.attempt(
            *("copy", "--src-tls-verify=false", *words),
            *(f"docker://{self._registry.address}/{repository}", f"dir:{self._directory}/pulled"),
        )


@pytest.fixture
def skopeo(registry: Registry, tmp_path: Path) -> Any:
    """Makes a skopeo that has a pull secret, or None."""

    def make(secret: dict[str, Any] | None = None) -> Skopeo:
        return Skopeo(Path(tempfile.mkdtemp(dir=tmp_path)), registry, secret)

    return make


@pytest.fixture
def pushed(registry: Registry, skopeo: Any, shop: str) -> str:
    """An image in the project."""
    there = f"{shop}/app:1"
    password = f"--dest-creds={registry.username}:{registry.password}"
    assert skopeo().push(there, password).code == 0
    return there


def account_secret(admin: KubeClient, namespace: str, account: str) -> dict[str, Any]:
    """The pull secret of a service account, by the account's own word."""
    found = admin.read(f"{CORE}/namespaces/{namespace}/serviceaccounts/{account}")
    name = found["metadata"]["annotations"][PULL_SECRET]
    assert {"name": name} in found["imagePullSecrets"]
    secret = admin.read(f"{CORE}/namespaces/{namespace}/secrets/{name}")
    assert secret["type"] == "kubernetes.io/dockercfg"
    return secret


@pytest.mark.parametrize("account", ["default", "builder", "deployer", "robot"])
def test_each_account_pulls_in_its_own_project_and_not_elsewhere(
    admin: KubeClient, skopeo: Any, pushed: str, shop: str, other: str, account: str
) -> None:
    for namespace in (shop, other):
        if account == "robot":
            path = f"{CORE}/namespaces/{namespace}/serviceaccounts"
            admin.make(path, {"metadata": {"name": account}})
    assert skopeo(account_secret(admin, shop, account)).pull(pushed).code == 0
    refused = skopeo(account_secret(admin, other, account)).pull(pushed)
    assert refused.code != 0
    assert "denied" in refused.stderr, str(refused)
    anonymous = skopeo().pull(pushed)
    assert anonymous.code != 0
    assert "unauthorized" in anonymous.stderr, str(anonymous)


def test_a_project_s_images_are_pulled_elsewhere_once_a_binding_says_so(
    admin: KubeClient, skopeo: Any, pushed: str, shop: str, other: str
) -> None:
    """`oc policy add-role-to-group system:image-puller system:serviceaccounts:OTHER -n SHOP`."""
    client = skopeo(account_secret(admin, other, "default"))
    assert client.pull(pushed).code != 0
    group = f"system:serviceaccounts:{other}"
    binding = role_binding("others-pull", "system:image-puller", groups=(group,))
    admin.make(f"{RBAC}/namespaces/{shop}/rolebindings", binding)
    assert client.pull(pushed).code == 0
    admin.delete(f"{RBAC}/namespaces/{shop}/rolebindings/others-pull")
    wait_until(lambda: client.pull(pushed).code != 0, what="the end of the right")


def test_the_builder_pushes_and_the_default_account_does_not(
    admin: KubeClient, skopeo: Any, shop: str, other: str
) -> None:
    builder = skopeo(account_secret(admin, shop, "builder"))
    assert builder.push(f"{shop}/built:1").code == 0
    elsewhere = builder.push(f"{other}/built:1")
    assert elsewhere.code != 0
    assert "403 (Forbidden)" in elsewhere.stderr, str(elsewhere)  # to a HEAD, without a word
    refused = skopeo(account_secret(admin, shop, "default")).push(f"{shop}/built:2")
    assert refused.code != 0
    assert "denied" in refused.stderr, str(refused)


def requested(admin: KubeClient, namespace: str, account: str, **spec: Any) -> str:
    """A token by TokenRequest, as a kubelet's credential provider asks for one."""
    path = f"{CORE}/namespaces/{namespace}/serviceaccounts/{account}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return str(admin.make(path, body)["status"]["token"])


def test_a_requested_token_pulls_without_any_stored_secret(
    admin: KubeClient, registry: Registry, skopeo: Any, pushed: str, shop: str
) -> None:
    """Whatever the user name; and the API does not take a token that is for the registry."""
    token = requested(admin, shop, "default", audiences=["tidegate"], expirationSeconds=600)
    for name in ("unused", "system-serviceaccount", "admin"):
        assert skopeo().pull(pushed, f"--src-creds={name}:{token}").code == 0
    assert skopeo().pull(pushed, f"--src-registry-token={token}").code == 0
    with KubeClient(f"http://{registry.address}", token) as account:
        assert account.get(f"{CORE}/namespaces/{shop}/secrets").status_code == 401
    for_another = requested(admin, shop, "default", audiences=["https://vault.example"])
    refused = skopeo().pull(pushed, f"--src-creds=unused:{for_another}")
    assert refused.code != 0
    assert "unauthorized" in refused.stderr, str(refused)


def test_deleting_a_pull_secret_voids_its_token(
    admin: KubeClient, skopeo: Any, pushed: str, shop: str
) -> None:
    secret = account_secret(admin, shop, "default")
    client = skopeo(secret)
    assert client.pull(pushed).code == 0
    path = f"{CORE}/namespaces/{shop}/secrets/{secret['metadata']['name']}"
    assert admin.delete(path).status_code == 200
    wait_until(lambda: client.pull(pushed).code != 0, what="the end of the token")

    def renewed() -> bool:
        found = admin.read(f"{CORE}/namespaces/{shop}/serviceaccounts/default")
        name = found["metadata"]["annotations"].get(PULL_SECRET)
        return admin.get(f"{CORE}/namespaces/{shop}/secrets/{name}").status_code == 200

    wait_until(renewed, what="another secret for the account")
    assert skopeo(account_secret(admin, shop, "default")).pull(pushed).code == 0


def test_deleting_an_account_takes_its_secret_and_token_away(
    admin: KubeClient, skopeo: Any, pushed: str, shop: str
) -> None:
    path = f"{CORE}/namespaces/{shop}/serviceaccounts"
    admin.make(path, {"metadata": {"name": "robot"}})
    secret = account_secret(admin, shop, "robot")
    client = skopeo(secret)
    assert client.pull(pushed).code == 0
    assert admin.delete(f"{path}/robot").status_code == 200
    wait_until(lambda: client.pull(pushed).code != 0, what="the end of the token")
    name = secret["metadata"]["name"]
    wait_until(
        lambda: admin.get(f"{CORE}/namespaces/{shop}/secrets/{name}").status_code == 404,
        what="the end of the secret",
    )


def test_a_docker_registry_secret_is_stored_linked_and_pulls(
    admin: KubeClient, registry: Registry, skopeo: Any, pushed: str, shop: str, other: str
) -> None:
    """What `oc create secret docker-registry` and `oc secrets link --for=pull` write."""
    token = requested(admin, shop, "default", audiences=["tidegate"])
    login = {
        "username": "any",
        "password": token,
        "email": "",
        "auth": base64.b64encode(f"any:{token}".encode()).decode(),
    }
    content = json.dumps({"auths": {registry.address: login}})
    encoded = base64.b64encode(content.encode()).decode()
    secret = {
        "metadata": {"name": "from-shop"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": encoded},
    }
    admin.make(f"{CORE}/namespaces/{other}/secrets", secret)
    account = f"{CORE}/namespaces/{other}/serviceaccounts/default"
    read = admin.read(account)
    linked = {**read, "imagePullSecrets": [*read["imagePullSecrets"], {"name": "from-shop"}]}
    assert admin.put(account, linked).status_code == 200
    stored = admin.read(account)
    assert stored["imagePullSecrets"] == linked["imagePullSecrets"]
    assert stored["secrets"] == read["secrets"]
    kept = admin.read(f"{CORE}/namespaces/{other}/secrets/{stored['imagePullSecrets'][-1]['name']}")
    assert skopeo(kept).pull(pushed).code == 0


def test_the_token_of_a_login_is_a_password_for_podman(
    admin: KubeClient, registry: Registry, skopeo: Any, pushed: str
) -> None:
    """`podman login -u $(oc whoami) -p $(oc whoami -t)`, and after `oc logout` it is void."""
    url = f"http://{registry.address}"
    token = log_in(url)
    with tempfile.TemporaryDirectory(prefix="home-") as home:
        file = f"--authfile={home}/auth.json"
        podman = Program(require("podman"), {"HOME": home, "XDG_RUNTIME_DIR": home})
        login = ("login", "--tls-verify=false", file, "-u", "anybody", "--password-stdin")
        assert "Login Succeeded" in podman(*login, registry.address, stdin=token)
        assert skopeo().pull(pushed, f"--src-authfile={home}/auth.json").code == 0
        assert admin.delete(f"{TOKENS}/{token_name(token)}").status_code == 200
        wait_until(
            lambda: skopeo().pull(pushed, f"--src-authfile={home}/auth.json").code != 0,
            what="the end of the login",
        )
        assert podman.attempt(*login, registry.address, stdin=token).code != 0
