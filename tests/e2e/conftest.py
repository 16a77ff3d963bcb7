"""Servers for tests that end, starve or attack them, and one for tests that leave it whole."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.kube_apiserver import Cluster, kube_cluster
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving
from tests.tools import run, unavailable


class Start(Protocol):
    """Starts a server that ends with the test; options are those of `Server`."""

    def __call__(self, data: Path | None = None, **options: Any) -> Server: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Server] = []
    with contextlib.ExitStack() as stack:

        def begin(data: Path | None = None, **options: Any) -> Server:
            server = Server(data or tmp_path / "data", **options)
            started.append(server)
            return stack.enter_context(serving(server))

        yield begin
    for server in started:  # ended by now: what went wrong at the end is in there too
        assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a file of tests, each of which leaves it as healthy as before."""
    with serving(Server(tmp_path_factory.mktemp("server") / "data")) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def api(server: Server) -> Iterator[RegistryClient]:
    """The administrator's client; after the test the server has to be whole."""
    workers = server.worker_ids()
    with client_of(server) as client:
        yield client
    assert server.ready(), server.log
    assert server.worker_ids() == workers, f"a worker died\n{server.log}"
    assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One Kubernetes API server for all tests, each of which uses namespaces of its own."""
    with kube_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a 64 MB file system of its own."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    outcome = run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mounted)
    if outcome.code != 0:
        unavailable(f"cannot mount a small file system: {outcome.stderr.strip()}")
    try:
        yield mounted / "data"
    finally:
        run("umount", "--lazy", mounted)
