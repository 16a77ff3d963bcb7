"""The assembly: every part of a serving process, made and joined in `assemble`.

Nothing registers itself; to know what runs, read this function. `Application` is the front that
picks the part by path, counts what is in flight, and turns requests away while the process drains.
"""

import asyncio
import platform
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from tidegate import __version__
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.discovery import Discovery
from tidegate.apimachinery.errors import BadRequest, InsufficientStorage, ServiceUnavailable
from tidegate.apimachinery.http.application import ApiApplication
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.http.errors import Failures
from tidegate.apimachinery.http.pages import discovery_pages, schema_pages
from tidegate.apimachinery.openapi.openapi import OpenApi
from tidegate.apimachinery.store import DocumentTransaction
from tidegate.auth import reviews
from tidegate.auth.accounts import LocalLogins, StoredAccounts
from tidegate.auth.api import ApiAuthenticator
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.errors import HostInvalid
from tidegate.auth.keys import KeyRing
from tidegate.auth.login import PasswordLogin
from tidegate.auth.logins import Logins
from tidegate.auth.oauth import serving as oauth_serving
from tidegate.auth.oauth.application import PATHS as OAUTH_PATHS
from tidegate.auth.oauth.application import OAuthApplication
from tidegate.auth.oauth.server import OAuthServer
from tidegate.auth.oauth.tokens import AccessTokens
from tidegate.auth.oidc.configuration import Issuers
from tidegate.auth.origin import Origins
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.projects import serving as projects_serving
from tidegate.auth.projects.ending import Ending
from tidegate.auth.projects.provision import provision
from tidegate.auth.projects.storage import requestable
from tidegate.auth.provisioning import Provision, Provisioning
from tidegate.auth.rbac import serving as rbac_serving
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.serviceaccounts import serving as accounts_serving
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens
from tidegate.auth.token_endpoint import TokenEndpoint
from tidegate.auth.tokens import Tokens
from tidegate.auth.users import serving as users_serving
from tidegate.auth.users.groups import GroupIndex
from tidegate.config import Settings
from tidegate.controllers.adoption import adopt_projects
from tidegate.controllers.change_compaction import compact_changes
from tidegate.controllers.event_expiry import expire_events
from tidegate.controllers.key_rotation import rotate_keys
from tidegate.controllers.namespaces import keep_namespaces
from tidegate.controllers.pull_secrets import renew_pull_secrets
from tidegate.controllers.token_purge import purge_tokens
from tidegate.controllers.upload_purge import purge_uploads
from tidegate.kinds import serving as kinds_serving
from tidegate.metastore import keys
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.metastore.errors import (
    MetastoreBusy,
    MetastoreError,
    MetastoreFull,
    MetastoreUnavailable,
)
from tidegate.metastore.open import open_database
from tidegate.metastore.projects import purge_all
from tidegate.observability.audit import Audit, AuditLog, AuditOff, StandardOutput
from tidegate.observability.request_id import REQUEST_ID, accept_request_id
from tidegate.observability.rotating_file import RotatingFile
from tidegate.registry.access import SERVICE, TOKEN_PATH, Access
from tidegate.registry.errors import error_response
from tidegate.registry.request import Receive, Scope, Send
from tidegate.registry.response import Response, write
from tidegate.registry.routes import ADMIN_BLOBS
from tidegate.registry.service import Registry
from tidegate.registry.token import TokenService
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Identities:
    """Everything that says who somebody is."""

    passwords: PasswordLogin
    accounts: ServiceAccountTokens
    logins: Logins
    tokens: Tokens
    authenticator: Authenticator
    oauth: OAuthServer


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator["Application"]:
    """A serving process's application; call it after the last fork."""
    async with AsyncExitStack() as stack:
        database = await open_database(settings.database_url)
        stack.push_async_callback(database.close)
        store = Documents(database)
        await store.start()
        stack.push_async_callback(store.close)
        driver = Filesystem(settings.data)
        stack.callback(driver.close)
        audit = _audit(settings)
        stack.callback(audit.close)
        hashes = PasswordHashes()
        stack.callback(hashes.close)

        authorizer = RbacAuthorizer(store, time.monotonic)
        await authorizer.start()
        issuers = Issuers.open(settings.oidc, settings.ci)
        stack.push_async_callback(issuers.close)
        identities = _identities(settings, database, store, hashes, issuers)
        origins = Origins(
            settings.public_url, tuple(ip_network(each) for each in settings.trusted_proxies)
        )
        provisioning = Provisioning(
            store, authorizer, requestable, _provision(settings, store, identities.accounts)
        )
        registry = Registry(
            database,
            BlobStore(driver),
            Access(identities.authenticator, provisioning, origins),
            audit,
            provisioning,
            sparse=settings.sparse_manifests,
        )
        token = TokenService(
            TokenEndpoint(
                identities.authenticator, identities.tokens, provisioning, SERVICE, time.time
            ),
            origins,
            audit,
        )
        served = _served(settings, database, store, authorizer, identities)
        api = _api(served, authorizer, identities, audit, origins)
        oauth = OAuthApplication(identities.oauth, origins, audit, exchanges=bool(settings.ci))
        namespaced = [each.resource.key for each in served if each.resource.namespaced]
        ending = Ending(store, namespaced, lambda project: purge_all(database, project))
        for loop in _loops(settings, database, store, registry, identities, ending):
            stack.callback(asyncio.create_task(loop).cancel)
        others: dict[str, Handler] = {TOKEN_PATH: token, **dict.fromkeys(OAUTH_PATHS, oauth)}
        yield Application(registry, api, others, database, api.end_watches)


