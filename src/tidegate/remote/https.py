"""Documents fetched over HTTPS: small, at a known address, from a server that is checked.

Invariant: what comes is at most `LIMIT` bytes from the host that was asked: a redirect to another
host, or from TLS to none, is a failure. Plain HTTP is for loopback addresses alone.
"""

import asyncio
import ssl
from urllib.parse import urljoin, urlsplit

import httpx

from tidegate import __version__
from tidegate.remote.errors import RemoteError

LIMIT = 1 << 20
"""Bytes of a document; discovery documents and key sets have a few thousand."""

PATIENCE = 10.0
"""Seconds for a document, redirects included."""

REDIRECTS = 3

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class HttpsDocuments:
    """Fetches documents; make it after the last fork, in the event loop that uses it.

    `ca_file` names the authorities that are believed instead of the system's; `transport` takes
    the network's place.
    """

    def __init__(
        self, ca_file: str = "", transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=ca_file or None),
            transport=transport,
            timeout=PATIENCE,
            trust_env=False,
            headers={"User-Agent": f"tidegate/{__version__}", "Accept": "application/json"},
        )

    async def fetch(self, url: str) -> bytes:
        """The document at `url`, or `RemoteError`."""
        check_url(url)
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._follow(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise RemoteError(f"{url}: {type(error).__name__} {error}".rstrip()) from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _follow(self, url: str) -> bytes:
        address = url
        for _ in range(REDIRECTS + 1):
            async with self._client.stream("GET", address) as response:
                if response.has_redirect_location:
                    address = _redirected(address, response.headers["location"])
                    continue
                if response.status_code != httpx.codes.OK:
                    raise RemoteError(f"{address}: status {response.status_code}")
                return await _bounded(address, response)
        raise RemoteError(f"{url}: more than {REDIRECTS} redirects")


def check_url(url: str) -> None:
    """Refuse an address that nothing is fetched from."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise RemoteError(f"{url!r} is no URL") from error
    if not host or parts.username is not None:
        raise RemoteError(f"{url!r} is no URL of a server")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise RemoteError(f"{url!r}: https only")


async def _bounded(address: str, response: httpx.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > LIMIT:
            raise RemoteError(f"{address}: more than {LIMIT} bytes")
    return bytes(content)


def _redirected(address: str, location: str) -> str:
    target = urljoin(address, location)
    check_url(target)
    before, after = urlsplit(address), urlsplit(target)
    if (before.scheme, before.netloc) != (after.scheme, after.netloc):
        raise RemoteError(f"{address}: redirects to another host")
    return target
