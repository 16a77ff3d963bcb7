"""One request and its answer: how long it may take, and how much may come."""

import asyncio
from collections.abc import AsyncIterator

import httpcore
import pytest

from tests.unit.remote.gateways import HERE, Serve, serving
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.errors import ContentInvalid, RemoteError, Unavailable
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.calls import Call, Calls
from tidegate.remote.http.network import Network
from tidegate.remote.http.trust import Trust

SHORT = Deadlines(connect=5.0, answer=0.3, stall=0.3)


def says(*pieces: bytes, hang: bool = False) -> Serve:
    """A server that answers each request with these bytes, and then perhaps nothing more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if hang:
                await asyncio.Event().wait()
        writer.close()

    return serve


def content(serve: Serve, *, limit: int = 1000, call: Call | None = None) -> bytes:
    async def run() -> bytes:
        async with serving(serve) as url:
            calls = Calls(Network(HERE), SHORT)
            try:
                sent = call or Call("GET", f"{url}/x?secret=1")
                async with calls.open(sent, Trust()) as answer:
                    return await answer.content(limit)
            finally:
                await calls.close()

    return asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200"],
        [OK, b"Content-Length: 5\r\n"],
        [OK, b"Content-Length: 5\r\n\r\n"],
        [OK, b"Content-Length: 5\r\n\r\n", b"hell"],
        [OK, b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n"],
    ],
)
def test_a_server_that_hangs_at_any_stage_is_given_up(pieces: list[bytes]) -> None:
    with pytest.raises(Unavailable) as caught:
        content(says(*pieces, hang=True))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("repeated", [b"X-Header: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_head_without_end_is_given_up(repeated: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK if repeated.startswith(b"X") else b"")
        while not writer.is_closing():
            writer.write(repeated)
            await asyncio.sleep(0.001)

    with pytest.raises(Unavailable):
        content(serve)


def test_a_body_in_drops_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)

    with pytest.raises(Unavailable, match="less than"):
        content(serve, limit=1_000_000)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_http_answer_is_unavailable(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    with pytest.raises(Unavailable):
        content(serve)


def test_more_than_was_asked_for_is_not_taken_in() -> None:
    exact = OK + b"Content-Length: 5\r\n\r\nhello"
    assert content(says(exact), limit=5) == b"hello"
    with pytest.raises(ContentInvalid, match="more than 4"):
        content(says(exact), limit=4)
    pieces = [OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"5\r\nhello\r\n"] * 1000]
    with pytest.raises(ContentInvalid, match="more than 1000"):
        content(says(*pieces, hang=True))


def test_an_encoding_that_was_not_asked_for_is_refused_unread() -> None:
    bomb = OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    with pytest.raises(ContentInvalid, match="encoding"):
        content(says(bomb))
    assert content(says(bomb.replace(b"gzip", b"identity"))) == b"hello"


def test_a_request_says_who_asks_and_that_nothing_is_to_be_encoded() -> None:
    heads = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    content(serve)
    lines = heads[0].lower().split(b"\r\n")
    assert b"accept-encoding: identity" in lines
    assert any(line.startswith(b"user-agent: tidegate/") for line in lines)


def test_a_connection_is_used_again_after_a_short_body_that_nobody_read() -> None:
    connections = list[int]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello")(reader, writer)

    async def run() -> None:
        async with serving(serve) as url:
            calls = Calls(Network(HERE), SHORT)
            for _ in range(3):
                async with calls.open(Call("GET", url), Trust()) as answer:
                    assert answer.status == 404
            await calls.close()

    asyncio.run(run())
    assert len(connections) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
def test_a_kept_connection_that_the_server_closes_is_no_failure(method: str) -> None:
    requests = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        requests.append(await reader.readuntil(b"\r\n\r\n"))  # and closes without an answer

    async def run() -> None:
        async with serving(serve) as url:
            calls = Calls(Network(HERE), SHORT)
            for _ in range(5):
                async with calls.open(Call(method, url), Trust()) as answer:
                    assert answer.status == 200
            await calls.close()

    if method == "POST":  # which may have arrived
        with pytest.raises(Unavailable):
            asyncio.run(run())
        assert len(requests) == 2
    else:
        asyncio.run(run())
        assert len(requests) == 9


def test_a_body_is_sent_in_pieces_and_what_came_back_is_read_after_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length: 10\r\n" in head.lower():
            body = await reader.readexactly(10)
        else:
            body = await reader.readuntil(b"0\r\n\r\n")
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"01234"
        yield b"56789"

    async def run(length: int | None) -> bytes:
        async with serving(serve) as url:
            calls = Calls(Network(HERE), SHORT)
            call = Call("PUT", url, body=pieces, length=length)
            async with calls.open(call, Trust()) as answer:
                return await answer.content(100)

    assert asyncio.run(run(10)) == b"0123456789"
    assert asyncio.run(run(None)) == b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"
    with pytest.raises(RemoteError):
        asyncio.run(run(11))  # fewer bytes than were announced


def test_a_header_that_would_begin_another_is_not_sent() -> None:
    sent = list[bytes]()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        sent.append(await reader.read(1000))

    async def run() -> None:
        async with serving(serve) as url:
            calls = Calls(Network(HERE), SHORT)
            call = Call("GET", url, headers=[("X-A", "b\r\nX-Evil: 1")])
            with pytest.raises(RemoteError):
                async with calls.open(call, Trust()):
                    pass
            await calls.close()

    asyncio.run(run())
    assert all(b"X-Evil" not in each for each in sent)


def test_headers_are_found_whatever_their_case() -> None:
    response = httpcore.Response(
        200, headers=[(b"X-One", b"1"), (b"x-one", b"2"), (b"Content-Length", b"12")]
    )
    answer = Answer("http://h/", response, 1.0)
    assert answer.header("X-ONE") == "1"
    assert answer.headers("x-one") == ["1", "2"]
    assert answer.header("missing") == ""
    assert answer.length == 12
