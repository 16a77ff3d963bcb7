"""Two processes that serve one database, and clients that speak to exactly one of them.

On SQLite they are the two workers of one server, which share a port: a client opens connections
until the kernel gives it one of the worker that it wants, and keeps that. On PostgreSQL they are
two servers with data directories and ports of their own.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import httpx

from tests.conformance import postgresql
from tests.kube_client import KubeClient, log_in
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, USERNAME, Server, serving

ATTEMPTS = 200


class Client(Protocol):
    http: httpx.Client


C = TypeVar("C", bound=Client)


@dataclass(frozen=True)
class Serving:
    """One of the two; `worker` is 0 where it has a port to itself."""

    server: Server
    worker: int = 0
    opened: list[httpx.Client] = field(default_factory=list)

    def close(self) -> None:
        """Close every client that was made so far."""
        while self.opened:
            self.opened.pop().close()

    @property
    def url(self) -> str:
        return self.server.url

    def api(self, token: str | None) -> KubeClient:
        return self._mine(lambda: KubeClient(self.url, token))

    def log_in(self, name: str = USERNAME, password: str = PASSWORD) -> KubeClient:
        return self.api(log_in(self.url, name, password))

    def registry(self, name: str = USERNAME, password: str = PASSWORD) -> RegistryClient:
        return self._mine(lambda: RegistryClient(self.url, credentials=(name, password)))

    def bearer(self, token: str) -> RegistryClient:
        return self._mine(lambda: RegistryClient(self.url, bearer=token))

    def _mine(self, make: Callable[[], C]) -> C:
        for _ in range(ATTEMPTS):
            client = make()
            stream = client.http.get("/livez").extensions["network_stream"]
            port: int = stream.get_extra_info("client_addr")[1]
            if not self.worker or socket_of(self.server, port) in descriptors(self.worker):
                self.opened.append(client.http)
                return client
            client.http.close()
        raise AssertionError("no connection came to the worker")


@contextlib.contextmanager
def two_processes(kind: str, directory: Path) -> Iterator[tuple[Serving, Serving]]:
    """The two, on `sqlite` or `postgresql`."""
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            server = stack.enter_context(serving(Server(directory / "data", workers=2)))
            one, other = server.worker_ids()
            yield Serving(server, one), Serving(server, other)
            return
        own = stack.enter_context(postgresql.server())
        url = stack.enter_context(own.database())
        servers = [Server(directory / name, 1, {"database": url}) for name in ("one", "other")]
        first, second = (stack.enter_context(serving(each)) for each in servers)
        yield Serving(first), Serving(second)


def socket_of(server: Server, port: int) -> str:
    """The server's end of the connection from a port of ours, as /proc names it."""
    here, there = f":{server.port:04X}", f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(here) and fields[2].endswith(there):
            return f"socket:[{fields[9]}]"
    return ""


def descriptors(process: int) -> list[str]:
    """What a process has open."""
    names = []
    for each in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we looked
            names.append(os.readlink(each))
    return names
