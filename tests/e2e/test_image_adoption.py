"""Images of the version before image streams: taken over while they are pulled and pushed."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.images import small_image
from tests.older import PUSHED_AT, fill_current, fill_older, unpack
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, wait_until
from tidegate.metastore.open import open_database

MANIFESTS, REPOSITORIES = 2000, 10
EACH = MANIFESTS // REPOSITORIES
SECONDS = 120.0

STRANDED_TAGS = (
    "SELECT r.name, t.name FROM tags t JOIN repositories r ON r.id = t.repository_id"
    " JOIN manifests m ON m.id = t.manifest_id"
    " LEFT JOIN stream_tags s ON s.repository_id = t.repository_id AND s.name = t.name"
    " LEFT JOIN tag_events e ON e.repository_id = s.repository_id AND e.tag = s.name"
    " AND e.number = s.current WHERE e.image IS NULL OR e.image <> m.digest"
)
STRANDED_MANIFESTS = (
    "SELECT m.digest FROM manifests m LEFT JOIN documents d"
    " ON d.resource = 'images.image.openshift.io' AND d.name = m.digest"
    " WHERE m.deleted_at IS NULL AND d.name IS NULL"
)
EVENTS = (
    "SELECT e.tag, e.number, e.recorded_at, e.who, e.image FROM tag_events e"
    " JOIN repositories r ON r.id = e.repository_id WHERE r.name = ? ORDER BY e.tag, e.number"
)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    data = unpack(tmp_path)
    fill_older(data, MANIFESTS, REPOSITORIES, configs=100)
    return data


def rows(data: Path, sql: str, *params: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "metadata.db")) as connection:
        return connection.execute(sql, params).fetchall()


def left(client: RegistryClient) -> int:
    """Tags and manifests that are not taken over."""
    text = client.http.get("/extensions/v2/metrics").text
    return sum(
        int(line.split()[1])
        for line in text.splitlines()
        if line.startswith("tidegate_adoption_remaining_")
    )


def wait_for_adoption(server: Server) -> None:
    with client_of(server) as client:
        wait_until(lambda: not left(client), seconds=SECONDS, what="everything to be taken over")


@contextmanager
def pulling(server: Server) -> Iterator[list[str]]:
    """Pulls from the older repositories, one after the other; those that failed."""
    failures: list[str] = []
    done = threading.Event()

    def pull() -> None:
        with client_of(server) as client:
            number = 0
            while not done.is_set():
                number = (number + 61) % MANIFESTS
                name = f"older{number // EACH % 10}/r{number // EACH}"
                by_tag = client.manifest(name, f"v{number % EACH}")
                digest = by_tag.headers.get("docker-content-digest", "none")
                by_digest = client.manifest(name, digest)
                if by_tag.status_code != 200 or by_digest.content != by_tag.content:
                    failures.append(f"{name}:v{number % EACH}: {by_tag.text}{by_digest.text}")

    puller = threading.Thread(target=pull)
    puller.start()
    try:
        yield failures
    finally:
        done.set()
        puller.join()


def test_every_tag_gets_an_event_and_every_manifest_an_image_while_pulls_and_pushes_go_on(
    start: Start, older: Path
) -> None:
    server = start(older)
    pushed = [small_image(f"new {number}") for number in range(20)]
    with pulling(server) as failures, client_of(server) as client:
        assert left(client), "all was taken over before the test began: it needs more manifests"
        for number, each in enumerate(pushed):
            client.push("older9/r9", each, f"new{number}")
            client.push("older8/r8", each, f"v{number}")
            client.push(f"older0/brand-new{number}", each, "1")
        wait_for_adoption(server)
        for number, each in enumerate(pushed):
            client.pull("older9/r9", each, f"new{number}")
            client.pull("older8/r8", each, f"v{number}")
            client.pull(f"older0/brand-new{number}", each, "1")
    assert not failures, failures[0]
    assert server.stop() == 0, server.log
    assert rows(older, STRANDED_TAGS) == []
    assert rows(older, STRANDED_MANIFESTS) == []
    assert "everything that was pushed is in an image stream now" in server.log
    untouched = rows(older, EVENTS, "older3/r3")
    assert sorted(time for _, _, time, _, _ in untouched) == [
        PUSHED_AT + number for number in range(3 * EACH, 4 * EACH)
    ]
    assert {(number, who) for _, number, _, who, _ in untouched} == {(1, "")}


def test_a_check_finds_nothing_wrong_with_what_was_taken_over(start: Start, tmp_path: Path) -> None:
    server = start(unpack(tmp_path))
    wait_for_adoption(server)
    assert server.stop() == 0, server.log
    check = server.check()
    assert check.returncode == 0, check.stdout


def test_an_adoption_that_is_killed_again_and_again_comes_to_the_same_end(
    start: Start, older: Path
) -> None:
    server = start(older)
    before = 2 * MANIFESTS
    for _ in range(4):
        with client_of(server) as client:
            wait_until(lambda: left(client) < before, seconds=SECONDS, what="progress")  # noqa: B023
            before = left(client)
        server.kill()
        server.start()
    wait_for_adoption(server)
    assert server.stop() == 0, server.log
    assert rows(older, STRANDED_TAGS) == []
    assert rows(older, STRANDED_MANIFESTS) == []
    for number in range(REPOSITORIES):
        events = rows(older, EVENTS, f"older{number}/r{number}")
        assert len(events) == EACH
        assert {each[1] for each in events} == {1}


def test_a_push_over_a_tag_that_waits_to_be_taken_over_is_its_second_event(
    start: Start, older: Path
) -> None:
    server = start(older)
    name, new = "older9/r9", small_image("new")
    with client_of(server) as client:
        digest = client.manifest(name, "v199").headers["docker-content-digest"]
        client.push(name, new, "v199")
    wait_for_adoption(server)
    assert server.stop() == 0, server.log
    events = [each for each in rows(older, EVENTS, name) if each[0] == "v199"]
    assert [(number, who, image) for _, number, _, who, image in events] == [
        (1, "", digest),
        (2, "admin", new.digest),
    ]


def test_the_adoption_comes_to_the_same_end_on_postgresql(start: Start) -> None:
    with postgresql.server() as own, own.database() as url:
        server = start(settings={"database": url})
        assert server.stop() == 0, server.log
        asyncio.run(fill_current(url, 300, 3))
        server.start()
        wait_for_adoption(server)
        with client_of(server) as client:
            assert client.manifest("older2/r2", "v99").status_code == 200
        assert server.stop() == 0, server.log

        async def stranded() -> list[tuple[object, ...]]:
            db = await open_database(url)
            try:
                return [*await db.scan(STRANDED_TAGS), *await db.scan(STRANDED_MANIFESTS)]
            finally:
                await db.close()

        assert asyncio.run(stranded()) == []
