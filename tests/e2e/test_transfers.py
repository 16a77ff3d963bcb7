"""Bytes of every size come in and go out whole, on plain HTTP and over TLS, in bounded memory."""

import random
import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.images import Content, digest_of
from tests.raw_http import connect, read_answer, request
from tests.registry_client import RegistryClient, basic, client_of, with_digest
from tests.server import Server, serving

KILOBYTE, MEGABYTE = 1 << 10, 1 << 20
SIZES = [0, 1, 1000, 64 * KILOBYTE - 1, 64 * KILOBYTE, 64 * KILOBYTE + 1, 256 * KILOBYTE,
         MEGABYTE + 1, 20 * MEGABYTE + 7]  # fmt: skip
NOISE = random.Random(7)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server(tmp_path_factory.mktemp("transfers") / "data", tls=True)) as running:
        yield running


@pytest.fixture(params=["http", "https"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[RegistryClient]:
    """A client on the plain port, then one on the TLS port that trusts the server's authority."""
    if request.param == "http":
        with client_of(server) as plain:
            yield plain
        return
    trust = ssl.create_default_context(cafile=str(server.authority))
    with RegistryClient(f"https://{server.tls_address}", verify=trust) as encrypted:
        yield encrypted


def in_pieces(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    """The data as a stream, which goes out in chunked transfer encoding."""
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_of_any_size_comes_in_by_every_way_and_goes_out_whole(
    client: RegistryClient, repository: str, size: int
) -> None:
    ways: dict[str, Callable[[str, Content], httpx.Response]] = {
        "one put": lambda location, blob: client.close_upload(location, blob.digest, blob.data),
        "a chunked put": lambda location, blob: client.http.put(
            with_digest(location, blob.digest), content=in_pieces(blob.data)
        ),
        "a stream": lambda location, blob: client.close_upload(
            client.append(location, in_pieces(blob.data)).headers["location"], blob.digest
        ),
        "one post": lambda _, blob: client.http.post(
            with_digest(f"/v2/{repository}/blobs/uploads/", blob.digest), content=blob.data
        ),
    }
    for way, send in ways.items():
        blob = Content(NOISE.randbytes(size))
        answer = send(client.open_upload(repository), blob)
        assert answer.status_code == 201, (way, answer.text)
        assert answer.headers["docker-content-digest"] == blob.digest
        received = client.http.get(answer.headers["location"])
        assert received.headers["content-length"] == str(size)
        assert digest_of(received.content) == blob.digest, way
        head = client.http.head(answer.headers["location"])
        assert (head.headers["content-length"], head.content) == (str(size), b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("100-199", 100, 199), ("3000000-", 3_000_000, 4_194_303),
     ("-1", 4_194_303, 4_194_303), ("-9999999", 0, 4_194_303), ("65535-1114113", 65_535, 1_114_113),
     ("4194303-9999999", 4_194_303, 4_194_303)],
)  # fmt: skip
def test_a_range_is_exactly_what_was_asked(
    client: RegistryClient, repository: str, asked: str, first: int, last: int
) -> None:
    blob = Content(random.Random(4).randbytes(4 * MEGABYTE))
    assert client.put_blob(repository, blob).status_code == 201
    answer = client.blob(repository, blob.digest, Range=f"bytes={asked}")
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(blob.data)}"
    assert answer.content == blob.data[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=4000-", "bytes=4000-5000", "bytes=-0"])
def test_a_range_outside_the_blob_cannot_be_satisfied(
    client: RegistryClient, repository: str, asked: str
) -> None:
    blob = Content(bytes(4000))
    assert client.put_blob(repository, blob).status_code == 201
    assert client.blob(repository, blob.digest, Range=asked).status_code == 416


def test_a_known_blob_is_not_sent_again(client: RegistryClient, repository: str) -> None:
    blob = Content(repository.encode())
    assert client.put_blob(repository, blob).status_code == 201
    tag = client.blob(repository, blob.digest).headers["etag"]
    answer = client.blob(repository, blob.digest, **{"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_uploads_and_downloads_take_turns_on_one_connection(
    server: Server, repository: str
) -> None:
    blobs = [Content(NOISE.randbytes(size)) for size in (10, 3 * MEGABYTE, 100_000)]
    with connect(server.address) as connection:
        for blob in blobs:
            target = with_digest(f"/v2/{repository}/blobs/uploads/", blob.digest)
            headers = {**basic(), "Content-Length": str(len(blob.data))}
            connection.sendall(request("POST", target, headers, blob.data))
            answer = read_answer(connection, "POST")
            assert answer is not None
            assert answer.status == 201
            connection.sendall(request("GET", f"/v2/{repository}/blobs/{blob.digest}", basic()))
            answer = read_answer(connection)
            assert answer is not None
            assert answer.body == blob.data


def test_a_client_that_waits_for_a_100_gets_one(server: Server, repository: str) -> None:
    blob = Content(repository.encode() * 100)
    target = with_digest(f"/v2/{repository}/blobs/uploads/", blob.digest)
    headers = {**basic(), "Content-Length": str(len(blob.data)), "Expect": "100-continue"}
    with connect(server.address) as connection:
        connection.sendall(request("POST", target, headers))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(blob.data)
        answer = read_answer(connection, "POST")
    assert answer is not None
    assert answer.status == 201


def test_a_refused_upload_is_refused_without_waiting_for_its_body(
    server: Server, repository: str
) -> None:
    target = f"/v2/{repository}/blobs/uploads/"
    headers = {"Content-Length": str(10**12), "Expect": "100-continue"}
    with connect(server.address) as connection:
        connection.sendall(request("POST", target, headers))
        answer = read_answer(connection, "POST")
    assert answer is not None
    assert answer.status == 401


def test_large_transfers_take_bounded_memory(server: Server, repository: str) -> None:
    piece = NOISE.randbytes(MEGABYTE)
    digest = digest_of(piece * 400)
    before = server.memory()
    with client_of(server) as client:
        location = client.append(
            client.open_upload(repository), (piece for _ in range(400))
        ).headers["location"]
        during = server.memory()
        assert client.close_upload(location, digest).status_code == 201
        with client.http.stream("GET", f"/v2/{repository}/blobs/{digest}") as answer:
            length = sum(len(each) for each in answer.iter_raw())
        assert length == 400 * MEGABYTE
        after = server.memory()
    assert during - before < 64 * MEGABYTE, (before, during)
    assert after - before < 64 * MEGABYTE, (before, after)
