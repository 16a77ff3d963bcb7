"""Listening sockets, bound before the workers start and kept while they come and go.

On Linux each worker has a socket of its own on the shared port (SO_REUSEPORT), so that the kernel
spreads connections; the supervisor keeps all of them open, so connections that wait for a killed
worker are served by its successor. Elsewhere the workers share one socket.
"""

import errno
import socket
import sys
from typing import NamedTuple

from tidegate.cli.refusal import Refused

_SPREAD = sys.platform == "linux"
_BACKLOG = 4096


class Listener(NamedTuple):
    """An address that is listened on: one socket per worker, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool
    sockets: tuple[socket.socket, ...]

    def url(self, name: str | None = None) -> str:
        """The base URL, under `name` or the address itself."""
        return f"http{'s' if self.tls else ''}://{self.authority(name)}"

    def authority(self, name: str | None = None) -> str:
        """`host:port` as clients write it; an address of every interface is shown as loopback."""
        host = name or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def listen(host: str, port: int, workers: int, *, tls: bool) -> Listener:
    """Bind `host`:`port` for so many workers; `Refused` names a free port when it is taken."""
    family, address = _resolve(host, port)
    first = _bind(family, address, host, port)
    bound = first.getsockname()
    if _SPREAD:
        # The first bind was exclusive, to notice another server; now the port is shared.
        first.close()
        sockets = tuple(_shared(family, bound) for _ in range(workers))
    else:
        sockets = (first,) * workers
    for each in dict.fromkeys(sockets):
        each.listen(_BACKLOG)
    return Listener(host, bound[1], tls, sockets)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Refused(f"cannot listen on {host}: {error.strerror}") from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _bind(
    family: socket.AddressFamily, address: tuple[str, int], host: str, port: int
) -> socket.socket:
    bound = _socket(family)
    try:
        bound.bind(address)
        if _SPREAD:  # a listener with SO_REUSEPORT is noticed at `listen`, not at `bind`
            bound.listen(1)
    except OSError as error:
        bound.close()
        raise Refused(_why(error, family, address, host, port)) from error
    return bound


def _why(
    error: OSError, family: socket.AddressFamily, address: tuple[str, int], host: str, port: int
) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen on {host}:{port}: {error.strerror}"
    free = _free_port(family, address)
    return f"{host}:{port} is taken by another program: try --listen {host}:{free}"


def _free_port(family: socket.AddressFamily, address: tuple[str, int]) -> int:
    for port in (*range(address[1] + 1, min(address[1] + 20, 65536)), 0):
        with _socket(family) as probe:
            try:
                probe.bind((address[0], port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return 0


def _shared(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    shared = _socket(family)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind(address)
    return shared


def _socket(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setblocking(False)
    return made
