"""Metadata in PostgreSQL: the same registry, which also outlives a restart of its database."""

from collections.abc import Iterator

import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.images import artifact, index, small_image
from tests.registry_client import client_of
from tests.server import wait_until


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


def test_an_absent_database_refuses_the_start(start: Start) -> None:
    with pytest.raises(AssertionError, match="ended at once"):
        start(settings={"database": "postgresql://nobody@127.0.0.1:1/none"})
