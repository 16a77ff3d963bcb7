"""The same application under uvicorn's own protocol class: slower, and as correct."""

import pytest
import uvicorn

from tests.raw_http import request
from tests.unit.wire.conftest import FILE_BYTES, Running, Serve, until
from tests.unit.wire.test_connection import BODY, DIGEST, Conversation, put, put_chunked


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def stock(serve: Serve, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setattr(uvicorn, "__version__", "0.999.0")
    return serve(tls=request.param)


def test_an_untested_uvicorn_is_warned_of(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uvicorn, "__version__", "0.55.0")
    assert serve().get("/hello").status == 200
    assert "uvicorn 0.55.0 is untested" in caplog.text


def test_bodies_and_files_pass_without_the_extensions(stock: Running, content: bytes) -> None:
    with stock.connect() as connection:
        talk = Conversation(connection)
        for message in (put("/into", BODY), put_chunked("/into", BODY), put_chunked("/into", BODY)):
            connection.sendall(message)
            assert talk.answer().body == DIGEST
        connection.sendall(request("GET", "/download"))
        assert talk.answer().body == content
        connection.sendall(request("GET", f"/download?offset={FILE_BYTES - 5}&count=5"))
        assert talk.answer().body == content[-5:]
        connection.sendall(request("GET", "/download?count=0"))
        assert talk.answer().body == b""
        connection.sendall(request("HEAD", "/download") + request("GET", "/hello"))
        assert talk.answer("HEAD").status == 200
        assert talk.answer().body == b"hello"


def test_a_limit_and_a_full_sink_are_reported_without_the_extensions(stock: Running) -> None:
    for target, status in (("/into?limit=1000", 413), ("/into?capacity=300000", 507)):
        received = stock.exchange(put(target, BODY))
        assert received is None or received.status == status  # its close may overtake its answer


def test_a_client_that_leaves_is_noticed_without_the_extensions(stock: Running) -> None:
    with stock.connect() as connection:
        connection.sendall(put("/into", BODY)[:700_000])
        until(lambda: stock.application.sinks and len(stock.application.sinks[0].content) > 100_000)
    until(lambda: [type(error).__name__ for error in stock.application.raised] == ["ClientGone"])
    assert BODY.startswith(stock.application.sinks[0].content)
