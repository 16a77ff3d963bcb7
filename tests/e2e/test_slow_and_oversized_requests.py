"""Clients that send too much, too slowly, or nothing at all do not take the server from others.

Everything stays on loopback, and every wait ends.
"""

import contextlib
import resource
import selectors
import socket
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from tests.e2e.conftest import Start
from tests.images import Content, digest_of, small_image
from tests.raw_http import connect, exchange, read_answer, request
from tests.registry_client import RegistryClient, basic, client_of
from tests.server import Server, wait_until
from tests.tools import unavailable

CROWD = 10_000
MEGABYTE = 1 << 20
HEAD = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nX-Slow: "


@pytest.fixture
def many_files() -> Iterator[None]:
    """The right to open a connection for each of the crowd, here and in the server we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CROWD + 2000
    if hard != resource.RLIM_INFINITY and hard < needed:
        unavailable(f"only {hard} open files are allowed, {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class SlowCrowd:
    """Ten thousand connections, each with a request that never ends."""

    def __init__(self, address: str, opening: bytes) -> None:
        self._selector = selectors.DefaultSelector()
        self._open = 0
        for _ in range(CROWD):
            connection = connect(address)
            connection.sendall(opening)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)
            self._open += 1

    def drip(self) -> None:
        """One more byte on every connection that is still open."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            try:
                key.fileobj.send(b"x")
            except BlockingIOError:
                continue
            except OSError:
                self._forget(key.fileobj)

    def open_connections(self) -> int:
        """How many the server has not closed; it may have answered before it closed."""
        for key, _ in self._selector.select(timeout=0):
            assert isinstance(key.fileobj, socket.socket)
            with contextlib.suppress(BlockingIOError):
                try:
                    if key.fileobj.recv(4096):
                        continue
                except ConnectionError:
                    pass
                self._forget(key.fileobj)
        return self._open

    def dripped_dry(self) -> bool:
        """Drip once more; whether no connection is left to drip on."""
        self.drip()
        return not self.open_connections()

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            self._forget(key.fileobj)
        self._selector.close()

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        self._open -= 1


@pytest.mark.usefixtures("many_files")
def test_ten_thousand_slow_connections_take_nothing_from_others(
    start: Start, repository: str
) -> None:
    server = start(settings={"headers_timeout": "8"})
    image = small_image(repository)
    with client_of(server) as client:
        client.push(repository, image, "1")
        levels = []
        for _ in range(2):
            with contextlib.closing(SlowCrowd(server.address, HEAD)) as crowd:
                crowd.drip()
                client.pull(repository, image, "1")
                with client_of(server) as newcomer:  # on a connection of its own
                    newcomer.pull(repository, image, "1")
                # a byte now and then does not buy more time: the whole header has a deadline
                wait_until(crowd.dripped_dry, seconds=90, what="slow connections to be closed")
                client.push(f"{repository}-after", image, "1")
            levels.append(server.memory())
        # what the first crowd took is used again for the second one
        assert levels[1] - levels[0] < 32 * MEGABYTE, levels
    assert "Traceback" not in server.log, server.log


@pytest.mark.usefixtures("many_files")
def test_ten_thousand_idle_connections_take_nothing_from_others(
    start: Start, repository: str
) -> None:
    server = start(settings={"headers_timeout": "8", "idle_timeout": "8"})
    image = small_image(repository)
    with contextlib.closing(SlowCrowd(server.address, b"")) as crowd, client_of(server) as client:
        client.push(repository, image, "1")
        client.pull(repository, image, "1")
        wait_until(lambda: not crowd.open_connections(), seconds=90, what="idle ones to be closed")


def test_a_stalled_upload_ends_and_can_be_resumed(start: Start, repository: str) -> None:
    server = start(settings={"stall_timeout": "1"})
    data = bytes(100_000)
    with client_of(server) as client:
        location = client.open_upload(repository)
        message = request("PATCH", location, {**basic(), "Content-Length": str(len(data))})
        with connect(server.address) as connection:
            connection.sendall(message + data[:70_000])
            answer = read_answer(connection, "PATCH")  # or the connection just ends
            assert answer is None or answer.status == 408
        received = client.received(location)
        assert received == 70_000
        assert client.append(location, data[received:], "70000-99999").status_code == 202
        assert client.close_upload(location, digest_of(data)).status_code == 201


