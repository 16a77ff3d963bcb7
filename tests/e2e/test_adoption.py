"""A data directory of the version before projects and roles: taken over at the first start.

`fixtures/data-0001.tar.xz` was written by that version: the user `admin`, repositories of four
projects that hold something, and `left-over/gone` whose only image was deleted.
"""

import tarfile
import threading
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.images import artifact, image, index, layer
from tests.kube_client import CORE, PROJECTS, RBAC, KubeClient, add_user, kube_client, role_binding
from tests.registry_client import client_of
from tests.server import Server, wait_until

FIXTURE = Path(__file__).parent / "fixtures" / "data-0001.tar.xz"

ONE, TWO, THREE = layer({"a": b"one"}), layer({"b": b"two"}), layer({"c": b"three"})
FIRST, SECOND, ARM = image(ONE, TWO), image(ONE, THREE), image(THREE, architecture="arm64")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def test_each_project_with_repositories_becomes_a_namespace_and_admin_its_administrator(
    start: Start, older: Path
) -> None:
    server = start(older)
    with kube_client(server) as admin, client_of(server) as registry:
        registry.pull("shop/web", FIRST, "1.0")
        registry.pull("shop/web", SECOND, "latest")
        registry.pull("prod/web", index(FIRST, ARM), "stable")
        registry.pull("charts/thing", artifact("example/chart", b"x"), "0.1.0")
        wait_until(lambda: {"shop", "prod", "charts"} <= names(admin), what="adoption")
        bindings = admin.read(f"{RBAC}/namespaces/shop/rolebindings")["items"]
        assert {each["metadata"]["name"] for each in bindings} >= {
            "system:image-pullers",
            "system:image-builders",
            "system:deployers",
        }
        binding = admin.read(f"{RBAC}/clusterrolebindings")["items"]
        assert any(
            each["roleRef"]["name"] == "cluster-admin"
            and {"User", "admin"}
            <= {part for subject in each["subjects"] for part in subject.values()}
            for each in binding
        )
        add_user(server, "una")
        admin.make(f"{RBAC}/namespaces/shop/rolebindings", role_binding("una", "view", "una"))
        with client_of(server, credentials=("una", "correct horse battery staple")) as una:
            una.pull("shop/web", FIRST, "1.0")
            assert una.manifest("prod/web", "stable").status_code == 403


def names(admin: KubeClient) -> set[str]:
    found = admin.read(f"{CORE}/namespaces")["items"]
    return {each["metadata"]["name"] for each in found}


def test_pulls_go_on_while_older_data_is_adopted(start: Start, older: Path) -> None:
    server = start(older)
    failures: list[str] = []
    done = threading.Event()

    def pull() -> None:
        with client_of(server) as client:
            while not done.is_set():
                answer = client.manifest("shop/web", "1.0")
                if answer.content != FIRST.manifest.data:
                    failures.append(answer.text)

    puller = threading.Thread(target=pull)
    puller.start()
    try:
        with kube_client(server) as admin:
            wait_until(lambda: {"shop", "prod", "charts"} <= names(admin), what="adoption")
    finally:
        done.set()
        puller.join()
    assert not failures, failures[0]


def test_a_second_start_adopts_nothing_again(start: Start, older: Path) -> None:
    server = start(older)
    with kube_client(server) as admin:
        wait_until(lambda: {"shop", "prod", "charts"} <= names(admin), what="adoption")
        bindings = admin.read(f"{RBAC}/clusterrolebindings")["items"]
        (mine,) = [
            each["metadata"]["name"]
            for each in bindings
            if any(subject["name"] == "admin" for subject in each.get("subjects", ()))
        ]
        add_user(server, "root", "correct horse battery staple", "--admin")
    stop_and_start(server)
    with kube_client(server, "root") as root:
        assert root.delete(f"{RBAC}/clusterrolebindings/{mine}").status_code == 200
        assert root.delete(f"{PROJECTS}/projects/charts").status_code == 200
        wait_until(lambda: "charts" not in names(root), what="the project to go")
    stop_and_start(server)
    with kube_client(server, "root") as root, kube_client(server) as admin:
        assert "charts" not in names(root)
        assert admin.get(f"{CORE}/namespaces").status_code == 403
        with client_of(server) as registry:
            assert registry.manifest("charts/thing", "0.1.0").status_code in (403, 404)


def stop_and_start(server: Server) -> None:
    assert server.stop() == 0, server.log
    server.start()
