"""The registry that real clients talk to, and a home directory for each of them.

All tests here share one running tidegate; each uses repositories of its own. To see how another
registry does, start it on plain HTTP with the user and password of `tests/server.py` and name its
address in TIDEGATE_TEST_REGISTRY.
"""

import base64
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kube_client import log_in
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, USERNAME, Server, serving
from tests.tools import Program, require, unavailable

KUBECTLS = ("kubectl-1.20", "kubectl")


@dataclass(frozen=True)
class Registry:
    """Where a registry listens and who may use it."""

    address: str
    username: str = USERNAME
    password: str = PASSWORD
    encrypted_address: str = ""
    authority: Path | None = None

    def authority_for(self, directory: Path) -> Path:
        """A directory of trusted certificates, as `--cert-dir` of skopeo and podman wants."""
        if self.authority is None:
            unavailable("the registry has no TLS port")
        assert self.authority is not None
        directory.mkdir()
        (directory / "ca.crt").write_bytes(self.authority.read_bytes())
        return directory


@dataclass(frozen=True)
class Home:
    """A home directory for command line clients; `environment` leads them to it."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory / "run"),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "DOCKER_CONFIG": str(self.directory / "docker"),
            "REGISTRY_AUTH_FILE": str(self.directory / "docker" / "config.json"),
        }

    def remember(self, registry: Registry) -> None:
        """Write the credentials file that all clients read, as a login would."""
        pair = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
        addresses = filter(None, (registry.address, registry.encrypted_address))
        logins = {"auths": {address: {"auth": pair} for address in addresses}}
        (self.directory / "docker" / "config.json").write_text(json.dumps(logins))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One running registry for all client tests."""
    if other := os.environ.get("TIDEGATE_TEST_REGISTRY"):
        yield Registry(other)
        return
    with serving(Server(tmp_path_factory.mktemp("registry") / "data", tls=True)) as server:
        yield Registry(
            server.address, encrypted_address=server.tls_address, authority=server.authority
        )
    assert "Traceback" not in server.log, server.log


@pytest.fixture
def logged_out() -> Iterator[Home]:
    """A client's home with nothing in it; its path is short, as podman's run directory must be."""
    with tempfile.TemporaryDirectory(prefix="home-", ignore_cleanup_errors=True) as name:
        for folder in ("docker", "run", "config"):
            Path(name, folder).mkdir()
        yield Home(Path(name))


@pytest.fixture
def home(logged_out: Home, registry: Registry) -> Home:
    """A client's home that is logged in already."""
    logged_out.remember(registry)
    return logged_out


@pytest.fixture
def api(registry: Registry) -> Iterator[RegistryClient]:
    """A raw client, to see in the registry what a command did."""
    with RegistryClient(f"http://{registry.address}") as client:
        yield client


def kubeconfig(home: Path, registry: Registry, token: str) -> Path:
    """A kubeconfig of one cluster and one user."""
    assert registry.authority is not None
    authority = base64.b64encode(registry.authority.read_bytes()).decode()
    server = f"https://{registry.encrypted_address}"
    cluster = {"server": server, "certificate-authority-data": authority}
    context = {"cluster": "test", "user": "admin", "namespace": "default"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": context}],
    }
    path = home / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="session", params=KUBECTLS)
def kubectl(
    request: pytest.FixtureRequest, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """One version with a home of its own, in which it keeps what it discovered."""
    program = require(request.param)
    home = tmp_path_factory.mktemp(request.param)
    path = kubeconfig(home, registry, log_in(f"http://{registry.address}"))
    return Program(program, {"HOME": str(home), "KUBECONFIG": str(path)})


@pytest.fixture
def namespace(kubectl: Program) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"ns-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
