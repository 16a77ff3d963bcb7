"""One request and its answer, within deadlines and limits; redirects are left to the caller.

`Calls` has a pool of connections for each server and whoever is believed to vouch for it, so that
a server which hangs keeps nobody from another, and no connection that was made without a check is
used by who asked for one. Bodies stream. Answers are never decoded: an encoding that was not asked
for is refused, so what is taken in is as large as what came.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import httpcore

from tidegate import __version__
from tidegate.remote.deadlines import DEADLINES, Deadlines
from tidegate.remote.errors import Busy, ContentInvalid, RemoteError, Unavailable
from tidegate.remote.http.redirects import Headers, Origin, origin_of, shown
from tidegate.remote.http.trust import Trust, tls_context

SLOWEST = 2048.0
"""Bytes a second: who sends slower, once the deadline is over, holds a connection for nothing."""

CONNECTIONS, IDLE_CONNECTIONS, IDLE_FOR = 100, 8, 30.0
"""For each server: at once, kept for the next request, and for so many seconds."""

POOLS = 256
"""Servers with connections; the one used longest ago is forgotten when it has none in use."""

PIECE = 1024 * 1024
"""Bytes of a body that have to be taken before the other side counts as stalled."""
DRAINED = 16 * 1024
"""Bytes that are cheaper to read than a connection is to make."""

_OURS: Headers = (("User-Agent", f"tidegate/{__version__}"), ("Accept-Encoding", "identity"))

Body = bytes | Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """A request. A body that is no bytes is called for its pieces, and has `length` if known.

    `patience` is how many seconds the answer has to begin, once all of the request is sent, where
    that is not what all have. One that is `large` takes its time and has connections of its own,
    so that what is small does not wait for it.
    """

    method: str
    url: str
    headers: Headers = ()
    body: Body = b""
    length: int | None = None
    patience: float | None = None
    large: bool = False


class Answer:
    """An answer whose head is in; its body comes as it is read."""

    def __init__(self, url: str, response: httpcore.Response, stall: float) -> None:
        self.url = url
        self._stall = stall
        self.status = response.status
        self._response = response
        self._read = False

    def header(self, name: str) -> str:
        """A header's first value, or empty."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> list[str]:
        """All values of a header, in their order."""
        wanted = name.lower().encode()
        found = (value for key, value in self._response.headers if key.lower() == wanted)
        return [value.decode("latin-1") for value in found]

    def every_header(self) -> list[tuple[str, str]]:
        """All headers, names in lower case."""
        return [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in self._response.headers
        ]

    @property
    def length(self) -> int | None:
        """How many bytes the body has, if the head says so."""
        text = self.header("content-length")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, at a rate that is worth waiting for."""
        where = shown(self.url)
        if self.header("content-encoding").lower() not in ("", "identity"):
            raise ContentInvalid(f"{where}: came in an encoding that was not asked for")
        self._read = True
        waited, received, began = 0.0, 0, time.monotonic()
        with _failures(where):
            async for chunk in self._response.aiter_stream():
                waited += time.monotonic() - began
                received += len(chunk)
                if waited > self._stall and received < waited * SLOWEST:
                    raise Unavailable(f"{where}: sends less than {SLOWEST:g} bytes a second")
                yield chunk
                began = time.monotonic()

    async def content(self, limit: int) -> bytes:
        """The whole body; ContentInvalid when it is larger than `limit` bytes."""
        content = bytearray()
        if (self.length or 0) <= limit:
            async for chunk in self.chunks():
                content += chunk
                if len(content) > limit:
                    break
            else:
                return bytes(content)
        raise ContentInvalid(f"{shown(self.url)}: more than {limit} bytes")

    async def drain(self) -> None:
        """Take in what is left of a short body, so that the connection can be used again."""
        if not self._read and (self.length or 0) <= DRAINED:
            with suppress(RemoteError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.content(DRAINED)


_Key = tuple[Origin, Trust, bool]


@dataclass(slots=True)
class _Pool:
    connections: httpcore.AsyncConnectionPool
    users: int = 0
    used_at: float = 0.0


class Calls:
    """Makes requests; make it in the event loop that uses it, after the last fork."""

    def __init__(
        self, network: httpcore.AsyncNetworkBackend, deadlines: Deadlines = DEADLINES
    ) -> None:
        self._network = network
        self._deadlines = deadlines
        self._pools: OrderedDict[_Key, _Pool] = OrderedDict()
        self._looked_at = 0.0

    @asynccontextmanager
    async def open(self, call: Call, trust: Trust) -> AsyncIterator[Answer]:
        """The answer to a request; RemoteError's kinds where there is none."""
        pool = self._pool(origin_of(call.url), trust, large=call.large)
        pool.users += 1
        try:
            await self._close_idle()
            response = await self._respond(pool.connections, call)
            try:
                answer = Answer(call.url, response, self._deadlines.stall)
                yield answer
                await answer.drain()
            finally:
                await response.aclose()
        finally:
            pool.users -= 1
            pool.used_at = time.monotonic()

    async def close(self) -> None:
        """Let go of every connection."""
        pools, self._pools = self._pools, OrderedDict()
        for pool in pools.values():
            await pool.connections.aclose()

    def _pool(self, origin: Origin, trust: Trust, *, large: bool) -> _Pool:
        key = (origin, trust, large)
        pool = self._pools.get(key)
        if pool is None:
            connections = httpcore.AsyncConnectionPool(
                ssl_context=tls_context(trust) if origin.scheme == "https" else None,
                max_connections=CONNECTIONS,
                max_keepalive_connections=IDLE_CONNECTIONS,
                keepalive_expiry=IDLE_FOR,
                network_backend=self._network,
            )
            pool = self._pools[key] = _Pool(connections)
        self._pools.move_to_end(key)
        return pool

    async def _respond(self, pool: httpcore.AsyncConnectionPool, call: Call) -> httpcore.Response:
        connect, answer, stall = self._deadlines[:3]
        patience = answer if call.patience is None else call.patience
        timeouts = {
            "connect": connect,
            "pool": connect,
            "read": max(stall, patience),
            "write": stall,
        }
        with _failures(shown(call.url)):
            async with asyncio.timeout(None) as deadline:
                request = httpcore.Request(
                    call.method,
                    call.url,
                    headers=[("Host", _host(call.url)), *_OURS, *call.headers, *_framing(call)],
                    content=_body(call, deadline, patience),
                    extensions={"timeout": timeouts},
                )
                return await pool.handle_async_request(request)

    async def _close_idle(self) -> None:
        """Close the connections to servers that nobody has asked for anything since a while."""
        now, many = time.monotonic(), len(self._pools) > POOLS
        if now - self._looked_at < IDLE_FOR / 10 and not many:
            return
        self._looked_at = now
        for key, pool in list(self._pools.items()):
            if not pool.users and (many or now - pool.used_at > IDLE_FOR):
                del self._pools[key]
                await pool.connections.aclose()
                many = len(self._pools) > POOLS


