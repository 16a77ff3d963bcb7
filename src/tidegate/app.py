"""The assembly: every part of a serving process, made and joined in `assemble`.

Nothing registers itself; to know what runs, read this function. `Application` is the front that
picks the part by path, counts what is in flight, and turns requests away while the process drains.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network

from tidegate.auth.accounts import RecentAccounts, StoredAccounts
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.authorizer import LocalAuthorizer
from tidegate.auth.keys import KeyRing
from tidegate.auth.login import PasswordLogin
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.token_endpoint import TokenEndpoint
from tidegate.auth.tokens import Tokens
from tidegate.config import Settings
from tidegate.controllers.change_compaction import compact_changes
from tidegate.controllers.upload_purge import purge_uploads
from tidegate.metastore import keys
from tidegate.metastore.database import Database
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.open import open_database
from tidegate.observability.audit import Audit, AuditLog, AuditOff, StandardOutput
from tidegate.observability.request_id import REQUEST_ID, accept_request_id
from tidegate.observability.rotating_file import RotatingFile
from tidegate.registry.access import SERVICE, TOKEN_PATH, Access, Origins
from tidegate.registry.errors import error_response
from tidegate.registry.request import Receive, Scope, Send
from tidegate.registry.response import Response, write
from tidegate.registry.service import Registry
from tidegate.registry.token import TokenService
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator["Application"]:
    """A serving process's application; call it after the last fork."""
    async with AsyncExitStack() as stack:
        database = await open_database(settings.database_url)
        stack.push_async_callback(database.close)
        driver = Filesystem(settings.data)
        stack.callback(driver.close)
        store = BlobStore(driver)
        audit = _audit(settings)
        stack.callback(audit.close)
        hashes = PasswordHashes()
        stack.callback(hashes.close)

        accounts = StoredAccounts(database)
        login = PasswordLogin(accounts, hashes, time.monotonic)
        tokens = Tokens(KeyRing(lambda: keys.signing(database)), SERVICE, settings.token_lifetime)
        authorizer = LocalAuthorizer(anonymous_pull=settings.anonymous_pull)
        authenticator = Authenticator(
            login, tokens, RecentAccounts(accounts, time.monotonic), time.time
        )
        origins = Origins(
            settings.public_url, tuple(ip_network(each) for each in settings.trusted_proxies)
        )
        registry = Registry(
            database,
            store,
            Access(authenticator, authorizer, origins),
            audit,
            sparse=settings.sparse_manifests,
        )
        token = TokenService(
            TokenEndpoint(login, tokens, authorizer, SERVICE, time.time), origins, audit
        )
        for loop in (
            purge_uploads(registry.uploads, settings.upload_expiry, settings.purge_interval),
            compact_changes(database, settings.purge_interval),
        ):
            stack.callback(asyncio.create_task(loop).cancel)
        yield Application(registry, token, database)


class Application:
    """The front: one ASGI application for every path of the server."""

    def __init__(self, registry: Handler, token: Handler, database: Database) -> None:
        self._registry = registry
        self.database = database
        self._paths: dict[str, Handler] = {
            TOKEN_PATH: token,
            "/": self._live,
            "/healthz": self._live,
            "/livez": self._live,
            "/readyz": self._ready,
        }
        self._in_flight = 0
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request by its path."""
        path: str = scope["path"]
        handler = self._registry if path.startswith("/v2") else self._paths.get(path, _not_found)
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

    async def drain(self, patience: float) -> None:
        """Turn new requests away until those in flight have ended, at most `patience` seconds."""
        self.draining = True
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


def _audit(settings: Settings) -> Audit:
    if settings.audit_log == "off":
        return AuditOff()
    if settings.audit_log == "-":
        return AuditLog(StandardOutput())
    return AuditLog(RotatingFile(settings.audit_log or str(settings.data / "audit.log")))


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
