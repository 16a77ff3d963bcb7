"""What a request body and an answer need of their connection."""

import asyncio
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from socket import socket
from typing import Protocol

from tidegate.wire.limits import Limits


class Link(Protocol):
    """Implemented by `connection.Connection`."""

    loop: asyncio.AbstractEventLoop
    limits: Limits
    threads: Executor

    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def preset(self) -> bytes:
        """Header fields of every answer, rendered."""

    def expect_body(self, *, waiting: bool) -> None:
        """The application waits for the client, or no longer does."""

    def follow(self, behind: bytes) -> None:
        """The body has ended; `behind` was read after it and begins the next request."""

    def borrowed(self) -> AbstractAsyncContextManager[socket]:
        """The socket itself, for one thread, with nothing left in the transport to be written."""
