"""The registry that real clients talk to, and a home directory for each of them.

All tests here share one running tidegate; each uses repositories of its own. To see how another
registry does, start it on plain HTTP with the user and password of `tests/server.py` and name its
address in TIDEGATE_TEST_REGISTRY.
"""

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.registry_client import RegistryClient
from tests.server import PASSWORD, USERNAME, Server, serving
from tests.tools import unavailable


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
