"""What uvicorn is given as `http=`: this room's connections, or under another version its own.

Stands on what uvicorn passes to any HTTP protocol class; see `connection.py`. It promises nothing
there, so the version that was tested is named here, and the protocol suite guards each step.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidegate.wire.connection import Connection
from tidegate.wire.limits import Limits
from tidegate.wire.listener import Listener
from tidegate.wire.tls import TlsAcceptor

TESTED_UVICORN = "0.54."

logger = logging.getLogger("tidegate.wire")


def protocol_factory(
    limits: Limits, threads: Executor, tls: ssl.SSLContext | None = None
) -> Callable[..., asyncio.Protocol]:
    """For `uvicorn.Config(http=...)`; one for each listening socket.

    With `tls` the connections are TLS; uvicorn itself must not be given a certificate. Under a
    uvicorn that was not tested, uvicorn's own class serves: plain ASGI, without our limits.
    """
    listener = Listener(limits, threads)
    tested = uvicorn.__version__.startswith(TESTED_UVICORN)
    if not tested:
        logger.warning(
            "uvicorn %s is untested: serving without limits and zero-copy", uvicorn.__version__
        )

    def connect(
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        loop = _loop or asyncio.get_running_loop()
        protocol: asyncio.Protocol
        if tested:
            protocol = Connection(listener, config, server_state, app_state, loop)
        else:
            protocol = HttpToolsProtocol(config, server_state, app_state, loop)
        if tls is None:
            return protocol
        return TlsAcceptor(loop, tls, protocol, listener)

    return connect
