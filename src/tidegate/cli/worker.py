"""One serving process: its listeners over one application, and how it ends.

A worker told to stop (SIGTERM, or its supervisor's death) goes on listening and answers new
requests 503 until those in flight have ended or `drain_timeout` is over; then it closes.
"""

import asyncio
import gc
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
import uvloop

from tidegate.app.assembly import assemble
from tidegate.app.front import Application
from tidegate.config import Settings
from tidegate.observability.logs import configure_logs
from tidegate.wire.limits import Limits
from tidegate.wire.protocol import protocol_factory

_LOG = logging.getLogger(__name__)

_TRANSFER_THREADS = 16
"""Transfers that make progress at one moment in a process; a stalled one holds no thread."""

_GARBAGE = 20_000
"""Objects by which a process grows before Python looks for cycles, of which requests leave hardly
any. At Python's own 700, telling a thousand watchers of a change spent a fourth of its time so."""

_SWITCH_SECONDS = 0.0005
"""How long a thread keeps the interpreter from the event loop. Python's own 5 ms, waited for at
each of the dozen times that a request lets go of it, are 60 ms while a large object is changed."""

_FILES_PER_CONNECTION = 3
"""Descriptors of a connection that transfers: its socket, a duplicate for the thread, the blob."""


class Certificate(NamedTuple):
    """PEM files of a TLS listener; `authority` is there when it is our own."""

    chain: Path
    key: Path
    authority: Path | None = None


class Listening(NamedTuple):
    """A bound socket, and whether TLS is spoken there."""

    socket: socket.socket
    tls: bool


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the worker takes them for all its servers."""
        yield


def run_worker(
    settings: Settings,
    certificate: Certificate | None,
    listening: list[Listening],
    lifeline: int,
    ready: Callable[[], None],
) -> None:
    """Serve until told to stop; returns when everything is closed."""
    configure_logs(settings.log_format)
    files = _raise_file_limit()
    sys.setswitchinterval(_SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, certificate, listening, lifeline, ready, files))


async def _serve(
    settings: Settings,
    certificate: Certificate | None,
    listening: list[Listening],
    lifeline: int,
    ready: Callable[[], None],
    files: int,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(lifeline, stop.set)
    limits = _limits(settings, files)
    threads = ThreadPoolExecutor(_TRANSFER_THREADS, thread_name_prefix="transfer")
    async with assemble(settings) as application, asyncio.TaskGroup() as tasks:
        servers = []
        for each in listening:
            tls = tls_context(certificate) if each.tls and certificate is not None else None
            server = _Server(_uvicorn_config(application, limits, threads, tls))
            tasks.create_task(server.serve(sockets=[each.socket]))
            servers.append(server)
        await _started(servers)
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process
        gc.set_threshold(_GARBAGE, 10, 10)
        ready()
        await stop.wait()
        loop.remove_reader(lifeline)
        await application.drain(settings.drain_timeout)
        for server in servers:
            server.should_exit = True


def _limits(settings: Settings, files: int) -> Limits:
    return Limits(
        headers_timeout=settings.headers_timeout,
        idle_timeout=settings.idle_timeout,
        stall_timeout=settings.stall_timeout,
        connections=settings.max_connections or max(files // _FILES_PER_CONNECTION, 64),
    )


def _uvicorn_config(
    application: Application, limits: Limits, threads: Executor, tls: ssl.SSLContext | None
) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=protocol_factory(limits, threads, tls),  # type: ignore[arg-type]  # any factory will do
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def tls_context(certificate: Certificate) -> ssl.SSLContext:
    """What a TLS listener speaks with; `OSError` when the files do not serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Every cipher of TLS 1.2 and 1.3 here is sound; the client knows which one its CPU is good at.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


async def _started(servers: Sequence[uvicorn.Server]) -> None:
    while not all(server.started for server in servers):  # noqa: ASYNC110  uvicorn has no event
        await asyncio.sleep(0.01)


def _raise_file_limit() -> int:
    """Allow as many open files as the system lets us; returns the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS caps it below its own hard limit
            return soft
        return wanted
    return soft