def _identities(
    settings: Settings,
    database: Database,
    store: Documents,
    hashes: PasswordHashes,
    issuers: Issuers,
) -> Identities:
    """Passwords, access tokens, service accounts, identity providers, exchanged tokens."""
    ring = KeyRing(lambda: keys.signing(database))
    groups = GroupIndex(store)
    directory = StoredAccounts(database, store, groups)
    passwords = PasswordLogin(directory, hashes, time.monotonic)
    accounts = ServiceAccountTokens(ring, store, hosts=settings.pull_secret_hosts)
    jobs = issuers.tokens(ring, groups)
    kinds = (
        LocalLogins(directory),
        AccessTokens(store, directory),
        accounts,
        jobs,
        issuers.logins(database, groups),
    )
    logins = Logins(kinds, time.monotonic)
    tokens = Tokens(ring, SERVICE, settings.token_lifetime)
    return Identities(
        passwords,
        accounts,
        logins,
        tokens,
        Authenticator(passwords, logins, tokens, time.time),
        OAuthServer(store, passwords, jobs if settings.ci else None, time.time),
    )


def _provision(
    settings: Settings, store: Documents, accounts: ServiceAccountTokens
) -> Provision | None:
    """How a push makes its project; None where it may not."""
    if not settings.provision_projects:
        return None

    async def make(project: str, user: User) -> None:
        signer = await accounts.signer(time.time())

        def unit(tx: DocumentTransaction) -> None:
            provision(tx, project, user, signer)

        await store.write(unit)

    return make


def _served(
    settings: Settings,
    database: Database,
    store: Documents,
    authorizer: RbacAuthorizer,
    identities: Identities,
) -> list[Served]:
    """Every resource of the API with what serves it, in the order of discovery."""
    return [
        *kinds_serving.serve(store),
        *accounts_serving.serve(store, identities.accounts, time.time),
        *projects_serving.serve(store, authorizer, identities.accounts, time.time),
        *rbac_serving.serve(store, authorizer),
        *users_serving.serve(store, database),
        *oauth_serving.serve(store, settings.public_url),
        Served(reviews.TOKEN_REVIEWS, reviews.TokenReviewStorage(identities.logins, time.time)),
        Served(reviews.SELF_SUBJECT_REVIEWS, reviews.SelfSubjectReviewStorage()),
    ]


def _api(
    served: list[Served],
    authorizer: RbacAuthorizer,
    identities: Identities,
    audit: Audit,
    origins: Origins,
) -> ApiApplication:
    """The Kubernetes API of these resources, with the documents that describe it."""
    resources = [each.resource for each in served]
    discovery = Discovery(resources)
    openapi = OpenApi(resources, "tidegate", __version__)
    return ApiApplication(
        served,
        ApiAuthenticator(identities.authenticator),
        authorizer,
        audit,
        client_of=origins.client,
        version=VERSION,
        pages={
            **discovery_pages(discovery, resources),
            **schema_pages(openapi, resources),
        },
        failures=FAILURES,
    )


FAILURES: Failures = {
    MetastoreFull: lambda _: InsufficientStorage("the server's storage is full: nothing was kept"),
    MetastoreBusy: lambda _: ServiceUnavailable("the server is overloaded", retry_after=1),
    MetastoreUnavailable: lambda _: ServiceUnavailable(
        "the metadata database is out of reach", retry_after=1
    ),
    HostInvalid: lambda error: BadRequest(str(error)),
}
"""What the API answers when a room behind its ports fails."""

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": f"v1.34.0+tidegate-{__version__}",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": f"{sys.platform}/{platform.machine()}",
}
"""`/version`: the Kubernetes release whose conventions are followed (clients compare it)."""


NAMESPACES_INTERVAL, PULL_SECRETS_INTERVAL = 5.0, 3600.0
"""Seconds between looks at all of them; what happens meanwhile is noticed at once."""


def _loops(
    settings: Settings,
    database: Database,
    store: Documents,
    registry: Registry,
    identities: Identities,
    ending: Ending,
) -> list[Coroutine[Any, Any, None]]:
    """What each process does again and again beside serving."""
    return [
        purge_uploads(registry.uploads, settings.upload_expiry, settings.purge_interval),
        compact_changes(database, settings.purge_interval),
        adopt_projects(database, store, lambda: identities.accounts.signer(time.time())),
        keep_namespaces(
            store,
            ending,
            identities.accounts.signer,
            NAMESPACES_INTERVAL,
        ),
        renew_pull_secrets(store, identities.accounts.signer, PULL_SECRETS_INTERVAL),
        purge_tokens(store, settings.purge_interval),
        expire_events(store, settings.purge_interval),
        rotate_keys(database, settings.key_lifetime, settings.purge_interval),
    ]


_REGISTRY = ("/v2/", ADMIN_BLOBS)
_API = ("/api/", "/apis/", "/openapi/")


class Application:
    """The front: one ASGI application for every path of the server."""

    def __init__(
        self,
        registry: Handler,
        api: Handler,
        others: Mapping[str, Handler],
        database: Database,
        end_streams: Callable[[], None],
    ) -> None:
        """`others` serve single paths; `end_streams` ends what would never end by itself."""
        self._registry = registry
        self._api = api
        self._end_streams = end_streams
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
        return self._paths.get(path, _not_found)

    async def drain(self, patience: float) -> None:
        """Turn new requests away until those in flight have ended, at most `patience` seconds."""
        self.draining = True
        self._end_streams()
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