def test_readers_that_stop_reading_are_dropped_and_hold_no_one_up(
    start: Start, repository: str
) -> None:
    server = start(settings={"stall_timeout": "1"})
    blob = Content(bytes(64 * MEGABYTE))
    with client_of(server) as client, contextlib.ExitStack() as stack:
        assert client.put_blob(repository, blob).status_code == 201
        at_rest = sockets_of(server)
        target = f"/v2/{repository}/blobs/{blob.digest}"
        for _ in range(200):
            connection = stack.enter_context(connect(server.address))
            connection.sendall(request("GET", target, basic()))
        assert client.blob(repository, blob.digest).content == blob.data
        client.push(repository, small_image(repository), "1")
        wait_until(lambda: sockets_of(server) <= at_rest, what="stalled readers to be dropped")


def sockets_of(server: Server) -> int:
    """How many sockets the workers have open."""
    return sum(name.startswith("socket:") for name in server.open_files())


OVERSIZED = {
    "one long header": {"X-Long": "x" * 200_000},
    "many headers": {f"X-Header-{number}": "x" * 50 for number in range(3000)},
    "a long name": {"X" * 200_000: "x"},
    "a long cookie": {"Cookie": "x" * 100_000},
    "a long authorization": {"Authorization": "Bearer " + "x" * 200_000},
}


@pytest.mark.parametrize("headers", OVERSIZED.values(), ids=OVERSIZED.keys())
def test_headers_beyond_the_limit_are_refused(
    server: Server, api: RegistryClient, headers: dict[str, str]
) -> None:
    answer = exchange(server.address, request("GET", "/v2/", headers))
    assert answer is not None
    assert answer.status == 431


def test_a_target_beyond_the_limit_is_refused(server: Server, api: RegistryClient) -> None:
    answer = exchange(server.address, request("GET", "/v2/" + "x" * 300_000))
    assert answer is not None
    assert answer.status in (414, 431)


def test_headers_below_the_limit_are_read(server: Server, api: RegistryClient) -> None:
    headers = {**basic(), **{f"X-Header-{number}": "x" * 100 for number in range(100)}}
    answer = exchange(server.address, request("GET", "/v2/", headers))
    assert answer is not None
    assert answer.status == 200


NO_HTTP = {
    "noise": bytes(range(256)) * 20,
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "no version": b"GET /v2/\r\n\r\n",
    "HTTP/9": b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2 greeting": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "blank in a header name": b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n",
    "folded header": b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "NUL in a header": b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "bytes above ASCII in a path": b"GET /v2/a/\xc3\xa9/tags/list HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad chunk size": b"PATCH /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "two lengths": b"PUT /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("message", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http_is_refused_or_cut_off(
    server: Server, api: RegistryClient, message: bytes
) -> None:
    answer = exchange(server.address, message + b"\r\n\r\n")
    assert answer is None or 400 <= answer.status < 500 or answer.status == 505


def test_requests_on_one_connection_are_answered_in_order(
    server: Server, api: RegistryClient, repository: str
) -> None:
    for tag in ("1", "2", "3"):
        api.push(repository, small_image(tag), tag)
    targets = [f"/v2/{repository}/manifests/{tag}" for tag in ("1", "2", "3", "none", "1")]
    expected = [200, 200, 200, 404, 200]
    with connect(server.address) as connection:
        connection.sendall(b"".join(request("GET", target, basic()) for target in targets))
        # one reader for all: each answer's own reader would swallow the start of the next
        stream = connection.makefile("rb")
        statuses = [_next_status(stream) for _ in targets]
    assert statuses == expected


def _next_status(stream: BinaryIO) -> int:
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    stream.read(length)
    return status
