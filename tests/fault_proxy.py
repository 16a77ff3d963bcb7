"""A reverse proxy in front of a registry, which does to a request what a test wants done.

    with FaultProxy(upstream.url) as proxy:
        proxy.when(asks("blob", "GET"), Cut(after=1000), times=1)
        ...
        assert proxy.count("blob", "GET") == 2

It runs in a thread with an event loop of its own, so that a test may block. Rules are tried newest
first (`tests/faults.py` has what they can do); without one the registry's answer passes as it is.
Requests, and bytes of bodies that went to clients, are counted by kind. Without an upstream it is
a server that answers 404 to whatever no rule covers, and remembers who asked for what.
"""

import asyncio
import base64
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.fault_answers import Answering
from tests.faults import Answer, Ask, Choice, Cut, CutSent, Fault, Hang, Pass, classify
from tests.http_messages import PIECE, chunk, head, read_body, read_head
from tests.server import free_port

WAIT_SECONDS = 60.0
HONEST = Pass()


@dataclass
class Rule:
    """Requests that match get the fault, the first `times` of them or all."""

    matches: Callable[[Ask], bool]
    fault: Fault | Choice
    times: int | None = None

    def choose(self, ask: Ask) -> Fault | None:
        if self.times == 0 or not self.matches(ask):
            return None
        chosen = self.fault(ask) if callable(self.fault) else self.fault
        if chosen is not None and self.times is not None:
            self.times -= 1
        return chosen


