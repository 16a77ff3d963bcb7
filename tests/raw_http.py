"""HTTP as bytes on a socket, for requests that no decent client would send."""

import contextlib
import http.client
import socket
from dataclasses import dataclass

SECONDS = 30.0


@dataclass(frozen=True)
class RawAnswer:
    """A status, headers with lower-case names, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(address: str, seconds: float = SECONDS) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=seconds)


def request(
    method: str,
    target: str | bytes,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    host: str = "registry.test",
) -> bytes:
    """The bytes of a request; the target goes out as it is, nothing is escaped or resolved."""
    path = target if isinstance(target, bytes) else target.encode("utf-8", "surrogateescape")
    lines = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: " + host.encode()]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in (headers or {}).items()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def read_answer(connection: socket.socket, method: str = "GET") -> RawAnswer | None:
    """The next answer on a connection; None when the server closed it without one."""
    answer = http.client.HTTPResponse(connection, method=method)
    try:
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return RawAnswer(answer.status, headers, answer.read())
    except (http.client.RemoteDisconnected, http.client.BadStatusLine, ConnectionError):
        return None
    finally:
        answer.close()


def exchange(
    address: str, message: bytes, method: str = "GET", *, last: bool = False
) -> RawAnswer | None:
    """Send bytes on a new connection and read one answer; `last`: and say that no more come."""
    with connect(address) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(message)
            if last:
                connection.shutdown(socket.SHUT_WR)
        return read_answer(connection, method)
