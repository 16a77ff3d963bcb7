"""The front: one ASGI application that picks the part by path.

It counts what is in flight, and turns requests away while the process drains.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tidegate.images.admission.endpoint import PREFIX as ADMISSION
from tidegate.metastore.database import Database
from tidegate.metastore.errors import (
    MetastoreError,
)
from tidegate.observability.request_id import REQUEST_ID, accept_request_id
from tidegate.registry.errors import error_response
from tidegate.registry.request import Receive, Scope, Send
from tidegate.registry.response import Response, write
from tidegate.registry.routes import ADMIN_BLOBS, EXTENSIONS

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


_REGISTRY = ("/v2/", EXTENSIONS, ADMIN_BLOBS)
_API = ("/api/", "/apis/", "/openapi/")


class Application:
    """The front: one ASGI application for every path of the server."""

    def __init__(
        self,
        registry: Handler,
        api: Handler,
        others: Mapping[str, Handler],
        database: Database,
        endless: Sequence[Callable[[], None]],
        admission: Handler | None = None,
    ) -> None:
        """`others` serve single paths; `endless` end what would never end by itself."""
        self._admission = admission
        self._registry = registry
        self._api = api
        self._endless = endless
        self.database = database
        self._paths: dict[str, Handler] = {
            **others,
            "/": self._live,
            "/healthz": self._live,
            "/livez": self._live,
            "/readyz": self._ready,
            "/v2": registry,
            "/api": api,
            "/apis": api,
            "/version": api,
            "/version/": api,  # so asked by generated clients
        }
        self._in_flight = 0
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request by its path."""
        path: str = scope["path"]
        handler = self._pick(path)
        REQUEST_ID.set(accept_request_id(_request_id(scope)))
        if self.draining and handler is not self._live:
            await write(_draining(), scope, send)
            return
        self._in_flight += 1
        self._idle.clear()
        try:
            await handler(scope, receive, send)
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    def _pick(self, path: str) -> Handler:
        if path.startswith(_REGISTRY):
            return self._registry
        if path.startswith(_API):
            return self._api
        if self._admission is not None and path.startswith(ADMISSION):
            return self._admission
        return self._paths.get(path, _not_found)

    async def drain(self, patience: float) -> None:
        """Turn new requests away until those in flight have ended, at most `patience` seconds."""
        self.draining = True
        for end in self._endless:
            end()
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            return

    async def _live(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """The process answers; asked by kubelets as `ok` (Kubernetes' health endpoints)."""
        await write(_text(200, b"ok"), scope, send)

    async def _ready(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Requests would succeed: the database answers."""
        try:
            async with asyncio.timeout(2.0):
                await self.database.fetch("SELECT 1")
        except (MetastoreError, TimeoutError):
            await write(_text(503, b"the metadata database does not answer"), scope, send)
        else:
            await write(_text(200, b"ok"), scope, send)


def _request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value, "latin-1")
    return None


def _text(status: int, text: bytes) -> Response:
    return Response(
        status, [(b"content-type", b"text/plain"), (b"cache-control", b"no-cache")], text
    )


def _draining() -> Response:
    headers = [(b"retry-after", b"5"), (b"connection", b"close")]
    return error_response(503, "UNAVAILABLE", "the server is shutting down", headers)


async def _not_found(scope: Scope, _receive: Receive, send: Send) -> None:
    await write(_text(404, b"not found; the registry is at /v2/"), scope, send)
