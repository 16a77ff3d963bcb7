"""The other registries that tests start are what they seem: pushed to, pulled from, guarded."""

from pathlib import Path

import httpx
import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Tokens
from tests.images import artifact, index, small_image
from tests.registry_client import RegistryClient
from tests.upstream import docker_registry, second_tidegate

PUSHED = index(small_image("one"), small_image("two", "arm64"))


def test_docker_registry_takes_and_gives_an_index(tmp_path: Path) -> None:
    with docker_registry(tmp_path) as upstream, upstream.client() as client:
        client.push("library/app", PUSHED, "v1")
        client.pull("library/app", PUSHED, "v1")
        assert client.tags("library/app") == ["v1"]
        deleted = client.http.delete(f"/v2/library/app/manifests/{PUSHED.digest}")
        assert deleted.status_code == 202


@pytest.mark.parametrize("tls", [False, True])
def test_docker_registry_asks_for_credentials(tmp_path: Path, tls: bool) -> None:
    ann = ("ann", "correct horse")
    with docker_registry(tmp_path, credentials=ann, tls=tls) as upstream:
        assert upstream.url.startswith("https://" if tls else "http://")
        with upstream.client() as client:
            client.push("app", PUSHED, "v1")
        with upstream.client(("ann", "wrong")) as other:
            assert other.manifest("app", "v1").status_code == 401
        with FaultProxy(upstream.url, credentials=ann, trust=upstream.trust) as proxy:
            tokens = Tokens()
            proxy.always(tokens)
            with RegistryClient(proxy.url, credentials=None) as anonymous:
                token = anonymous.token("repository:app:pull,push")
            with RegistryClient(proxy.url, bearer=token) as bearer:
                bearer.pull("app", PUSHED, "v1")
                bearer.push("other", PUSHED, "v1")
            assert proxy.count("upload") == proxy.count("upload", "POST") * 2


def test_a_second_tidegate_serves_what_was_pushed_through_the_proxy(tmp_path: Path) -> None:
    signature = artifact("application/vnd.example.signature", b"signed", subject=PUSHED)
    with second_tidegate(tmp_path) as (upstream, server), FaultProxy(upstream.url) as proxy:
        with RegistryClient(proxy.url) as client:
            client.push("shop/web", PUSHED, "v1")
            client.push("shop/web", signature)
            client.pull("shop/web", PUSHED, "v1")
            referrers = client.http.get(f"/v2/shop/web/referrers/{PUSHED.digest}").json()
            assert [each["digest"] for each in referrers["manifests"]] == [signature.digest]
        assert proxy.count("referrers") == 1
        assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200
