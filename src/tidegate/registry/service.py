"""The `/v2/` application: who asks, may she, which endpoint, what went wrong, what is recorded.

Endpoints do one thing each; everything that holds for all of them happens here, once, in this
order: route, authenticate, read the name, authorize, call, turn an error into an answer, record.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tidegate.auth.identity import NOBODY, Identity
from tidegate.auth.keys import Keys
from tidegate.auth.provisioning import Provisioning
from tidegate.images.point_in_time import is_reserved
from tidegate.images.proxies import Proxied
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore import repositories
from tidegate.metastore.database import Database
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.request_id import REQUEST_ID
from tidegate.observability.timestamp import rfc3339
from tidegate.oci.digest import Digest
from tidegate.oci.name import Reference, RepositoryName, parse_reference
from tidegate.registry.access import (
    DELETE_IMAGES,
    READ_METRICS,
    Access,
    delete_names,
    needed_action,
)
from tidegate.registry.blobs import Blobs
from tidegate.registry.errors import (
    Denied,
    EndpointUnknown,
    MethodNotAllowed,
    answer,
    error_response,
)
from tidegate.registry.manifests import Manifests, Pusher, answered
from tidegate.registry.metrics import Metrics
from tidegate.registry.mounts import Mounts
from tidegate.registry.names import NAMESPACE, Names
from tidegate.registry.pull_through.service import PullThrough
from tidegate.registry.referrers import Referrers
from tidegate.registry.repositories import Repositories
from tidegate.registry.request import Receive, Request, Scope, Send
from tidegate.registry.response import Response, json_response, write
from tidegate.registry.routes import Endpoint, Route, match
from tidegate.registry.signatures import Signatures
from tidegate.registry.tags import Tags
from tidegate.registry.upload_ids import UploadIds
from tidegate.registry.uploads import Uploads
from tidegate.storage.blobs import BlobStore
from tidegate.wire.errors import AnswerBroken, ClientGone

_LOG = logging.getLogger(__name__)

NOWHERE = Hosts()

CLIENT_GONE = 499
"""Status in the audit log of a request whose client did not wait for the answer."""

BROKEN = 502
"""Status in the audit log of an answer whose rest another registry did not give."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through: what is known of it so far."""

    request: Request
    route: Route
    repository: RepositoryName = field(default_factory=RepositoryName)
    proxied: Proxied | None = None
    identity: Identity = NOBODY
    action: str = ""
    claimed: str = ""
    detail: str = ""
    digest_answered: str = ""

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.route.reference)

    @property
    def reference(self) -> Reference:
        return parse_reference(self.route.reference)


Handler = Callable[[Exchange], Awaitable[Response]]


