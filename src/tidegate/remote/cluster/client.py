"""Requests to a cluster's API server, and its answers.

Make it in the event loop that uses it, after the last fork. Every request has a deadline; a body is
at most `LIMIT` bytes. Redirects are not followed: an API server sends none.
"""

import asyncio
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from tidegate import __version__
from tidegate.remote.cluster.access import AccessInvalid, ClusterAccess
from tidegate.remote.cluster.errors import (
    ClusterRefused,
    ClusterUnavailable,
    ObjectConflict,
    ObjectMissing,
    WatchExpired,
)

_LOG = logging.getLogger(__name__)

LIMIT = 64 * 1024 * 1024
"""Bytes of an answer: a page of 500 objects of 100 KB fits."""
PATIENCE = 30.0
CONNECT = 5.0
CONNECTIONS = 64

JSON_PATCH = "application/json-patch+json"

_BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses after which it may be asked again: it is overloaded, starting, or its store is away."""


class Path(str):
    """A path of the API, made of parts that are quoted."""

    __slots__ = ()

    @classmethod
    def of(
        cls, group: str, version: str, resource: str, namespace: str = "", *names: str
    ) -> "Path":
        """`/apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME/SUBRESOURCE`, as far as it is given."""
        root = ["apis", group, version] if group else ["api", version]
        within = ["namespaces", namespace] if namespace else []
        return cls(
            "/" + "/".join(quote(each, safe="") for each in (*root, *within, resource, *names))
        )


class _Status(msgspec.Struct):
    message: str = ""
    reason: str = ""


class ClusterClient:
    """See the module; `AccessInvalid` when certificate or key are none."""

    def __init__(
        self, access: ClusterAccess, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._access = access
        name = access.server_name
        self._extensions = {"sni_hostname": name} if name else {}
        auth = (access.user, access.password) if access.user else None
        self._client = httpx.AsyncClient(
            base_url=access.server,
            verify=tls_context(access),
            transport=transport,
            auth=auth,
            timeout=httpx.Timeout(PATIENCE, connect=CONNECT),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=32),
            trust_env=False,
            headers={"User-Agent": f"tidegate/{__version__}", "Accept": "application/json"},
        )

    async def get(self, path: Path, params: Mapping[str, str] | None = None) -> bytes:
        """An object or a list, as JSON; raises the errors of this folder."""
        return await self._request("GET", path, params=params)

    async def post(self, path: Path, body: Any) -> bytes:
        """Create an object; what came of it."""
        return await self._request("POST", path, body)

    async def patch(self, path: Path, operations: Any, params: Mapping[str, str]) -> bytes:
        """Change an object by a JSON patch; the object as it is then."""
        return await self._request("PATCH", path, operations, JSON_PATCH, params)

    @asynccontextmanager
    async def stream(
        self, path: Path, params: Mapping[str, str], patience: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an answer that comes bit by bit, with at most `patience` between them."""
        timeout = httpx.Timeout(patience, connect=CONNECT)
        try:
            async with self._client.stream(
                "GET",
                path,
                params=params,
                headers=self._headers(),
                timeout=timeout,
                extensions=self._extensions,
            ) as response:
                if response.status_code != 200:
                    raise self._refusal(response.status_code, await _limited(response))
                yield response.aiter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _request(
        self,
        method: str,
        path: Path,
        body: Any = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        headers = self._headers()
        content = None
        if body is not None:
            content, headers["Content-Type"] = msgspec.json.encode(body), content_type
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._client.stream(
                    method,
                    path,
                    params=params,
                    content=content,
                    headers=headers,
                    extensions=self._extensions,
                ) as response:
                    answer = await _limited(response)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._unreachable(error) from error
        if not 200 <= response.status_code < 300:
            raise self._refusal(response.status_code, answer)
        return answer

    def _headers(self) -> dict[str, str]:
        token = self._access.token.now()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _refusal(self, code: int, body: bytes) -> ClusterUnavailable | ClusterRefused:
        """What an answer that is no success says."""
        try:
            status = msgspec.json.decode(body, type=_Status)
        except (msgspec.DecodeError, UnicodeDecodeError):
            status = _Status()
        message = f"the cluster answers {code}: {status.message[:500] or 'it says no more'}"
        if code == 401:
            self._access.token.refused()
            return ClusterUnavailable(message)
        if code in _BUSY:
            return ClusterUnavailable(message)
        kinds = {404: ObjectMissing, 409: ObjectConflict, 410: WatchExpired}
        return kinds.get(code, ClusterRefused)(message, code)

    def _unreachable(self, error: Exception) -> ClusterUnavailable:
        said = f"{type(error).__name__} {error}".rstrip()
        return ClusterUnavailable(f"{self._access.server}: {said}")


async def _limited(response: httpx.Response) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > LIMIT:
            raise ClusterRefused(f"the cluster's answer has more than {LIMIT} bytes", 413)
        pieces.append(piece)
    return b"".join(pieces)


def tls_context(access: ClusterAccess) -> ssl.SSLContext:
    """What TLS to the API server is made with."""
    try:
        context = ssl.create_default_context(cadata=access.authority or None)
        # Authorities of clusters are made by hand, and often lack what RFC 5280 asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if access.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if access.certificate:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # for its owner alone
                file.write(f"{access.certificate}\n{access.key}\n")
                file.flush()
                context.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise AccessInvalid(
            f"the certificates for {access.server} cannot be used: {type(error).__name__}"
        ) from error
    return context
