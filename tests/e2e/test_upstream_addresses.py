"""A tidegate that runs: what its users name leads it to no address of its own network."""

from collections.abc import Iterator

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Tokens, redirect
from tests.kube_client import PROJECTS, KubeClient, kube_client, project
from tests.server import Server, serving

GROUP = "/apis/image.openshift.io/v1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """May call 127.0.0.2 and nothing else that is private."""
    data = tmp_path_factory.mktemp("addresses") / "data"
    settings = {"upstream_networks": "127.0.0.2/32"}
    with serving(Server(data, workers=1, settings=settings)) as started:
        yield started


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        client.make(f"{PROJECTS}/projectrequests", project("shop"))
        yield client


def imported(admin: KubeClient, name: str, *, insecure: bool = True) -> str:
    """The reason that an import of an image fails for."""
    image = {
        "from": {"kind": "DockerImage", "name": name},
        "to": {"name": "v1"},
        "importPolicy": {"insecure": insecure},
    }
    body = {
        "kind": "ImageStreamImport",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": "web"},
        "spec": {"import": False, "images": [image]},
    }
    answer = admin.make(f"{GROUP}/namespaces/shop/imagestreamimports", body)
    return str(answer["status"]["images"][0]["status"]["message"])


@pytest.mark.parametrize("insecure", [True, False])
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "10.255.255.1", "169.254.169.254", "0.0.0.0"]
)
def test_no_import_reaches_an_inner_address(admin: KubeClient, host: str, insecure: bool) -> None:
    with FaultProxy() as inner:
        reason = imported(admin, f"{host}:{inner.port}/library/app:v1", insecure=insecure)
        assert "is no public address" in reason
        assert inner.count() == 0


def test_this_server_itself_is_such_an_address(admin: KubeClient, server: Server) -> None:
    assert "is no public address" in imported(admin, f"localhost:{server.port}/shop/web:v1")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_there_either(admin: KubeClient, status: int) -> None:
    with FaultProxy() as inner, FaultProxy(host="127.0.0.2") as allowed:
        for target in (inner.url, "http://169.254.169.254", "http://localhost"):
            allowed.always(redirect(f"{target}{{target}}", status))
            reason = imported(admin, f"{allowed.address}/library/app:v1")
            assert "is no public address" in reason
        assert inner.count() == 0
        assert allowed.count("manifest") >= 3


def test_no_token_server_is_reached_there(admin: KubeClient) -> None:
    with FaultProxy() as inner, FaultProxy(host="127.0.0.2") as allowed:
        allowed.always(Tokens(realm=f"{inner.url}/token"))
        assert "is no public address" in imported(admin, f"{allowed.address}/library/app:v1")
        assert inner.count() == 0


def test_what_was_allowed_is_reached(admin: KubeClient) -> None:
    with FaultProxy(host="127.0.0.2") as allowed:
        imported(admin, f"{allowed.address}/library/app:v1")
        assert allowed.count("manifest") >= 1
