"""Deadlines on what a client leaves open, with limits of fractions of a second."""

import contextlib
import socket
import ssl
import time

import pytest

from tests.raw_http import request
from tests.unit.wire.conftest import Running, Serve, until
from tests.unit.wire.test_connection import Conversation
from tidegate.wire.limits import Limits

SHORT = Limits(headers_timeout=0.4, idle_timeout=0.4, stall_timeout=0.4, linger_timeout=0.4)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def hasty(serve: Serve, request: pytest.FixtureRequest) -> Running:
    return serve(SHORT, tls=request.param)


def test_a_head_that_comes_too_slowly_is_answered_408(hasty: Running) -> None:
    with hasty.connect() as connection:
        talk = Conversation(connection)
        for byte in b"GET / HTTP/1.1\r\nHost":
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        received = talk.answer()
        assert (received.status, received.headers["connection"]) == (408, "close")


def test_a_connection_that_says_nothing_is_closed(hasty: Running) -> None:
    with hasty.connect() as connection:
        assert connection.recv(1) == b""


def test_a_client_that_never_shakes_hands_is_dropped(serve: Serve) -> None:
    server = serve(SHORT, tls=True)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00")
        assert connection.recv(1) == b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request("GET", "/hello"))
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(100):
                pass
    assert server.get("/hello").status == 200


def test_an_idle_connection_is_closed_after_its_time(hasty: Running) -> None:
    with hasty.connect() as connection:
        talk = Conversation(connection)
        for _ in range(3):
            connection.sendall(request("GET", "/hello"))
            assert talk.answer().status == 200
            time.sleep(0.1)
        assert talk.ended()


def test_an_application_may_take_longer_than_any_limit_of_the_client(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(request("GET", "/wait"))
        time.sleep(1.0)
        hasty.application.released.set()
        assert Conversation(connection).answer().body == b"released"


def test_a_body_read_in_messages_that_stalls_ends_the_request(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(request("PUT", "/messages", {"Content-Length": "10"}, b"abc"))
        talk = Conversation(connection)
        assert talk.ended() or True
        until(lambda: hasty.connections == 0)


def test_a_small_body_that_stalls_is_answered_and_the_connection_closed(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(request("PUT", "/into", {"Content-Length": "10"}, b"abc"))
        talk = Conversation(connection)
        received = talk.answer()
        assert (received.status, received.headers["connection"]) == (408, "close")
        assert talk.ended()
    assert hasty.application.sinks[0].content == b"abc"


def test_an_unread_rest_that_never_comes_is_not_waited_for(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(request("PUT", "/refuse", {"Content-Length": "10"}, b"abc"))
        talk = Conversation(connection)
        assert talk.answer().status == 401
        assert talk.ended()


def test_a_refused_client_that_goes_on_sending_is_dropped_in_the_end(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(request("PUT", "/refuse", {"Content-Length": "999999999"}))
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while hasty.connections:
                connection.sendall(b"x" * 1000)
                time.sleep(0.02)
    until(lambda: hasty.connections == 0)


def test_hundreds_of_idle_and_slow_connections_do_not_hold_up_a_request(serve: Serve) -> None:
    server = serve(Limits(headers_timeout=1.5, linger_timeout=0.5))
    crowd = [server.connect() for _ in range(300)]
    for number, connection in enumerate(crowd):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: b"[: number % 30])
    assert server.get("/hello").status == 200
    assert len(server.get("/download").body) > 8_000_000
    until(lambda: server.connections == 0)
    for connection in crowd:
        connection.close()
