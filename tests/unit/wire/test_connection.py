"""HTTP/1.1 on real sockets: keeping connections, pipelining, framing, expectations, endings."""

import contextlib
import hashlib
import http.client
import io
import select
import socket
import ssl
import time
from typing import Any

import pytest

from tests import raw_http
from tests.raw_http import request
from tests.unit.wire.conftest import Running, Serve, until
from tidegate.wire.limits import Limits

BODY = bytes(range(256)) * 4000  # 1 MB
DIGEST = hashlib.sha256(BODY).hexdigest().encode()
EXPECT = {"Expect": "100-continue"}


def chunked(body: bytes, size: int = 32768) -> bytes:
    """As Go's clients send it."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def put(target: str, body: bytes, **headers: str) -> bytes:
    return request("PUT", target, {"Content-Length": str(len(body)), **headers}, body)


def put_chunked(target: str, body: bytes) -> bytes:
    return request("PUT", target, {"Transfer-Encoding": "chunked"}, chunked(body))


class Incoming(io.RawIOBase):
    """What a socket receives; unlike its `makefile`, it does not keep the socket open."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.recv_into(buffer)


class Conversation:
    """Several answers on one connection."""

    def __init__(self, connection: socket.socket | io.BytesIO) -> None:
        incoming = connection if isinstance(connection, io.BytesIO) else Incoming(connection)
        self._read = io.BufferedReader(incoming, 1 << 18)

    def makefile(self, mode: str) -> object:
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self._read, name)

    def close(self) -> None:
        """An answer that was read closes its file, not ours."""

    def answer(self, method: str = "GET") -> raw_http.RawAnswer:
        received = raw_http.read_answer(self, method)  # type: ignore[arg-type]
        assert received is not None
        return received

    def ended(self) -> bool:
        try:
            return self._read.read() == b""
        except (ConnectionResetError, ssl.SSLError):  # an alert is an end too
            return True


@pytest.mark.parametrize("path", ["/into", "/messages"])
@pytest.mark.parametrize("encode", [put, put_chunked])
def test_a_body_arrives_whole_and_the_connection_goes_on(
    server: Running, path: str, encode: object
) -> None:
    with server.connect() as connection:
        talk = Conversation(connection)
        for body in (BODY, b"", b"x", BODY[:65536], BODY):
            connection.sendall(encode(path, body))  # type: ignore[operator]
            received = talk.answer()
            assert received.status == 201
            assert received.body == hashlib.sha256(body).hexdigest().encode()
        connection.sendall(request("GET", "/hello"))
        assert talk.answer().body == b"hello"


def test_requests_pipelined_behind_bodies_are_answered_in_order(server: Running) -> None:
    with server.connect() as connection:
        messages = [
            request("GET", "/hello"), put_chunked("/into", BODY), request("GET", "/hello"),
            put("/into", BODY), put_chunked("/messages", BODY[:100]), put("/messages", b""),
            request("GET", "/download?count=100000"), put_chunked("/into", b"abc"),
            request("GET", "/hello", {"Connection": "close"}),
        ]  # fmt: skip
        answers = io.BytesIO(sent_and_received(connection, b"".join(messages)))
        talk = Conversation(answers)
        statuses = [(received := talk.answer()).status for _ in messages]
        assert statuses == [200, 201, 200, 201, 201, 201, 200, 201, 200]
        assert received.body == b"hello"


def test_many_pipelined_requests_are_answered(server: Running) -> None:
    with server.connect() as connection:
        talk = Conversation(connection)
        connection.sendall(request("GET", "/hello") * 500)
        for _ in range(500):
            assert talk.answer().body == b"hello"


def test_a_request_may_come_byte_by_byte(server: Running) -> None:
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index, byte in enumerate(message := put_chunked("/into", b"some bytes")):
            connection.sendall(bytes([byte]))
            if index % 16 == 0:
                time.sleep(0.001)
        assert len(message) > 16
        received = Conversation(connection).answer()
        assert received.body == hashlib.sha256(b"some bytes").hexdigest().encode()


@pytest.mark.parametrize("path", ["/into", "/messages"])
@pytest.mark.parametrize("encode", [put, put_chunked])
def test_a_client_that_expects_it_is_told_to_continue_before_its_body_is_read(
    server: Running, path: str, encode: object
) -> None:
    with server.connect() as connection:
        message: bytes = encode(path, BODY)  # type: ignore[operator]
        head, _, body = message.partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(interim)) == interim
        connection.sendall(body)
        talk = Conversation(connection)
        assert talk.answer().body == DIGEST
        connection.sendall(request("GET", "/hello"))
        assert talk.answer().body == b"hello"


def test_a_client_that_does_not_wait_for_continue_loses_nothing(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(put("/into", BODY, **EXPECT))
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(interim)) == interim
        assert Conversation(connection).answer().body == DIGEST


