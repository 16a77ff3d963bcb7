"""Metadata in PostgreSQL: the same registry, which also outlives a restart of its database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.images import Pushable, artifact, index, small_image
from tests.kube_client import PROJECTS, kube_client
from tests.kube_client import project as project_request
from tests.registry_client import client_of
from tests.server import wait_until
from tests.upstream import docker_registry


@pytest.fixture(scope="module")
def database() -> Iterator[postgresql.Server]:
    with postgresql.server() as own:
        yield own


def test_what_is_pushed_is_pulled_listed_deleted_and_there_after_a_restart(
    start: Start, database: postgresql.Server, repository: str
) -> None:
    both = index(small_image("one"), small_image("two", "arm64"))
    attached = artifact("application/vnd.example.note", b"high water", both)
    with database.database() as url:
        server = start(settings={"database": url})
        with client_of(server) as client:
            client.push(repository, both, "multi")
            client.push(repository, attached)
            client.push(repository, small_image("gone"), "gone")
            client.http.delete(f"/v2/{repository}/manifests/gone")
        assert server.stop() == 0, server.log
        assert not (server.data / "metadata.db").exists()
        server.start()
        with client_of(server) as client:
            client.pull(repository, both, "multi")
            assert client.tags(repository) == ["multi"]
            listed = client.http.get(f"/v2/{repository}/referrers/{both.digest}").json()
            assert [each["digest"] for each in listed["manifests"]] == [attached.digest]
        server.stop()


def test_a_restart_of_the_database_is_survived_without_one_of_the_server(
    start: Start, database: postgresql.Server, repository: str
) -> None:
    pushed = small_image(repository)
    with database.database() as url:
        server = start(settings={"database": url})
        with client_of(server) as client:
            client.push(repository, pushed, "1")
            database.stop()
            answer = client.manifest(repository, "1")
            assert answer.status_code in (200, 503), answer.text  # from memory, or not at all
            assert client.http.post(f"/v2/{repository}/blobs/uploads/").status_code == 503
            assert client.http.get("/livez").status_code == 200
            database.start()
            wait_until(
                lambda: client.http.post(f"/v2/{repository}/blobs/uploads/").status_code == 202,
                what="the server to find its database again",
            )
            client.pull(repository, pushed, "1")
            client.push(repository, small_image("after"), "2")
        server.stop()


def test_an_image_is_imported_with_all_that_belongs_to_it(
    start: Start, database: postgresql.Server, repository: str, tmp_path: Path
) -> None:
    both = index(small_image("one"), small_image("two", "arm64"))
    project, _, stream = repository.partition("/")
    with docker_registry(tmp_path / "far") as far, database.database() as url:
        with far.client() as client:
            client.push("team/app", both, "1")
            client.push("team/app", artifact("application/x.sig", b"sig"), cosign_tag(both))
        settings = {"database": url, "allow_private_upstreams": "true"}
        server = start(settings=settings)
        with kube_client(server) as admin, client_of(server) as client:
            admin.make(f"{PROJECTS}/projectrequests", project_request(project))
            body = {
                "metadata": {"name": stream},
                "spec": {
                    "import": True,
                    "images": [
                        {
                            "from": {"kind": "DockerImage", "name": f"{far.address}/team/app:1"},
                            "to": {"name": "1"},
                            "importPolicy": {"insecure": True, "importMode": "PreserveOriginal"},
                        }
                    ],
                },
            }
            path = f"/apis/image.openshift.io/v1/namespaces/{project}/imagestreamimports"
            first = admin.make(path, body)["status"]
            assert first["images"][0]["status"]["status"] == "Success", first
            client.pull(repository, both, "1")
            assert sorted(client.tags(repository)) == ["1", cosign_tag(both)]
            again = admin.make(path, body)["status"]["import"]
            assert again["metadata"] == first["import"]["metadata"]
        server.stop()


def cosign_tag(image: Pushable) -> str:
    """Where cosign keeps the signature of an image."""
    return image.digest.replace(":", "-") + ".sig"


def test_an_absent_database_refuses_the_start(start: Start) -> None:
    with pytest.raises(AssertionError, match="ended at once"):
        start(settings={"database": "postgresql://nobody@127.0.0.1:1/none"})
