"""An answer as it comes in: its head, and a body that is read within limits.

Nothing is ever decoded: an encoding that was not asked for is refused, so what is taken in is as
large as what came.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress

import httpcore

from tidegate.remote.errors import ContentInvalid, RemoteError, Unavailable
from tidegate.remote.http.redirects import shown

SLOWEST = 2048.0
"""Bytes a second: who sends slower, once the deadline is over, holds a connection for nothing."""

DRAINED = 16 * 1024
"""Bytes that are cheaper to read than a connection is to make."""


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
        with failures(where):
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


@contextmanager
def failures(where: str) -> Iterator[None]:
    """What httpcore raises, in our words."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{where}: no answer in time") from error
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise Unavailable(f"{where}: {error}") from error
    except httpcore.RemoteProtocolError as error:
        raise Unavailable(f"{where}: the answer broke off or is not HTTP: {error}") from error
    except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol) as error:
        raise RemoteError(f"{where}: {error}") from error
