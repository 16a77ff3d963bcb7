"""Other registries, as a tidegate under test meets them: real ones.

    with docker_registry(tmp_path) as upstream, upstream.client() as client:
        client.push("library/app", small_image("one"), "v1")

`docker_registry` is Debian's (Docker's own program, version 2), `second_tidegate` is one of ours;
put a `tests.fault_proxy.FaultProxy(upstream.url)` in front of either to make it fail.
"""

import base64
import contextlib
import ctypes
import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.certificates import Authority
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, TRUST, USERNAME, Server, free_port, serving, wait_until
from tests.tools import require

Credentials = tuple[str, str]


@dataclass(frozen=True)
class Upstream:
    """A registry that runs: where, who may use it, and the authority of its certificate."""

    url: str
    credentials: Credentials | None = None
    authority: Authority | None = None
    log_file: Path = field(default=Path("/dev/null"))

    @property
    def address(self) -> str:
        """Host and port, as image names begin with."""
        return self.url.partition("://")[2]

    @property
    def trust(self) -> ssl.SSLContext | None:
        """Who may have signed its certificate; None without TLS."""
        return self.authority.context() if self.authority else None

    @property
    def dockerconfigjson(self) -> str:
        """The content of a pull secret for it."""
        return dockerconfigjson(self.address, *(self.credentials or ("", "")))

    def client(self, credentials: Credentials | None = None) -> RegistryClient:
        """A client of who may push here."""
        chosen = credentials or self.credentials
        return RegistryClient(self.url, credentials=chosen, verify=self.trust or TRUST)


def dockerconfigjson(address: str, username: str, password: str) -> str:
    """The content of a pull secret for a registry, or for a path in one."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {address: {"auth": pair}}})


@contextlib.contextmanager
def docker_registry(
    directory: Path, *, credentials: Credentials | None = None, tls: bool = False
) -> Iterator[Upstream]:
    """Debian's docker-registry on 127.0.0.1, open to all or asking for Basic credentials."""
    program = require("docker-registry")
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory / "tls") if tls else None
    port = free_port()
    configuration = _configuration(directory, port, credentials, authority)
    file = directory / "config.json"  # JSON is YAML
    file.write_text(json.dumps(configuration))
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    upstream = Upstream(url, credentials, authority, directory / "registry.log")
    with upstream.log_file.open("ab") as log:
        process = subprocess.Popen(
            [program, "serve", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _answers(upstream, process), what=url)
        yield upstream
    finally:
        process.terminate()
        process.wait()


def _configuration(
    directory: Path, port: int, credentials: Credentials | None, authority: Authority | None
) -> dict[str, Any]:
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}"}
    if authority is not None:
        issued = authority.issue("registry")
        http["tls"] = {"certificate": str(issued.certificate), "key": str(issued.key)}
    document: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "content")},
            "delete": {"enabled": True},
        },
        "http": http,
    }
    if credentials is not None:
        path = directory / "htpasswd"
        path.write_text(_htpasswd(*credentials))
        document["auth"] = {"htpasswd": {"realm": "upstream", "path": str(path)}}
    return document


def _htpasswd(username: str, password: str) -> str:
    """A line of an htpasswd file; docker-registry reads bcrypt alone."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt  # every Debian has it; Python's own is gone
    crypt.restype = ctypes.c_char_p
    made: bytes = crypt(password.encode(), b"$2b$04$" + b"saltofthetestsofours..")
    return f"{username}:{made.decode()}\n"


def _answers(upstream: Upstream, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, upstream.log_file.read_text()
    try:
        answer = httpx.get(f"{upstream.url}/v2/", verify=upstream.trust or TRUST, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code in (200, 401)


@contextlib.contextmanager
def second_tidegate(directory: Path, **options: Any) -> Iterator[tuple[Upstream, Server]]:
    """A tidegate with one worker unless told otherwise, to be imported and pulled from."""
    options.setdefault("workers", 1)
    with serving(Server(directory / "data", **options)) as server:
        yield Upstream(server.url, (USERNAME, PASSWORD), None, server.log_file), server
