"""Connections: a name is resolved, each of its addresses judged, and the judged one connected to.

The network of httpcore's pools, through its public `network_backend`. One that has an address
which may not be called is refused as a whole: either somebody is trying, or an administrator has to
say which network is meant. Reads are larger than httpcore asks for, since it takes any number of
bytes and each read costs the same.
"""

import asyncio
import contextlib
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpcore

from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.errors import CertificateRefused, InsecureOnly, Unavailable

READ_SIZE = 256 * 1024
"""Bytes taken from a connection at once."""

LOOKUPS = 64
"""Names that are looked up at once."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, in the order in which to try them."""


class Network(httpcore.AsyncNetworkBackend):
    """Connects to addresses that `addresses` allows."""

    def __init__(self, addresses: AddressPolicy, resolve: Resolve | None = None) -> None:
        self._addresses = addresses
        self._resolve = resolve or SystemNames()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection; AddressRefused, or Unavailable with the reason."""
        del local_address, socket_options
        where = f"{host}:{port}"
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolve(host, port)
                for address in found:
                    self._addresses.check(host, address)
                return SocketStream(await _connected(found, port), where)
        except TimeoutError as error:
            raise Unavailable(f"{where}: no connection within {timeout:g} s") from error
        except socket.gaierror as error:
            raise Unavailable(f"{where}: the name does not resolve: {error.strerror}") from error
        except OSError as error:
            raise Unavailable(f"{where}: {error.strerror or error}") from error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemNames:
    """What the system's resolver says, in a thread for each name.

    The loop has four threads for all names, which a few whose name servers are silent would keep
    from everybody. A thread that waits for one cannot be told to stop, so it counts until it does.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(LOOKUPS)

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name; OSError where it has none."""
        if _is_address(host):
            return [host]
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def tell(addresses: list[str], error: OSError | None) -> None:
            self._turns.release()
            if found.done():
                return  # nobody waits any more
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(addresses)

        def resolve() -> None:
            answer = _looked_up(host, port)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell, *answer)

        await self._turns.acquire()
        threading.Thread(target=resolve, name="name-lookup", daemon=True).start()
        return await found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _looked_up(host: str, port: int) -> tuple[list[str], OSError | None]:
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return [], error
    except UnicodeError as error:  # a label too long for a name
        return [], OSError(str(error))
    return list(dict.fromkeys(str(address[0]) for *_, address in known)), None


async def _connected(addresses: list[str], port: int) -> socket.socket:
    """A socket connected to the first address that answers; each gets its share of the time."""
    error = OSError("the name has no address")
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            async with asyncio.timeout(_share(left)):
                return await _connect(address, port)
        except TimeoutError:
            error = OSError(f"no answer from {address}")
        except OSError as failure:
            error = failure
    raise error


def _share(left: int) -> float | None:
    """Seconds for an address when others are left to try; the last has what remains."""
    return None if left == 1 else 2.0


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


class SocketStream(httpcore.AsyncNetworkStream):
    """A connection without TLS, as httpcore uses it."""

    def __init__(self, connection: socket.socket, where: str) -> None:
        self._socket = connection
        self._where = where
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout):
                return await self._loop.sock_recv(self._socket, max(max_bytes, READ_SIZE))
        except TimeoutError as error:
            raise httpcore.ReadTimeout(f"nothing came for {timeout:g} s") from error
        except OSError as error:
            raise httpcore.ReadError(error.strerror or str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout):
                await self._loop.sock_sendall(self._socket, buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(f"nothing was taken for {timeout:g} s") from error
        except OSError as error:
            raise httpcore.WriteError(error.strerror or str(error)) from error

    async def aclose(self) -> None:
        self._socket.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """The same connection under TLS; InsecureOnly where there can be none."""
        stream = TlsStream(self, ssl_context, server_hostname)
        try:
            await stream.handshake(timeout)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise CertificateRefused(
                    f"{self._where}: its certificate is not believed: {error.verify_message}"
                ) from error
            if isinstance(error, ssl.SSLError):
                raise InsecureOnly(f"{self._where} speaks no TLS: {error.reason}") from error
            if isinstance(error, httpcore.NetworkError | httpcore.TimeoutException):
                raise Unavailable(f"{self._where}: TLS handshake: {error}") from error
            raise
        return stream

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return _is_readable(self._socket)
        return self._socket if info == "socket" else None


class TlsStream(httpcore.AsyncNetworkStream):
    """A connection under TLS: records are opened in memory, as many as there are at a time."""

    def __init__(
        self, stream: SocketStream, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )

    async def handshake(self, patience: float | None) -> None:
        """Agree on keys and check the server's certificate."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._exchange(patience)
            else:
                await self._flush(patience)
                return

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        try:
            while (content := self._opened(max(max_bytes, READ_SIZE))) is None:
                await self._exchange(timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError(f"TLS: {error.reason}") from error
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        try:
            self._tls.write(buffer)
        except ssl.SSLError as error:
            raise httpcore.WriteError(f"TLS: {error.reason}") from error
        await self._flush(timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else self._stream.get_extra_info(info)

    def _opened(self, limit: int) -> bytes | None:
        """The content of all records that are in; empty at the end, None where more has to come.

        One call of the TLS object opens a single record, of 16 KB at most.
        """
        records: list[bytes] = []
        size = 0
        try:
            while size < limit and (record := self._tls.read(limit)):
                records.append(record)
                size += len(record)
        except ssl.SSLWantReadError:
            if not records:
                return None
        except ssl.SSLError:
            if not records:
                raise
        return b"".join(records)

    async def _exchange(self, patience: float | None) -> None:
        await self._flush(patience)
        if received := await self._stream.read(READ_SIZE, patience):
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

    async def _flush(self, patience: float | None) -> None:
        if self._outgoing.pending:
            await self._stream.write(self._outgoing.read(), patience)


def _is_readable(connection: socket.socket) -> bool:
    """Whether something came, or the other side has closed: an idle connection is then no use."""
    if connection.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