def _host(url: str) -> str:
    """The Host header: the standard port is left out, as everybody does (signatures cover it)."""
    return str(origin_of(url)).partition("://")[2]


def _framing(call: Call) -> Headers:
    if not callable(call.body):
        has_body = call.body or call.method in ("POST", "PUT", "PATCH")
        return [("Content-Length", str(len(call.body)))] if has_body else []
    if call.length is None:
        return [("Transfer-Encoding", "chunked")]
    return [("Content-Length", str(call.length))]


async def _body(call: Call, deadline: asyncio.Timeout, patience: float) -> AsyncIterator[bytes]:
    """The body, piece by piece; from its end on the server has its time to answer."""
    sent = 0
    if callable(call.body):
        async for piece in call.body():
            sent += len(piece)
            if call.length is not None and sent > call.length:
                break
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]
        if call.length not in (None, sent):
            raise RemoteError(f"{shown(call.url)}: the content is not {call.length} bytes long")
    elif call.body:
        yield call.body
    deadline.reschedule(asyncio.get_running_loop().time() + patience)


@contextmanager
def _failures(where: str) -> Iterator[None]:
    """What httpcore raises, in our words."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{where}: no answer in time") from error
    except httpcore.PoolTimeout as error:
        raise Busy(f"{where}: {CONNECTIONS} requests are under way already") from error
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise Unavailable(f"{where}: {error}") from error
    except httpcore.RemoteProtocolError as error:
        raise Unavailable(f"{where}: the answer broke off or is not HTTP: {error}") from error
    except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol) as error:
        raise RemoteError(f"{where}: {error}") from error