class Registry:
    """The distribution API as an ASGI application."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        access: Access,
        audit: Audit,
        projects: Provisioning,
        keys: Callable[[float], Awaitable[Keys]],
        *,
        hosts: Hosts = NOWHERE,
        through: PullThrough | None = None,
        sparse: bool = False,
    ) -> None:
        """`through` has what is named here and kept in other registries."""
        self._through = through
        self._names = Names(through)
        self._mounts = Mounts(database, access, through)
        self.uploads = Uploads(database, store, UploadIds(keys))
        self._database = database
        self._access = access
        self._audit = audit
        self._projects = projects
        self._catalog = Repositories(database)
        self._metrics = Metrics(database)
        self._signatures = Signatures(database)
        self._manifests = Manifests(database, store, hosts, through, sparse=sparse)
        self._blobs = Blobs(database, store, None if through is None else through.blobs.pull)
        self._handlers = self._table(
            self._blobs,
            Tags(database),
            Referrers(database),
        )

    def _table(
        self,
        blobs: Blobs,
        tags: Tags,
        referrers: Referrers,
    ) -> dict[Endpoint, dict[str, Handler]]:
        """Every endpoint with its methods; what is not here is 405."""
        uploads = self.uploads
        return {
            Endpoint.ROOT: _read(_ping),
            Endpoint.CATALOG: _read(self._list),
            Endpoint.SIGNATURES: {
                **_read(lambda x: self._signatures.page(x.repository, x.digest)),
                "PUT": lambda x: self._signatures.add(x.request, x.repository, x.digest),
            },
            Endpoint.METRICS: _read(lambda _: self._metrics.show()),
            Endpoint.ADMIN_BLOB: {"DELETE": lambda x: blobs.prune(x.digest)},
            Endpoint.BLOB: {
                **_read(lambda x: blobs.pull(x.request, x.repository, x.digest)),
                "DELETE": self._delete_blob,
            },
            Endpoint.UPLOADS: {"POST": self._start_upload},
            Endpoint.UPLOAD: {
                **_read(lambda x: uploads.status(x.repository, x.route.reference)),
                "PATCH": lambda x: uploads.append(x.request, x.repository, x.route.reference),
                "PUT": lambda x: uploads.finish(x.request, x.repository, x.route.reference),
                "DELETE": lambda x: uploads.cancel(x.repository, x.route.reference),
            },
            Endpoint.MANIFEST: {
                **_read(self._pull_manifest),
                "PUT": self._push_manifest,
                "DELETE": self._delete_manifest,
            },
            Endpoint.TAGS: _read(lambda x: tags.page(x.request, x.repository)),
            Endpoint.REFERRERS: _read(lambda x: referrers.page(x.request, x.repository, x.digest)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.time()
        request = Request(scope, receive)
        exchange = Exchange(request, match(request.raw_path))
        status, sent = CLIENT_GONE, 0
        try:
            response = await self._respond(exchange)
            await write(response, scope, send)
            status = response.status
            sent = response.size if request.method != "HEAD" else 0
            exchange.digest_answered = _digest_of(response)
        except AnswerBroken as error:
            status, exchange.detail = BROKEN, str(error)
        except ClientGone:
            exchange.detail = exchange.detail or "the client went away"
        finally:
            self._record(exchange, started, status, sent)

    async def _respond(self, exchange: Exchange) -> Response:
        """The endpoint's answer, or the error's."""
        try:
            return await self._call(exchange)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001  the top: every error becomes an answer
            exchange.detail = str(error)
            exchange.claimed = getattr(error, "claimed", "")
            known = answer(error)
            if known is None:
                _LOG.exception("%s %s failed", exchange.request.method, exchange.request.raw_path)
            return known or error_response(500, "UNKNOWN", "unknown error, see the server's log")

    async def _call(self, exchange: Exchange) -> Response:
        request, route = exchange.request, exchange.route
        methods = self._handlers.get(route.endpoint)
        if methods is None:
            raise EndpointUnknown
        exchange.identity = await self._access.identify(request)
        if route.endpoint is Endpoint.ROOT:
            exchange.action = "login"
            await self._access.require_login(request, exchange.identity)
        elif route.endpoint is Endpoint.CATALOG:
            exchange.action = "list"
            await self._access.require_catalog(request, exchange.identity)
        elif route.endpoint is Endpoint.METRICS:
            exchange.action = "metrics"
            await self._access.require_everywhere(request, exchange.identity, READ_METRICS)
        elif route.endpoint is Endpoint.ADMIN_BLOB:
            exchange.action = "prune"
            await self._access.require_everywhere(request, exchange.identity, DELETE_IMAGES)
        else:
            exchange.repository, exchange.proxied = await self._names.read(
                request, route.repository
            )
            exchange.action = needed_action(route.endpoint, request.method)
            await self._require(exchange)
        handler = methods.get(request.method)
        if handler is None:
            allow = ", ".join(methods).encode()
            raise MethodNotAllowed(f"{request.method} is not for this", [(b"allow", allow)])
        return await handler(exchange)

    async def _require(self, exchange: Exchange) -> None:
        """The rights of a request on one repository."""
        request, identity, repository = exchange.request, exchange.identity, exchange.repository
        if exchange.route.endpoint is Endpoint.SIGNATURES:
            await self._access.require(request, identity, repository, "pull")
            if exchange.action != "pull":
                await self._access.require_sign(request, identity, repository)
            return
        if exchange.action == "delete":
            if exchange.route.endpoint is not Endpoint.MANIFEST:
                await self._access.require_delete(
                    request, identity, repository, (repository.stream,)
                )
            return  # which tags go with a manifest is looked up first, see _delete_manifest
        await self._access.require(request, identity, repository, exchange.action)

    async def _make(self, exchange: Exchange) -> bool:
        """Let a push go on only where its project and stream are, or may be made by its user.

        True when the stream is not there and may be made.

        Asked where a push begins, and where one that needed no upload ends. Who hears that the
        project is missing may push everywhere, or she would have been refused before.
        """
        repository = exchange.repository
        if not await self._projects.ensure(exchange.identity.user, repository.project):
            raise Denied(f"there is no project {repository.project}")
        if await repositories.has_stream(self._database, repository):
            return False
        await self._access.require_create(exchange.request, exchange.identity, repository)
        return True

    async def _delete_blob(self, exchange: Exchange) -> Response:
        pruning = await self._access.prunes(exchange.identity)
        return await self._blobs.delete(exchange.repository, exchange.digest, pruning=pruning)

    async def _pull_manifest(self, exchange: Exchange) -> Response:
        """GET and HEAD of a manifest, of a mirrored registry's where the project mirrors one."""
        request, reference = exchange.request, exchange.reference
        proxied, through = exchange.proxied, self._through
        if proxied is None or through is None or is_reserved(reference):
            return await self._manifests.pull(request, exchange.repository, reference)
        user = exchange.identity.user.name
        pulled = await through.proxied.pull(request, user, proxied, reference)
        headers = list(pulled.headers)
        if request.parameter(NAMESPACE) is not None:
            headers.append((b"oci-namespace", proxied.location.host.encode()))
        return answered(request, pulled.manifest, headers)

    async def _push_manifest(self, exchange: Exchange) -> Response:
        """PUT of a manifest, decided again when all of it is here.

        A body takes as long as its client likes, and the login, the right or even the project may
        be gone by then, or another's.
        """
        request, repository = exchange.request, exchange.repository
        reference = exchange.reference  # one that is none makes nothing
        content = await self._manifests.receive(request)
        exchange.identity = await self._access.identify(request)
        await self._require(exchange)
        pusher = Pusher(exchange.identity.user.name, may_create=await self._make(exchange))
        return await self._manifests.push(request, repository, reference, content, pusher)

    async def _delete_manifest(self, exchange: Exchange) -> Response:
        repository, reference = exchange.repository, exchange.reference
        foreseen = await self._manifests.tags_of(repository, reference)
        await self._access.require_delete(
            exchange.request,
            exchange.identity,
            repository,
            delete_names(repository, reference, foreseen),
        )
        user = exchange.identity.user.name
        return await self._manifests.delete(repository, reference, foreseen, user)

    async def _list(self, exchange: Exchange) -> Response:
        shown = await self._access.shown_to(exchange.identity)
        return await self._catalog.page(exchange.request, shown)

    async def _start_upload(self, exchange: Exchange) -> Response:
        """POST to the uploads: a mount where one is asked for and may be, else a session."""
        wanted = exchange.request.parameter("mount")
        digest = Digest.parse(wanted) if wanted is not None else None
        await self._make(exchange)
        if digest is not None:
            repository, identity = exchange.repository, exchange.identity
            size = await self._mounts.find(exchange.request, identity, repository, digest)
            if size is not None:
                exchange.action = "mount"
                return await self.uploads.mount(exchange.repository, digest, size)
        return await self.uploads.start(exchange.request, exchange.repository)

    def _record(self, exchange: Exchange, started: float, status: int, sent: int) -> None:
        request = exchange.request
        self._audit.record(
            AuditEvent(
                time=rfc3339(started),
                action=exchange.action or request.method.lower(),
                user=exchange.claimed or exchange.identity.user.name,
                source=self._access.client(request),
                repository=exchange.repository,
                reference=exchange.route.reference,
                digest=exchange.digest_answered,
                status=status,
                bytes=sent,
                duration_ms=round((time.time() - started) * 1000, 3),
                request_id=REQUEST_ID.get(),
                user_agent=request.header(b"user-agent") or "",
                detail=exchange.detail,
            )
        )


def _read(handler: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler}


def _digest_of(response: Response) -> str:
    """The digest that a pull by tag found or a push stored, as the answer says it."""
    for name, value in response.headers:
        if name == b"docker-content-digest":
            return value.decode()
    return ""


async def _ping(_exchange: Exchange) -> Response:
    return json_response(200, {})
