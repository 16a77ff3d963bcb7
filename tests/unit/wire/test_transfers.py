"""Large bodies in both directions: exact bytes, slow and vanishing peers, few threads."""

import contextlib
import hashlib
import os
import random
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import raw_http
from tests.raw_http import request
from tests.unit.wire.conftest import FILE_BYTES, Kept, Running, Serve, until
from tests.unit.wire.test_connection import Conversation, chunked, put
from tidegate.wire.limits import Limits


def test_any_part_of_a_file_is_sent_exactly_to_many_clients_at_once(
    server: Running, content: bytes
) -> None:
    def pull(seed: int) -> None:
        chance = random.Random(seed)
        with server.connect() as connection:
            talk = Conversation(connection)
            for _ in range(6):
                offset = chance.randrange(FILE_BYTES)
                limit = chance.choice([1, 100, 65_536, 65_537, 300_000, FILE_BYTES])
                count = min(chance.randint(0, limit), FILE_BYTES - offset)
                connection.sendall(request("GET", f"/download?offset={offset}&count={count}"))
                assert talk.answer().body == content[offset : offset + count]

    with ThreadPoolExecutor(12) as clients:
        list(clients.map(pull, range(12)))


def test_clients_killed_while_they_read_do_not_disturb_the_others(
    server: Running, content: bytes
) -> None:
    def pull(seed: int) -> None:
        for _ in range(4):
            connection = server.connect()
            connection.sendall(request("GET", "/download"))
            if seed % 2:
                connection.recv(random.Random(seed).randint(1, 200_000))
                reset(connection)
            else:
                assert Conversation(connection).answer().body == content
                connection.close()

    with ThreadPoolExecutor(12) as clients:
        list(clients.map(pull, range(12)))
    until(lambda: server.connections == 0)
    assert server.get("/hello").status == 200


def reset(connection: socket.socket) -> None:
    """Vanish without a farewell."""
    linger = struct.pack("ii", 1, 0)
    socket.socket.setsockopt(connection, socket.SOL_SOCKET, socket.SO_LINGER, linger)
    socket.socket.close(connection)


def test_files_and_text_mix_in_an_answer_without_a_length(server: Running, content: bytes) -> None:
    expected = content[10:200_010] + b"between" + content[-100_000:]
    assert server.get("/zerocopy").body == expected


@pytest.mark.parametrize("count", [1000, 500_000])
def test_a_file_shorter_than_promised_ends_the_connection(server: Running, count: int) -> None:
    with server.connect() as connection:
        target = f"/download?offset={FILE_BYTES - 100}&count={count}"
        connection.sendall(request("GET", target) + request("GET", "/hello"))
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
    assert len(received) < 1000
    assert received.count(b"HTTP/1.1") <= 1
    assert b" 500 " not in received
    until(lambda: [type(error).__name__ for error in server.application.raised] == ["FileEnded"])


@pytest.mark.parametrize("tls", [False, True])
def test_more_stalled_readers_than_threads_do_not_hold_up_the_next_client(
    serve: Serve, content: bytes, tls: bool
) -> None:
    server = serve(threads=2, tls=tls)
    stalled = [server.connect(rcvbuf=8192) for _ in range(40)]
    for connection in stalled:
        connection.sendall(request("GET", "/download"))
    for _ in stalled:
        assert server.application.entered.acquire(timeout=10)
    assert server.get("/download").body == content
    assert server.exchange(put("/into", content)).status == 201  # type: ignore[union-attr]
    with ThreadPoolExecutor(8) as clients:
        bodies = clients.map(lambda each: Conversation(each).answer().body, stalled)
        assert all(body == content for body in bodies)
    for connection in stalled:
        connection.close()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("encode", ["counted", "chunked"])
def test_more_slow_senders_than_threads_do_not_hold_up_the_next_client(
    serve: Serve, content: bytes, tls: bool, encode: str
) -> None:
    server = serve(threads=2, tls=tls)
    body = content[:300_000]
    digest = hashlib.sha256(body).hexdigest().encode()
    if encode == "counted":
        message = put("/into", body)
    else:
        message = request("PUT", "/into", {"Transfer-Encoding": "chunked"}, chunked(body, 999))
    slow = [server.connect() for _ in range(20)]
    step = 40_001
    for at in range(0, len(message), step):
        for connection in slow:
            connection.sendall(message[at : at + step])
        if at == step * 3:
            assert server.exchange(put("/into", content)).status == 201  # type: ignore[union-attr]
            assert server.get("/download").body == content
        time.sleep(0.05)
    for connection in slow:
        assert Conversation(connection).answer().body == digest
        connection.close()


@pytest.mark.parametrize("tls", [False, True])
def test_a_reader_that_takes_nothing_is_cut_off(serve: Serve, tls: bool) -> None:
    server = serve(Limits(stall_timeout=0.4), tls=tls)
    for target in ("/download", "/stream?parts=2000&times=2000"):
        with server.connect(rcvbuf=8192) as connection:
            connection.sendall(request("GET", target))
            until(lambda: server.connections == 1)
            until(lambda: server.connections == 0)


@pytest.mark.parametrize("tls", [False, True])
def test_a_slow_reader_that_reads_is_not_cut_off(serve: Serve, content: bytes, tls: bool) -> None:
    server = serve(Limits(stall_timeout=0.3), tls=tls)
    with server.connect(rcvbuf=16384) as connection:
        connection.sendall(request("GET", "/download?count=3000000"))
        end, received = time.monotonic() + 1.5, b""
        while time.monotonic() < end:
            received += connection.recv(4096)
            time.sleep(0.03)
        while len(received) < 3_000_000:
            received += (part := connection.recv(1 << 20))
            assert part
        assert received.partition(b"\r\n\r\n")[2] == content[:3_000_000]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("arrived", [0, 1000, 400_000])
