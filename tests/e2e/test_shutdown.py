"""SIGTERM drains: requests in flight end, new ones are turned away, and a timeout bounds it all."""

import sqlite3
import threading
from contextlib import closing

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.images import Content, digest_of, small_image
from tests.raw_http import connect, exchange, read_answer, request
from tests.registry_client import basic, client_of
from tests.server import Server, wait_until

MEGABYTE = 1 << 20
DATA = bytes(range(256)) * 16 * 1024  # 4 MB


def turned_away(server: Server) -> bool:
    """Whether a new request finds a closed port or a 503."""
    try:
        answer = exchange(server.address, request("GET", "/v2/", basic()))
    except OSError:
        return True
    return answer is None or answer.status == 503


def test_an_upload_in_flight_ends_and_is_acknowledged(start: Start, repository: str) -> None:
    server = start(settings={"drain_timeout": "60"})
    with client_of(server) as client:
        location = client.open_upload(repository)
    target = f"{location}{'&' if '?' in location else '?'}digest={digest_of(DATA)}"
    message = request("PUT", target, {**basic(), "Content-Length": str(len(DATA))})
    with connect(server.address) as connection:
        connection.sendall(message + DATA[: len(DATA) // 2])
        # the first half is in the server's hands once some of it is on disk
        wait_until(
            lambda: any(path.stat().st_size for path in server.files("uploads")),
            what="the upload to begin",
        )
        assert server.process is not None
        server.process.terminate()
        wait_until(lambda: turned_away(server), what="new requests to be turned away")
        connection.sendall(DATA[len(DATA) // 2 :])
        answer = read_answer(connection, "PUT")
        assert answer is not None, server.log
        assert answer.status == 201, answer
    assert server.wait() == 0, server.log
    server.start()
    with client_of(server) as client:
        assert client.blob(repository, digest_of(DATA)).content == DATA


def test_a_download_in_flight_ends_whole(start: Start, repository: str) -> None:
    server = start(settings={"drain_timeout": "60"})
    blob = Content(DATA * 16)  # more than socket buffers hold
    with client_of(server) as client:
        assert client.put_blob(repository, blob).status_code == 201
        with client.http.stream("GET", f"/v2/{repository}/blobs/{blob.digest}") as answer:
            pieces = answer.iter_raw(MEGABYTE)
            received = [next(pieces)]
            assert server.process is not None
            server.process.terminate()
            wait_until(lambda: turned_away(server), what="new requests to be turned away")
            received += pieces
    assert digest_of(b"".join(received)) == blob.digest
    assert server.wait() == 0, server.log


def test_a_request_that_never_ends_is_cut_off_after_the_timeout(
    start: Start, repository: str
) -> None:
    server = start(settings={"drain_timeout": "1"})
    with client_of(server) as client:
        location = client.open_upload(repository)
    message = request("PATCH", location, {**basic(), "Content-Length": "1000000"})
    with connect(server.address) as connection:
        connection.sendall(message + bytes(1000))
        server.stop()  # bounded by STOP_SECONDS; the status tells nothing here
    server.start()
    with client_of(server) as client:
        assert client.status(location).status_code == 204
        client.push(repository, small_image(repository), "1")


def test_idle_connections_do_not_hold_the_server_up(start: Start) -> None:
    server = start(settings={"drain_timeout": "60"})
    with connect(server.address) as silent, client_of(server) as client:
        assert client.http.get("/v2/").status_code == 200  # and stays open
        silent.sendall(b"GET /v2/ HTTP/1.1\r\n")
        assert server.stop() == 0, server.log


@pytest.mark.parametrize("workers", [1, 3])
def test_pushes_that_meet_a_shutdown_are_acknowledged_or_refused_but_never_lost(
    start: Start, repository: str, workers: int
) -> None:
    server = start(workers=workers)
    acknowledged: list[Content] = []
    refused = threading.Event()

    def push() -> None:
        number = 0
        with client_of(server) as client:
            while not refused.is_set():
                number += 1
                blob = Content(f"{threading.get_ident()} {number}".encode())
                try:
                    if client.put_blob(repository, blob).status_code != 201:
                        return
                except (httpx.TransportError, AssertionError):  # refused: it was not acknowledged
                    return
                acknowledged.append(blob)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 40, what="some pushes")
    assert server.stop() == 0, server.log
    refused.set()
    for thread in threads:
        thread.join(30)
    server.start()
    with client_of(server) as client:
        for blob in acknowledged:
            assert client.has_blob(repository, blob.digest), blob


def test_what_a_server_leads_is_free_as_soon_as_it_stopped(start: Start) -> None:
    server = start()

    def holders() -> list[str]:
        with closing(
            sqlite3.connect(f"file:{server.data / 'metadata.db'}?mode=ro", uri=True)
        ) as db:
            return [each for (each,) in db.execute("SELECT holder FROM jobs WHERE holder != ''")]

    for _ in range(3):
        wait_until(lambda: "takes the lead" in server.log, what="a worker to take the lead")
        server.stop()
        assert holders() == [], server.log
        server.log_file.unlink()
        server.start()