class FaultProxy:
    """Listens while it is entered; every method may be called from any thread."""

    def __init__(
        self,
        upstream: str | None = None,
        *,
        host: str = "127.0.0.1",
        credentials: tuple[str, str] | None = None,
        trust: ssl.SSLContext | None = None,
        certificate: ssl.SSLContext | None = None,
    ) -> None:
        """`credentials` replace what clients send, towards the upstream; `trust` is for an
        upstream with TLS, `certificate` makes the proxy itself speak it."""
        self.host, self.port = host, free_port()
        self._upstream = urlsplit(upstream) if upstream else None
        self._credentials, self._trust, self._certificate = credentials, trust, certificate
        self._rules: list[Rule] = []
        self._seen: list[Ask] = []
        self._numbers: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._hanging = 0
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()

    # for tests

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *ignored: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def scheme(self) -> str:
        return "https" if self._certificate else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    def when(
        self, matches: Callable[[Ask], bool], fault: Fault | Choice, *, times: int | None = None
    ) -> Rule:
        """Add a rule, which goes before those that are there."""
        rule = Rule(matches, fault, times)
        with self._changed:
            self._rules.insert(0, rule)
        return rule

    def always(self, fault: Fault | Choice) -> Rule:
        """Add a rule for every request; `always(Hang())` is a black hole."""
        return self.when(lambda ask: True, fault)

    def drop(self, rule: Rule) -> None:
        """Take a rule away."""
        with self._changed:
            self._rules.remove(rule)

    def honest(self) -> None:
        """Take all rules away and let go what hangs."""
        with self._changed:
            self._rules.clear()
        self.release()

    def release(self) -> None:
        """Let requests go on that hang now."""
        self._loop.call_soon_threadsafe(self._let_go)

    def unplug(self) -> None:
        """Listen no longer, and reset what is connected: the machine is gone."""
        self._run(self._close())

    def plug_in(self) -> None:
        """Listen again, on the same port."""
        self._run(self._listen())

    def seen(self, kind: str = "", method: str = "") -> list[Ask]:
        """The requests so far, in the order of their heads."""
        with self._changed:
            return [
                ask for ask in self._seen if kind in ("", ask.kind) and method in ("", ask.method)
            ]

    def count(self, kind: str = "", method: str = "") -> int:
        """How many requests came."""
        return len(self.seen(kind, method))

    def sent(self, kind: str = "") -> int:
        """Bytes of bodies that clients were sent, of a kind or in all."""
        with self._changed:
            return self._sent[kind] if kind else self._sent.total()

    def forget(self) -> None:
        """Count from nothing again."""
        with self._changed:
            self._seen.clear()
            self._sent.clear()

    def wait_for(self, number: int, kind: str = "", method: str = "") -> None:
        """Until so many requests came."""
        self._wait(lambda: self.count(kind, method) >= number, f"{number} requests {kind}")

    def wait_hanging(self, number: int = 1) -> None:
        """Until so many requests hang."""
        self._wait(lambda: self._hanging >= number, f"{number} hanging requests")

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(reached, WAIT_SECONDS):
                raise AssertionError(f"waited {WAIT_SECONDS:.0f} s in vain for {what}")

    # in the loop

    def _run(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, ssl=self._certificate, limit=PIECE, backlog=1024
        )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _let_go(self) -> None:
        self._released.set()
        self._released = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writer.transport.set_write_buffer_limits(1, 0)  # what was drained is on its way
        try:
            while await self._exchange(reader, writer):
                pass
            writer.close()
        except (asyncio.CancelledError, OSError, EOFError, asyncio.LimitOverrunError):
            writer.transport.abort()  # unplugged, or one of the two sides went away
        finally:
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether another may follow on the connection."""
        first, headers = await read_head(reader)
        method, target, _ = first.split(" ", 2)
        ask = self._note(method, target, headers)
        answering = Answering(ask, writer, self._hang, self._count_sent)
        fault = self._choose(ask)
        if isinstance(fault, Hang) and fault.after is None:
            await self._hang()
            fault = HONEST
        if isinstance(fault, Cut) and fault.after is None:
            raise EOFError("cut by the test")
        body = read_body(reader, headers)
        if isinstance(fault, Answer) or self._upstream is None:
            async for _ in body:
                pass
            await answering.own(fault if isinstance(fault, Answer) else Answer(404))
        elif isinstance(fault, CutSent):
            await self._forward_part(ask, body, fault.after)
            raise EOFError("cut by the test")
        else:
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._forward(ask, body, answering, fault)
        return answering.whole and headers.get("connection", "").lower() != "close"

    def _note(self, method: str, target: str, headers: Mapping[str, str]) -> Ask:
        kind, repository, reference = classify(target)
        with self._changed:
            self._numbers[kind] += 1
            number = self._numbers[kind]
            ask = Ask(method, target, headers, self.scheme, kind, repository, reference, number)
            self._seen.append(ask)
            self._changed.notify_all()
        return ask

    def _choose(self, ask: Ask) -> Fault:
        with self._changed:
            for rule in self._rules:
                if (fault := rule.choose(ask)) is not None:
                    return fault
        return HONEST

    async def _hang(self) -> None:
        released = self._released
        self._count_hanging(1)
        try:
            await released.wait()
        finally:
            self._count_hanging(-1)

    def _count_hanging(self, more: int) -> None:
        with self._changed:
            self._hanging += more
            self._changed.notify_all()

    def _count_sent(self, kind: str, size: int) -> None:
        with self._changed:
            self._sent[kind] += size

    async def _forward(
        self, ask: Ask, body: AsyncIterator[bytes], answering: Answering, fault: Fault
    ) -> None:
        reader, writer = await self._connected()
        try:
            sending = asyncio.ensure_future(_send(writer, ask, self._sent_headers(ask), body))
            try:
                first, headers = await read_head(reader)
                status = int(first.split(" ", 2)[1])
                empty = ask.method == "HEAD" or status in (204, 304)
                pieces = read_body(reader, {} if empty else headers, to_end=not empty)
                await answering.relay(status, headers, pieces, fault)
            finally:
                if not sending.done():
                    answering.whole = False  # the request's body was not wanted
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            writer.transport.abort()

    async def _forward_part(self, ask: Ask, body: AsyncIterator[bytes], size: int) -> None:
        """Hand on the head of a request and so many bytes of its body, and nothing more."""
        _, writer = await self._connected()
        writer.write(head(f"{ask.method} {ask.target} HTTP/1.1", self._sent_headers(ask)))
        async for piece in body:
            part, size = piece[:size], size - len(piece)
            writer.write(part)
            if size <= 0:
                break
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._upstream is not None
        secure = self._upstream.scheme == "https"
        return await asyncio.open_connection(
            self._upstream.hostname,
            self._upstream.port or (443 if secure else 80),
            limit=PIECE,
            ssl=(self._trust or ssl.create_default_context()) if secure else None,
        )

    def _sent_headers(self, ask: Ask) -> dict[str, str]:
        headers = {**ask.headers, "connection": "close", "x-forwarded-proto": ask.scheme}
        headers.pop("expect", None)
        if self._credentials is not None:
            pair = base64.b64encode(":".join(self._credentials).encode()).decode()
            headers["authorization"] = f"Basic {pair}"
        return headers


async def _send(
    writer: asyncio.StreamWriter, ask: Ask, headers: Mapping[str, str], body: AsyncIterator[bytes]
) -> None:
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    writer.write(head(f"{ask.method} {ask.target} HTTP/1.1", headers))
    async for piece in body:
        writer.write(chunk(piece) if chunked else piece)
        await writer.drain()
    if chunked:
        writer.write(chunk(b""))
    await writer.drain()