def test_a_sender_that_stalls_is_answered_and_leaves_what_it_sent(
    serve: Serve, content: bytes, tls: bool, arrived: int
) -> None:
    server = serve(Limits(stall_timeout=0.4, linger_timeout=0.5), tls=tls)
    with server.connect() as connection:
        head = request("PUT", "/into", {"Content-Length": str(FILE_BYTES)})
        connection.sendall(head + content[:arrived])
        talk = Conversation(connection)
        received = talk.answer()
        assert (received.status, received.headers["connection"]) == (408, "close")
        (sink,) = server.application.sinks
        assert sink.content == content[:arrived]


def test_the_whole_of_a_large_body_is_given_in_large_buffers(serve: Serve, content: bytes) -> None:
    server = serve()
    for message in (
        put("/into", content),
        request("PUT", "/into", {"Transfer-Encoding": "chunked"}, chunked(content)),
    ):
        received = server.exchange(message)
        assert received is not None
        assert received.status == 201
        sink: Kept = server.application.sinks[-1]
        assert sink.content == content
        assert sink.largest >= 128 * 1024


def test_random_conversations_keep_their_bytes_apart(server: Running, content: bytes) -> None:
    """Uploads, downloads and refusals in any order on many connections at once."""

    def converse(seed: int) -> None:
        chance = random.Random(seed)
        with server.connect() as connection:
            talk = Conversation(connection)
            for _ in range(12):
                count = int(10 ** chance.uniform(0, 6.3))
                offset = chance.randrange(FILE_BYTES - count)
                part = content[offset : offset + count]
                message, expected = chance.choice([
                    (put("/into", part), hashlib.sha256(part).hexdigest().encode()),
                    (request("PUT", "/into", {"Transfer-Encoding": "chunked"},
                             chunked(part, chance.choice([100, 5000, 32768]))),
                     hashlib.sha256(part).hexdigest().encode()),
                    (request("GET", f"/download?offset={offset}&count={count}"), part),
                    (request("GET", "/hello"), b"hello"),
                    (put("/refuse", part[:1000]), b"who are you?"),
                ])  # fmt: skip
                connection.sendall(message)
                assert talk.answer().body == expected

    with ThreadPoolExecutor(10) as clients:
        list(clients.map(converse, range(10)))


def test_no_descriptor_is_left_after_transfers_of_every_kind(serve: Serve, content: bytes) -> None:
    for tls in (False, True):
        server = serve(threads=2, tls=tls)
        server.get("/download")
        server.exchange(put("/into", content))
        until(lambda server=server: server.connections == 0)  # type: ignore[misc]
        before = descriptors()
        for number in range(20):
            connection = server.connect()
            connection.sendall(request("GET", "/download"))
            connection.recv(1000)
            reset(connection) if number % 2 else connection.close()
            connection = server.connect()
            connection.sendall(put("/into", content)[:100_000])
            reset(connection) if number % 2 else connection.close()
        until(lambda server=server: server.connections == 0)  # type: ignore[misc]
        until(lambda before=before: descriptors() <= before)  # type: ignore[misc]


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def test_a_transfer_under_way_ends_before_the_server_does(serve: Serve, content: bytes) -> None:
    server = serve()
    with server.connect(rcvbuf=65536) as connection:
        connection.sendall(request("GET", "/download"))
        connection.recv(1, socket.MSG_PEEK)
        server.server.should_exit = True
        time.sleep(0.3)
        received = raw_http.read_answer(connection)
        assert received is not None
        assert received.body == content


@pytest.mark.parametrize("tls", [False, True])
def test_a_transfer_cancelled_by_a_hasty_shutdown_ends_its_thread_first(
    serve: Serve, tls: bool
) -> None:
    server = serve(tls=tls)
    server.server.config.timeout_graceful_shutdown = 0
    with server.connect(rcvbuf=8192) as reader, server.connect() as sender:
        reader.sendall(request("GET", "/download"))
        sender.sendall(request("PUT", "/into", {"Content-Length": str(FILE_BYTES)}, b"begin"))
        for _ in range(2):
            assert server.application.entered.acquire(timeout=10)
        server.server.should_exit = True
        until(lambda: len(server.application.raised) >= 2)
    names = {type(error).__name__ for error in server.application.raised}
    assert names <= {"CancelledError", "ClientGone"}


def test_an_answer_waits_for_a_slow_reader_and_arrives_whole(
    server: Running, content: bytes
) -> None:
    """A stream of messages, then a file behind it, to a client that begins to read late."""
    with server.connect(rcvbuf=8192) as connection:
        stream = request("GET", "/stream?parts=3000&times=500")
        connection.sendall(stream + request("GET", "/download?count=1000000"))
        time.sleep(0.1)
        talk = Conversation(connection)
        expected = b"".join(b"%d," % number * 500 for number in range(3000)) + b"end"
        assert talk.answer().body == expected
        assert talk.answer().body == content[:1_000_000]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's table of connections")
@pytest.mark.parametrize("tls", [False, True])
def test_nothing_is_kept_in_the_kernel_for_a_reader_that_was_cut_off(
    serve: Serve, tls: bool
) -> None:
    server = serve(Limits(stall_timeout=0.4), tls=tls)
    with server.connect(rcvbuf=8192) as connection:
        ours, theirs = connection.getsockname()[1], connection.getpeername()[1]
        connection.sendall(request("GET", "/download"))
        until(lambda: server.connections == 1)
        until(lambda: server.connections == 0)
        table = Path("/proc/net/tcp").read_text("ascii")
        assert f":{theirs:04X} 0100007F:{ours:04X} " not in table
