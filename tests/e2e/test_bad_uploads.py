"""Uploads that are wrong: each gets the right status and code, and the server stays healthy."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.images import Content, digest_of
from tests.raw_http import connect, read_answer, request
from tests.registry_client import RegistryClient, basic, error_codes, with_digest
from tests.server import Server, wait_until

DATA = b"the tide waits for no one" * 40
BLOB = Content(DATA)
NOBODYS = digest_of(b"never pushed")
BAD_DIGESTS = [
    "sha256:short",
    "sha256:" + "A" * 64,
    "sha256:" + "g" * 64,
    "md5:" + "0" * 32,
    "sha512:" + "0" * 64,
    "0" * 64,
    "sha256:" + "0" * 65,
    "sha256:../../../etc/passwd",
    "",
]


def held(api: RegistryClient, repository: str, data: bytes = DATA) -> str:
    """An upload that has received `data`."""
    answer = api.append(api.open_upload(repository), data)
    assert answer.status_code == 202
    return answer.headers["location"]


def test_a_digest_that_does_not_match_is_refused_and_nothing_is_stored(
    api: RegistryClient, repository: str
) -> None:
    answer = api.close_upload(api.open_upload(repository), NOBODYS, DATA)
    assert answer.status_code == 400
    assert error_codes(answer) == ["DIGEST_INVALID"]
    for digest in (NOBODYS, BLOB.digest):
        assert not api.has_blob(repository, digest)


def test_a_single_post_with_a_digest_that_does_not_match_is_refused(
    api: RegistryClient, repository: str
) -> None:
    target = with_digest(f"/v2/{repository}/blobs/uploads/", NOBODYS)
    answer = api.http.post(target, content=DATA)
    assert answer.status_code == 400
    assert error_codes(answer) == ["DIGEST_INVALID"]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_a_digest_that_is_none_is_refused_and_the_upload_stays(
    api: RegistryClient, repository: str, digest: str
) -> None:
    location = held(api, repository)
    answer = api.http.put(location, params={"digest": digest})
    assert answer.status_code == 400
    assert error_codes(answer) == ["DIGEST_INVALID"]
    assert api.received(location) == len(DATA)


def test_a_closing_put_without_a_digest_is_refused_and_the_upload_stays(
    api: RegistryClient, repository: str
) -> None:
    location = held(api, repository)
    answer = api.http.put(location)
    assert answer.status_code == 400
    assert error_codes(answer) == ["DIGEST_INVALID"]
    assert api.close_upload(location, BLOB.digest).status_code == 201


@pytest.mark.parametrize("content_range", ["0-998", "0-1000", "0-0"])
def test_a_length_other_than_the_content_range_says_is_refused(
    api: RegistryClient, repository: str, content_range: str
) -> None:
    location = api.open_upload(repository)
    answer = api.append(location, DATA, content_range)  # DATA has 1000 bytes
    assert answer.status_code == 400
    assert error_codes(answer) == ["SIZE_INVALID"]


def test_a_stream_longer_than_its_content_range_is_refused(
    api: RegistryClient, repository: str
) -> None:
    location = api.open_upload(repository)
    answer = api.append(location, iter([DATA, DATA]), "0-999")
    assert answer.status_code in (400, 413)
    assert error_codes(answer) == ["SIZE_INVALID"]


@pytest.mark.parametrize("start", [0, 1, 999, 1001, 5000, 10**18])
def test_a_chunk_out_of_order_is_refused_and_the_right_one_goes_on(
    api: RegistryClient, repository: str, start: int
) -> None:
    location = held(api, repository)
    answer = api.append(location, DATA, f"{start}-{start + len(DATA) - 1}")
    assert answer.status_code == 416
    assert error_codes(answer) == ["RANGE_INVALID"]
    assert api.received(location) == len(DATA)
    assert api.append(location, DATA, "1000-1999").status_code == 202
    assert api.close_upload(location, digest_of(DATA + DATA)).status_code == 201


def test_a_closing_chunk_out_of_order_is_refused_and_the_upload_stays(
    api: RegistryClient, repository: str
) -> None:
    location = held(api, repository)
    answer = api.close_upload(location, digest_of(DATA + DATA), DATA, "0-999")
    assert answer.status_code == 416
    closed = api.close_upload(location, digest_of(DATA + DATA), DATA, "1000-1999")
    assert closed.status_code == 201


@pytest.mark.parametrize("content_range", ["bytes 0-999", "0-", "-999", "a-b", "999-0", "0-999/*"])
def test_a_content_range_that_is_none_is_refused(
    api: RegistryClient, repository: str, content_range: str
) -> None:
    location = api.open_upload(repository)
    answer = api.append(location, DATA, content_range)
    assert answer.status_code in (400, 416)
    error_codes(answer)
    assert api.append(location, DATA, "0-999").status_code == 202


def test_a_truncated_body_leaves_an_upload_that_goes_on(
    server: Server, api: RegistryClient, repository: str
) -> None:
    location = api.open_upload(repository)
    whole = request("PATCH", location, {**basic(), "Content-Length": str(len(DATA))}, DATA[:600])
    with connect(server.address) as connection:
        connection.sendall(whole)
    wait_until(
        lambda: api.status(location).headers["range"] == "0-599",
        what="what arrived before the end to count",
    )
    assert api.append(location, DATA[600:], "600-999").status_code == 202
    assert api.close_upload(location, BLOB.digest).status_code == 201


def test_a_truncated_closing_put_stores_nothing(
    server: Server, api: RegistryClient, repository: str
) -> None:
    blob = Content(repository.encode() * 100)
    target = with_digest(api.open_upload(repository), blob.digest)
    headers = {**basic(), "Content-Length": str(len(blob.data))}
    with connect(server.address) as connection:
        connection.sendall(request("PUT", target, headers, blob.data[:600]))
    assert not api.has_blob(repository, blob.digest)
    assert not [path for path in server.files("blobs") if path.name in blob.digest]


def test_a_truncated_chunked_body_is_no_end_of_the_body(
    server: Server, api: RegistryClient, repository: str
) -> None:
    location = api.open_upload(repository)
    chunk = b"%x\r\n%b\r\n" % (len(DATA), DATA)  # and no last chunk
    whole = request(
        "PUT",
        with_digest(location, BLOB.digest),
        {**basic(), "Transfer-Encoding": "chunked"},
        chunk,
    )
    with connect(server.address) as connection:
        connection.sendall(whole)
    assert not api.has_blob(repository, BLOB.digest)


@pytest.mark.parametrize(
    "framing",
    [
        {"Content-Length": "10", "Transfer-Encoding": "chunked"},
        {"Content-Length": "-1"},
        {"Content-Length": "1e3"},
        {"Content-Length": "99999999999999999999"},
        {"Transfer-Encoding": "gzip"},
        {"Transfer-Encoding": "identity, chunked"},
    ],
)
def test_a_body_of_unclear_length_is_refused(
    server: Server, api: RegistryClient, repository: str, framing: dict[str, str]
) -> None:
    location = api.open_upload(repository)
    with connect(server.address) as connection:
        connection.sendall(request("PATCH", location, {**basic(), **framing}, b"0\r\n\r\n"))
        answer = read_answer(connection, "PATCH")
    assert answer is None or 400 <= answer.status < 500 or answer.status == 501
    assert api.status(location).status_code == 204


@pytest.mark.parametrize(
    "location",
    [
        "/v2/{repository}/blobs/uploads/00000000000000000000000000000000",
        "/v2/{repository}/blobs/uploads/ffffffffffffffffffffffffffffffff",
        "/v2/{repository}/blobs/uploads/x",
        "/v2/{repository}/blobs/uploads/..",
        "/v2/{repository}/blobs/uploads/..%2f..%2fmetadata.db",
        "/v2/{repository}/blobs/uploads/%2e%2e",
        "/v2/{repository}/blobs/uploads/%00",
        "/v2/{repository}/blobs/uploads/" + "a" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_a_forged_upload_location_is_unknown(
    server: Server, api: RegistryClient, repository: str, location: str, method: str
) -> None:
    target = location.format(repository=repository)
    if method == "PUT":
        target = with_digest(target, BLOB.digest)
    with connect(server.address) as connection:
        connection.sendall(request(method, target, {**basic(), "Content-Length": "0"}))
        answer = read_answer(connection, method)
    assert answer is not None
    assert answer.status in (400, 404, 405), answer
    assert b'"code"' in answer.body


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_of_another_repository_is_unknown_and_stays_untouched(
    api: RegistryClient, repository: str, method: str
) -> None:
    location = held(api, repository)
    elsewhere = location.replace(repository, f"{repository}-other")
    answer = api.http.request(method, with_digest(elsewhere, BLOB.digest))
    assert answer.status_code == 404
    assert error_codes(answer)[0] in ("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID")
    assert api.received(location) == len(DATA)
    assert not api.has_blob(f"{repository}-other", BLOB.digest)


def test_a_cancelled_upload_is_unknown_to_every_further_request(
    api: RegistryClient, repository: str
) -> None:
    location = held(api, repository)
    assert api.http.delete(location).status_code == 204
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = api.http.request(method, with_digest(location, BLOB.digest))
        assert answer.status_code == 404, method


def test_an_ended_upload_is_unknown_and_its_blob_stays(
    api: RegistryClient, repository: str
) -> None:
    location = held(api, repository)
    assert api.close_upload(location, BLOB.digest).status_code == 201
    assert api.close_upload(location, BLOB.digest).status_code == 404
    assert api.http.delete(location).status_code == 404
    assert api.blob(repository, BLOB.digest).content == DATA


def test_two_writers_of_one_upload_never_mix_their_bytes(
    api: RegistryClient, repository: str
) -> None:
    location = api.open_upload(repository)
    size = 2_000_000

    def write(letter: bytes) -> int:
        with RegistryClient(api.url) as client:
            return client.append(location, letter * size, f"0-{size - 1}").status_code

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(write, (b"a", b"b"), timeout=60))
    assert first == 202
    assert second in (409, 416)
    assert api.received(location) == size
    codes = [
        api.close_upload(location, digest_of(letter * size)).status_code for letter in (b"a", b"b")
    ]
    assert 201 in codes or codes == [400, 404]  # a wrong digest may end the session


@pytest.mark.parametrize("algorithm", ["sha1", "md5", "sha256x", "../x", ""])
def test_a_digest_algorithm_that_is_none_is_refused(
    api: RegistryClient, repository: str, algorithm: str
) -> None:
    answer = api.http.post(
        f"/v2/{repository}/blobs/uploads/", params={"digest-algorithm": algorithm}
    )
    assert answer.status_code in (400, 202)  # an empty hint is no hint
    if algorithm:
        assert error_codes(answer) == ["DIGEST_INVALID"]
