"""What the run asks of a server, where the programs are, and starting and ending them."""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Protocol

import httpx

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = PROJECT / ".tools" / "bin"
REGISTRY_MODULE = "github.com/distribution/distribution/v3/cmd/registry@v3.1.2"
START_SECONDS = 60.0


class Peer(Protocol):
    """A server under load."""

    name: str
    directory: Path  # what it stores; may be filled while it does not run
    port: int
    tls_port: int

    @property
    def version(self) -> str: ...
    def start(self) -> float: ...  # seconds until it answered
    def stop(self) -> None: ...
    def process(self, tls: bool) -> int: ...  # the first process of what serves there
    def headers(self, repository: str) -> dict[str, str]: ...
    def blob_path(self, repository: str, digest: str) -> str: ...


class PeerMissing(Exception):
    """A peer is not installed, and how it could be."""


class Processes:
    """Servers that were started here, each in a session of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._running: list[subprocess.Popen[bytes]] = []

    def launch(self, command: list[str], environment: dict[str, str]) -> int:
        """Start a server and return its process id."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # compiled once, as wherever it is installed
                env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": ""},
                start_new_session=True,
            )
        self._running.append(process)
        return process.pid

    def wait_for(self, url: str) -> float:
        """Seconds until any answer came from there."""
        began = time.perf_counter()
        while time.perf_counter() < began + START_SECONDS:
            if any(process.poll() is not None for process in self._running):
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=5, verify=False, trust_env=False).status_code < 500:
                    return time.perf_counter() - began
            time.sleep(0.005)
        raise PeerMissing(f"{url} did not come up:\n{self._log.read_text()[-3000:]}")

    def stop(self) -> None:
        """End them and wait."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def find_registry() -> str:
    """The registry to compare with: named, installed, built now, or Debian's."""
    if named := os.environ.get("TIDEGATE_BENCH_REGISTRY"):
        return named
    places = [str(TOOLS), os.environ.get("GOBIN", ""), os.environ["PATH"]]
    if found := shutil.which("registry", path=os.pathsep.join(filter(None, places))):
        return found
    if shutil.which("go"):
        TOOLS.mkdir(parents=True, exist_ok=True)
        built = subprocess.run(
            ["go", "install", REGISTRY_MODULE],
            env={**os.environ, "GOBIN": str(TOOLS), "CGO_ENABLED": "0"},
            check=False,
        )
        if built.returncode == 0:
            return str(TOOLS / "registry")
    if found := shutil.which("docker-registry"):
        return found
    raise PeerMissing(
        "no registry to compare with: install Go, or Debian's docker-registry, "
        "or name a binary in TIDEGATE_BENCH_REGISTRY"
    )


def find_nginx() -> str | None:
    """nginx, if it is installed."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
