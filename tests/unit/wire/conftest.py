"""A real uvicorn server in a thread, with a small ASGI application made to be provoked."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import ipaddress
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import raw_http
from tidegate.wire.body import receive_body
from tidegate.wire.errors import BodyStalled, BodyTooLarge, ClientGone
from tidegate.wire.limits import Limits
from tidegate.wire.protocol import protocol_factory
from tidegate.wire.send import send_file

FILE_BYTES = 8 * 1024 * 1024 + 4321


class Kept:
    """A sink that remembers; it fails once it has more than `capacity`."""

    def __init__(self, capacity: int | None = None) -> None:
        self.content = bytearray()
        self.capacity = capacity
        self.largest = 0

    def write(self, buffer: memoryview) -> None:
        assert threading.current_thread() is not threading.main_thread()
        if self.capacity is not None and len(self.content) + len(buffer) > self.capacity:
            raise OSError(28, "No space left on device")
        self.largest = max(self.largest, len(buffer))
        self.content += buffer


class Provoked:
    """The application. What it saw is kept, by the request's path."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDONLY)
        self.forget()

    def forget(self) -> None:
        self.sinks: list[Kept] = []
        self.raised: list[BaseException] = []
        self.calls = 0
        self.released = threading.Event()
        self.entered = threading.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        serve = getattr(self, scope["path"].strip("/").replace("-", "_") or "hello")
        query = dict(parse_qsl(scope["query_string"].decode()))
        try:
            await serve(scope, receive, send, query)
        except BaseException as error:
            self.raised.append(error)
            raise

    async def hello(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        await answer(send, 200, b"hello")

    async def scope(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        shown = {key: value for key, value in scope.items() if key not in ("extensions", "state")}
        await answer(send, 200, repr(shown).encode())

    async def into(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        sink = Kept(int(query["capacity"]) if "capacity" in query else None)
        self.sinks.append(sink)
        self.entered.release()
        limit = int(query["limit"]) if "limit" in query else None
        try:
            count = await receive_body(scope, receive, sink, limit)
        except BodyTooLarge:
            await answer(send, 413, b"too large")
        except BodyStalled as error:
            self.raised.append(error)
            await answer(send, 408, b"stalled")
        except ClientGone:
            raise
        except OSError as error:
            await answer(send, 507, str(error).encode())
        else:
            assert count == len(sink.content)
            await answer(send, 201, hashlib.sha256(sink.content).hexdigest().encode())

    async def messages(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        sink = Kept()
        self.sinks.append(sink)
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            sink.content += message["body"]
            more = message["more_body"]
        await answer(send, 201, hashlib.sha256(sink.content).hexdigest().encode())

    async def refuse(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        await answer(send, 401, b"who are you?")

    async def download(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        offset, count = int(query.get("offset", 0)), int(query.get("count", FILE_BYTES))
        headers = [(b"content-length", b"%d" % int(query.get("promised", count)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self.entered.release()
        await send_file(scope, send, self.file, offset, count)

    async def zerocopy(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        """Without a length, in two parts with text between."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        part: dict[str, Any] = {"type": "http.response.zerocopysend", "file": self.file}
        await send({**part, "offset": 10, "count": 200_000, "more_body": True})
        await send({"type": "http.response.body", "body": b"between", "more_body": True})
        await send({**part, "offset": FILE_BYTES - 100_000})

    async def stream(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(int(query["parts"])):
            body = b"%d," % number * int(query.get("times", 1))
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    async def crash(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        if "started" in query:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if "sent" in query:
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError("secret detail")

    async def silent(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        """Returns without an answer."""

    async def overlong(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        await send({"type": "http.response.body", "body": b"6789 and more"})

    async def inject(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        headers = [(query.get("name", "x").encode(), query["value"].encode("latin-1"))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"injected"})

    async def empty(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        status = int(query["status"])
        headers = [(b"content-length", b"99")] if status == 304 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    async def wait(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        """Answers once released; a client that leaves is noticed before."""
        self.entered.release()
        while not self.released.is_set():  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.01)
        await answer(send, 200, b"released")

    async def watch(self, scope: Any, receive: Any, send: Any, query: Any) -> None:
        await receive()
        self.entered.release()
        message = await receive()
        self.raised.append(RuntimeError(message["type"]))


async def answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """A server, its application and how to reach it."""

    def __init__(
        self,
        application: Provoked,
        limits: Limits,
        threads: int,
        tls: ssl.SSLContext | None,
        trust: ssl.SSLContext | None,
        loop: str,
    ) -> None:
        self.application = application
        self.threads = ThreadPoolExecutor(threads)
        self._trust = trust
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            application, http=protocol_factory(limits, self.threads, tls),  # type: ignore[arg-type]
            loop=loop, lifespan="off", ws="none", log_config=None, proxy_headers=False,
            timeout_graceful_shutdown=10,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([listening],))
        self._thread.start()
        until(lambda: self.server.started)

    def connect(self, **buffers: int) -> socket.socket:
        connection = socket.socket()
        for option, size in buffers.items():
            connection.setsockopt(socket.SOL_SOCKET, getattr(socket, f"SO_{option.upper()}"), size)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.port))
        if self._trust is not None:
            return self._trust.wrap_socket(connection, server_hostname="127.0.0.1")
        return connection

    def exchange(self, message: bytes, method: str = "GET") -> raw_http.RawAnswer | None:
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(message)
            return raw_http.read_answer(connection, method)

    def get(self, target: str) -> raw_http.RawAnswer:
        received = self.exchange(raw_http.request("GET", target))
        assert received is not None
        return received

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def stop(self) -> None:
        self.application.released.set()
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.threads.shutdown()
        os.close(self.application.file)


def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait for what another thread brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def content() -> bytes:
    return random.Random(4321).randbytes(FILE_BYTES)


@pytest.fixture(scope="session")
def file(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wire") / "file"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One PEM file with the key and a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


Serve = Callable[..., Running]


@contextlib.contextmanager
def serving(file: Path, certificate: Path) -> Iterator[Serve]:
    running: list[Running] = []

    def start(
        limits: Limits | None = None, *, threads: int = 4, tls: bool = False, loop: str = "uvloop"
    ) -> Running:
        context = trust = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            trust = ssl.create_default_context(cafile=str(certificate))
        limits = limits or Limits(linger_timeout=1.0)
        running.append(Running(Provoked(file), limits, threads, context, trust, loop))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def serve(file: Path, certificate: Path) -> Iterator[Serve]:
    """Start servers: `serve(limits, threads=..., tls=...)`; they are stopped at the end."""
    with serving(file, certificate) as start:
        yield start


@pytest.fixture(scope="session", params=["plain", "tls", "plain on asyncio", "tls on asyncio"])
def shared_server(
    file: Path, certificate: Path, request: pytest.FixtureRequest
) -> Iterator[Running]:
    loop = "asyncio" if "asyncio" in request.param else "uvloop"
    with serving(file, certificate) as start:
        yield start(tls="tls" in request.param, loop=loop)


@pytest.fixture
def server(shared_server: Running) -> Iterator[Running]:
    """A server with the usual limits, in each form it comes in; nothing may be left on it."""
    shared_server.application.forget()
    yield shared_server
    until(lambda: shared_server.connections == 0)
