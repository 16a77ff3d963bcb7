"""One request and its answer, within deadlines and limits; redirects are left to the caller.

`Calls` has a pool of connections for each server and whoever is believed to vouch for it, so that
a server which hangs keeps nobody from another, and no connection that was made without a check is
used by who asked for one. Bodies stream. Answers are never decoded: an encoding that was not asked
for is refused, so what is taken in is as large as what came.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpcore

from tidegate import __version__
from tidegate.remote.deadlines import DEADLINES, Deadlines
from tidegate.remote.errors import Busy, RemoteError
from tidegate.remote.http.answer import Answer, failures
from tidegate.remote.http.redirects import Headers, Origin, origin_of, shown
from tidegate.remote.http.trust import Trust, tls_context

CONNECTIONS, IDLE_FOR = 100, 30.0
"""For each server: at once, and seconds for which one is kept for the next request."""
KEPT_TRIED = 3
"""Connections that were kept and turned out to be closed, after which a failure is one."""
LOST = 20
"""Connections that httpcore may lose track of before its pool is given up for another one."""

POOLS = 256
"""Servers with connections; the one used longest ago is forgotten when it has none in use."""

PIECE = 1024 * 1024
"""Bytes of a body that have to be taken before the other side counts as stalled."""

_OURS: Headers = (("User-Agent", f"tidegate/{__version__}"), ("Accept-Encoding", "identity"))

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Methods that may be repeated when nobody knows whether they arrived (RFC 9110 section 9.2.2)."""

T = TypeVar("T")

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


class _Trace:
    """What httpcore tells of a request: whether a connection was made for it."""

    def __init__(self) -> None:
        self.connected = False

    async def __call__(self, event: str, _: object) -> None:
        self.connected = self.connected or event.startswith("connection.connect")


_Key = tuple[Origin, Trust, bool]


class _Pool:
    """The connections to a server, and whose turn it is to have one.

    httpcore counts none itself: where a request is cancelled between getting its connection and
    using it, it takes that one for busy ever after.
    """

    def __init__(self, connections: httpcore.AsyncConnectionPool) -> None:
        self.connections = connections
        self.turns = asyncio.Semaphore(CONNECTIONS)
        self.users = 0
        self.used_at = 0.0

    @property
    def has_lost_many(self) -> bool:
        """Whether more connections are taken for busy than anybody uses."""
        busy = sum(not each.is_idle() for each in self.connections.connections)
        return busy > self.users + LOST


class Calls:
    """Makes requests; make it in the event loop that uses it, after the last fork."""

    def __init__(
        self, network: httpcore.AsyncNetworkBackend, deadlines: Deadlines = DEADLINES
    ) -> None:
        self._network = network
        self._deadlines = deadlines
        self._pools: OrderedDict[_Key, _Pool] = OrderedDict()
        self._looked_at = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def open(self, call: Call, trust: Trust) -> AsyncIterator[Answer]:
        """The answer to a request; RemoteError's kinds where there is none."""
        key = (origin_of(call.url), trust, call.large)
        pool = self._pool(key)
        await self._turn(pool, call)
        try:
            await self._close_idle()
            response = await self._respond(pool.connections, call)
            try:
                answer = Answer(call.url, response, self._deadlines.stall)
                yield answer
                await answer.drain()
            finally:
                await asyncio.wait((self._apart(response.aclose()),))
        finally:
            pool.turns.release()
            pool.users -= 1
            pool.used_at = time.monotonic()
            if not pool.users and self._pools.get(key) is not pool:
                self._apart(pool.connections.aclose())

    async def close(self) -> None:
        """Let go of every connection."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        pools, self._pools = self._pools, OrderedDict()
        for pool in pools.values():
            await pool.connections.aclose()

    async def _turn(self, pool: _Pool, call: Call) -> None:
        try:
            async with asyncio.timeout(self._deadlines.connect):
                await pool.turns.acquire()
        except TimeoutError as error:
            where = shown(call.url)
            raise Busy(f"{where}: {CONNECTIONS} requests are under way already") from error
        pool.users += 1

    def _pool(self, key: _Key) -> _Pool:
        origin, trust, _ = key
        pool = self._pools.get(key)
        if pool is None:
            connections = httpcore.AsyncConnectionPool(
                ssl_context=tls_context(trust) if origin.scheme == "https" else None,
                max_connections=None,
                keepalive_expiry=IDLE_FOR,
                network_backend=self._network,
            )
            pool = self._pools[key] = _Pool(connections)
        self._pools.move_to_end(key)
        return pool

    async def _respond(self, pool: httpcore.AsyncConnectionPool, call: Call) -> httpcore.Response:
        """The response; a kept connection that the server had closed is no reason for none."""
        with failures(shown(call.url)):
            for _ in range(KEPT_TRIED):
                trace = _Trace()
                try:
                    return await self._asked(pool, call, trace)
                except (httpcore.RemoteProtocolError, httpcore.NetworkError):
                    if trace.connected or call.method not in _REPEATABLE or callable(call.body):
                        raise
            return await self._asked(pool, call, _Trace())

    async def _asked(
        self, pool: httpcore.AsyncConnectionPool, call: Call, trace: "_Trace"
    ) -> httpcore.Response:
        """The response to a request, which is made in a task of its own.

        httpcore tidies up after being cancelled once, not when that is cancelled in turn: it would
        lose a place in the pool for good. So nobody but this method ever cancels it.
        """
        connect, answer, stall = self._deadlines[:3]
        patience = answer if call.patience is None else call.patience
        limits = {"connect": connect, "read": max(stall, patience), "write": stall}
        async with asyncio.timeout(None) as deadline:
            request = httpcore.Request(
                call.method,
                call.url,
                headers=[("Host", _host(call.url)), *_OURS, *call.headers, *_framing(call)],
                content=_body(call, deadline, patience),
                extensions={"timeout": limits, "trace": trace},
            )
            asking = self._apart(pool.handle_async_request(request))
            try:
                await asyncio.wait((asking,))
                return asking.result()
            except asyncio.CancelledError:
                asking.cancel()
                asking.add_done_callback(self._unwanted)
                raise

    def _apart(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work in a task of its own, which goes on when whoever waits for it is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody has to have waited

    def _unwanted(self, asking: asyncio.Task[httpcore.Response]) -> None:
        """Close a response that came too late."""
        if not asking.cancelled() and asking.exception() is None:
            self._apart(asking.result().aclose())

    async def _close_idle(self) -> None:
        """Close the connections to servers that nobody has asked for anything since a while."""
        now, many = time.monotonic(), len(self._pools) > POOLS
        if now - self._looked_at < IDLE_FOR / 10 and not many:
            return
        self._looked_at = now
        for key, pool in list(self._pools.items()):
            old = not pool.users and (many or now - pool.used_at > IDLE_FOR)
            if old or pool.has_lost_many:
                del self._pools[key]
                if not pool.users:
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