def test_a_refused_client_that_waits_to_continue_gets_only_the_final_answer(
    server: Running,
) -> None:
    head = request("PATCH", "/refuse", {"Content-Length": "99999999", **EXPECT})
    with server.connect() as connection:
        connection.sendall(head)
        talk = Conversation(connection)
        received = talk.answer()
        assert (received.status, received.headers["connection"]) == (401, "close")
        assert talk.ended()


@pytest.mark.parametrize("path", ["/refuse", "/into?limit=1000", "/into?capacity=200000"])
@pytest.mark.parametrize("encode", [put, put_chunked])
def test_an_early_answer_reaches_a_client_that_is_still_sending(
    server: Running, path: str, encode: object
) -> None:
    status = {"/refuse": 401, "/into?limit=1000": 413}.get(path, 507)
    smuggled = request("GET", "/hello") * 30_000
    with server.connect() as connection:
        message: bytes = encode(path, BODY + smuggled)  # type: ignore[operator]
        received = sent_and_received(connection, message)
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nconnection: close\r\n" in received
        assert received.count(b"HTTP/1.1") == 1
    assert server.application.calls == 1


def sent_and_received(connection: socket.socket, message: bytes) -> bytes:
    """Everything the server says until it closes, while it is being sent `message`."""
    connection.setblocking(False)
    unsent, received = memoryview(message), bytearray()
    while True:
        writing = [connection] if unsent else []
        select.select([connection], writing, [], 10)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while part := connection.recv(65536):
                received += part
            return bytes(received)
        try:
            unsent = unsent[connection.send(unsent[:65536]) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except OSError:
            unsent = memoryview(b"")


def send_what_can_be_sent(connection: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(message)


def test_a_little_unread_body_is_discarded_and_the_connection_kept(server: Running) -> None:
    with server.connect() as connection:
        talk = Conversation(connection)
        connection.sendall(put("/refuse", b"GET /crash HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert talk.answer().status == 401
        head, _, body = put("/refuse", b"y" * 5000).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert talk.answer().status == 401
        connection.sendall(body + request("GET", "/hello"))
        assert talk.answer().body == b"hello"
    assert server.application.calls == 3


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (put("/into", b"abc", **{"Transfer-Encoding": "chunked"}), 400),
        (put("/into", b"abc", **{"content-length": "4"}), 400),
        (b"PUT /into HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"PUT /into HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        (b"PUT /into HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_trusted_is_refused_and_nothing_behind_it_is_read(
    serve: Serve, message: bytes, status: int
) -> None:
    server = serve()
    with server.connect() as connection:
        connection.sendall(message + request("GET", "/hello"))
        talk = Conversation(connection)
        received = talk.answer()
        assert (received.status, received.headers["connection"]) == (status, "close")
        assert received.headers["content-type"] == "text/plain"
        assert talk.ended()
    assert server.application.calls == 0
    assert server.get("/hello").status == 200


@pytest.mark.parametrize("path", ["/into", "/messages"])
@pytest.mark.parametrize("start", [b"", b"5\r\nabcde\r\n", chunked(BODY)[:-5]])
def test_a_malformed_chunk_ends_the_connection_and_the_application_learns_of_it(
    server: Running, path: str, start: bytes
) -> None:
    with server.connect() as connection:
        head = request("PUT", path, {"Transfer-Encoding": "chunked"})
        send_what_can_be_sent(connection, head + start + b"zz\r\n" + request("GET", "/hello"))
        talk = Conversation(connection)
        received = talk.answer()
        assert (received.status, received.headers["connection"]) == (400, "close")
        assert talk.ended()
    until(lambda: server.connections == 0)
    assert server.application.calls == 1


@pytest.mark.parametrize("path", ["/into", "/messages"])
@pytest.mark.parametrize("encode", [put, put_chunked])
@pytest.mark.parametrize("arrived", [10, 500_000])
def test_a_client_that_leaves_within_its_body_leaves_what_it_sent(
    server: Running, path: str, encode: object, arrived: int
) -> None:
    message: bytes = encode(path, BODY)  # type: ignore[operator]
    head, _, body = message.partition(b"\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(head + b"\r\n\r\n" + body[:arrived])
        if path == "/into":
            until(lambda: server.application.sinks)
        socket.socket.shutdown(connection, socket.SHUT_WR)
        assert Conversation(connection).ended()
    until(lambda: server.connections == 0)
    (sink,) = server.application.sinks
    expected = arrived if encode is put else arrived - 2 * (arrived // 32768) - arrived // 100
    if path == "/into":
        assert BODY.startswith(sink.content)
        assert len(sink.content) >= min(expected, arrived) - 40
        until(
            lambda: [type(error).__name__ for error in server.application.raised] == ["ClientGone"]
        )


def test_an_application_that_waits_learns_that_the_client_has_left(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(request("GET", "/watch"))
        server.application.entered.acquire(timeout=10)
    until(lambda: [str(error) for error in server.application.raised] == ["http.disconnect"])


@pytest.mark.parametrize("query", ["", "?started=1"])
def test_a_crash_before_the_first_byte_is_a_clean_500_without_detail(
    server: Running, query: str
) -> None:
    received = server.get("/crash" + query)
    assert (received.status, received.headers["connection"]) == (500, "close")
    assert b"secret" not in received.body


@pytest.mark.parametrize("target", ["/crash?started=1&sent=1", "/overlong"])
def test_a_failure_within_the_answer_ends_the_connection_and_adds_nothing(
    server: Running, target: str
) -> None:
    with server.connect() as connection:
        connection.sendall(request("GET", target))
        received = http.client.HTTPResponse(connection)
        received.begin()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as incomplete:
            received.read()
        if isinstance(incomplete.value, http.client.IncompleteRead):
            assert incomplete.value.partial in (b"half", b"12345", b"")


def test_an_application_that_forgets_to_answer_is_a_500(server: Running) -> None:
    assert server.get("/silent").status == 500


@pytest.mark.parametrize("value", ["a%0d%0ab:c", "a%0ab", "a%00", "a%0d"])
def test_a_field_with_a_line_break_becomes_a_500(server: Running, value: str) -> None:
    received = server.get(f"/inject?value={value}")
    assert received.status == 500
    assert "b" not in received.headers


@pytest.mark.parametrize(
    "target", ["/hello", "/download?count=1000", "/download", "/stream?parts=3"]
)
def test_head_is_answered_with_no_body(server: Running, target: str) -> None:
    with server.connect() as connection:
        talk = Conversation(connection)
        connection.sendall(request("HEAD", target) + request("GET", "/hello"))
        assert talk.answer("HEAD").status == 200
        assert talk.answer().body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_has_none(server: Running, status: int) -> None:
    with server.connect() as connection:
        talk = Conversation(connection)
        connection.sendall(request("GET", f"/empty?status={status}") + request("GET", "/hello"))
        received = talk.answer()
        assert received.status == status
        assert "transfer-encoding" not in received.headers
        assert talk.answer().body == b"hello"


def test_a_stream_without_length_is_chunked_and_for_http_1_0_ends_with_the_connection(
    server: Running,
) -> None:
    streamed = server.get("/stream?parts=3")
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert streamed.body == b"0,1,2,end"
    old = server.exchange(b"GET /stream?parts=3 HTTP/1.0\r\n\r\n")
    assert old is not None
    assert "transfer-encoding" not in old.headers
    assert (old.body, old.headers["connection"]) == (b"0,1,2,end", "close")


def test_a_connection_that_asks_to_be_closed_is_closed(server: Running) -> None:
    with server.connect() as connection:
        talk = Conversation(connection)
        connection.sendall(request("GET", "/hello", {"Connection": "close"}))
        assert talk.answer().headers["connection"] == "close"
        assert talk.ended()


def test_the_scope_is_what_asgi_says(server: Running) -> None:
    received = server.get("/scope?a=b%20c")
    shown = eval(received.body)
    assert shown["query_string"] == b"a=b%20c"
    assert (shown["path"], shown["raw_path"], shown["root_path"]) == ("/scope", b"/scope", "")
    assert shown["headers"] == [(b"host", b"registry.test")]
    assert shown["client"][0] == "127.0.0.1"
    assert shown["server"] == ("127.0.0.1", server.port)
    assert shown["asgi"]["version"] == "3.0"


@pytest.mark.parametrize("tls", [False, True])
def test_requests_in_flight_end_when_the_server_stops(serve: Serve, tls: bool) -> None:
    server = serve(tls=tls)
    with server.connect() as busy, server.connect() as idle:
        resting = Conversation(idle)
        idle.sendall(request("GET", "/hello"))
        resting.answer()
        busy.sendall(request("GET", "/wait") + request("GET", "/hello"))
        server.application.entered.acquire(timeout=10)
        server.server.should_exit = True
        assert resting.ended()
        server.application.released.set()
        talk = Conversation(busy)
        received = talk.answer()
        assert (received.body, received.headers["connection"]) == (b"released", "close")
        assert talk.ended()
    until(lambda: server.connections == 0)


def test_beyond_the_limit_connections_are_told_so_and_then_dropped(serve: Serve) -> None:
    server = serve(Limits(connections=5, linger_timeout=1.0))
    held = [server.connect() for _ in range(5)]
    until(lambda: server.connections == 5)
    received = server.exchange(b"")
    assert received is not None
    assert (received.status, received.headers["connection"]) == (503, "close")
    crowd = [server.connect() for _ in range(300)]
    answered = [raw_http.read_answer(each) for each in crowd]
    assert None in answered
    for each in held + crowd:
        each.close()
    until(lambda: server.connections == 0)
    assert server.get("/hello").status == 200
