"""The API application: every request goes through here, in one order.

Route, authenticate, impersonate, authorize, look up, call the verb, turn an error into a Status,
record. Nothing is looked up before the authorizer agreed, so a refusal tells nothing about what
exists. Invariant: one answer per request; a stream that fails says so inside itself.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tidegate.apimachinery.authorizer import Attributes, Authorizer, User
from tidegate.apimachinery.errors import ApiError, MethodNotAllowed, PathNotFound, TooManyRequests
from tidegate.apimachinery.http.access import require
from tidegate.apimachinery.http.deleting import delete, delete_collection
from tidegate.apimachinery.http.endpoints import Endpoints, Served
from tidegate.apimachinery.http.errors import Failures, known, unforeseen
from tidegate.apimachinery.http.exchange import Exchange
from tidegate.apimachinery.http.impersonation import acting_user
from tidegate.apimachinery.http.pages import Page
from tidegate.apimachinery.http.parameters import boolean
from tidegate.apimachinery.http.patching import patch
from tidegate.apimachinery.http.reading import get, list_objects
from tidegate.apimachinery.http.request import Headers, Receive, Request, Scope, Send
from tidegate.apimachinery.http.response import Answer, add_warnings, failure, json_answer, write
from tidegate.apimachinery.http.routes import Target, target_of, verb_of
from tidegate.apimachinery.http.unread import LARGE, Unread
from tidegate.apimachinery.http.watching import Watches
from tidegate.apimachinery.http.writing import create, update
from tidegate.apimachinery.storage import Call
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.request_id import REQUEST_ID
from tidegate.observability.timestamp import rfc3339
from tidegate.wire.errors import ClientGone

_LOG = logging.getLogger(__name__)

CLIENT_GONE = 499
"""Status in the audit log of a request whose client did not wait for the answer."""

_ONE_NAME = re.compile(r"(?:^|,)metadata\.name==?([^,=!]+)(?:,|$)")

WRITES = ("create", "update", "patch", "delete", "deletecollection")

Authenticate = Callable[[Headers, str], Awaitable[User]]
"""Who sends a request with these headers from this address; raises `Unauthorized`."""

Verb = Callable[[Exchange], Awaitable[Answer]]
"""What a verb does with an authorized request."""


@dataclass(slots=True)
class _Trail:
    """What is known of a request so far, for the audit event."""

    source: str
    user: str = ""
    verb: str = ""
    reference: str = ""
    detail: str = ""
    warnings: list[str] = field(default_factory=list)

    def name(self, made: str) -> None:
        """Note the name of an object that the request made."""
        if made:
            separator = "/" if " " in self.reference else " "
            self.reference += separator + made


class ApiApplication:
    """The Kubernetes API of a list of resources.

    `client_of` gives the client's address from a scope. `pages` answer the paths that are no
    resource, /version beside them. `failures` are the exceptions of the rooms behind the ports.
    """

    def __init__(
        self,
        served: Sequence[Served],
        authenticate: Authenticate,
        authorizer: Authorizer,
        audit: Audit,
        *,
        client_of: Callable[[Scope], str],
        version: Mapping[str, str],
        pages: Mapping[str, Page],
        failures: Failures,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoints = Endpoints(served, clock)
        self._authenticate = authenticate
        self._authorizer = authorizer
        self._audit = audit
        self._client_of = client_of
        self._failures = failures
        self._passing: tuple[type[Exception], ...] = (TooManyRequests, *failures)
        self._clock = clock
        self._unread = Unread()
        self._watches = Watches(failures, self._unread)
        self._pages: dict[str, Page] = {
            **pages,
            "/version": lambda _: json_answer(200, dict(version)),
        }
        self._verbs: dict[str, Verb] = {
            "get": get,
            "list": list_objects,
            "watch": self._watches.start,
            "create": lambda exchange: create(exchange, clock),
            "update": lambda exchange: update(exchange, authorizer, clock),
            "patch": lambda exchange: patch(exchange, authorizer, clock),
            "delete": delete,
            "deletecollection": delete_collection,
        }

    def end_watches(self) -> None:
        """End every watch cleanly: the process drains."""
        self._watches.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = self._clock()
        request = Request(scope, receive)
        trail = _Trail(self._client_of(scope))
        status = CLIENT_GONE
        try:
            answer = await self._respond(request, trail)
            add_warnings(answer, trail.warnings)
            status = answer.status
            trail.name(answer.made)
            if len(answer.body) > LARGE:
                with self._unread.held(trail.user, len(answer.body)):
                    await write(answer, request.method, receive, send)
            else:
                await write(answer, request.method, receive, send)
        except ClientGone:
            trail.detail = trail.detail or "the client went away"
        finally:
            if trail.verb in WRITES or status in (401, 403, 429):
                self._record(request, trail, started, status)

    async def _respond(self, request: Request, trail: _Trail) -> Answer:
        """The answer to a request, or to what went wrong."""
        try:
            answer = await self._answer(request, trail)
            if len(answer.body) > LARGE:
                self._unread.check(trail.user, len(answer.body))
            return answer
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001  the top: every error becomes a Status
            return failure(self._said(error, request, trail))

    def _said(self, error: Exception, request: Request, trail: _Trail) -> ApiError:
        """What an error is told as.

        Not where it was caught: a name for it there would be a cycle of error, traceback and
        frame, and keep the large objects of a request until the collector comes.
        """
        said = known(error, self._failures)
        trail.user = trail.user or getattr(said, "claimed", "")
        if said is None:
            _LOG.exception("%s %s failed", request.method, request.path)
        return said or unforeseen()

    async def _answer(self, request: Request, trail: _Trail) -> Answer:
        real = await self._authenticate(request.headers, trail.source)
        trail.user = real.name
        target = target_of(request.path)
        if target is None:
            trail.verb, trail.reference = request.method.lower(), request.path
        else:
            watch = bool(boolean(request, "watch"))
            trail.verb = verb_of(request.method, target, watch=watch)
            trail.reference = _reference(target)
        if wanted := request.header(b"impersonate-user"):
            trail.detail = f"as {wanted}"
        user = await acting_user(request, real, self._authorizer)
        if target is None:
            return await self._page(request, user)
        return await self._resource(request, target, user, trail)

    async def _page(self, request: Request, user: User) -> Answer:
        method = "get" if request.method == "HEAD" else request.method.lower()
        await require(self._authorizer, user, Attributes(method, path=request.path, group=""))
        page = self._pages.get(request.path.rstrip("/"))
        if page is None:
            raise PathNotFound
        if method != "get":
            raise MethodNotAllowed
        # the first to ask for a schema has it made, which others need not wait for
        return await asyncio.to_thread(page, request)

    async def _resource(
        self, request: Request, target: Target, user: User, trail: _Trail
    ) -> Answer:
        asked = Attributes(
            trail.verb or request.method.lower(),
            f"{target.resource}/{target.subresource}" if target.subresource else target.resource,
            self._endpoints.namespace_judged(target),
            target.name or _selected_name(request, trail.verb),
            target.group,
        )
        await require(self._authorizer, user, asked)
        endpoint = self._endpoints.find(target, trail.verb)
        call = Call(
            user=user,
            verb=trail.verb,
            namespace=target.namespace if endpoint.resource.namespaced else "",
            name=target.name,
            subresource=target.subresource,
            warnings=trail.warnings,
            source=trail.source,
        )
        still = partial(self._check_again, request, trail.source, asked)
        return await self._verbs[trail.verb](Exchange(request, endpoint, call, asked, still))

    async def _check_again(self, request: Request, source: str, asked: Attributes) -> None:
        """Refuse who may no more; what cannot be found out just now is found out next time."""
        try:
            real = await self._authenticate(request.headers, source)
            await require(
                self._authorizer, await acting_user(request, real, self._authorizer), asked
            )
        except self._passing:
            return

    def _record(self, request: Request, trail: _Trail, started: float, status: int) -> None:
        detail = trail.detail
        if request.parameters("dryRun"):
            detail = f"{detail}, dry run" if detail else "dry run"
        self._audit.record(
            AuditEvent(
                time=rfc3339(started),
                action=trail.verb or request.method.lower(),
                user=trail.user,
                source=trail.source,
                reference=trail.reference or request.path,
                status=status,
                duration_ms=round((self._clock() - started) * 1000, 3),
                request_id=REQUEST_ID.get(),
                user_agent=request.header(b"user-agent"),
                detail=detail,
            )
        )


def _reference(target: Target) -> str:
    """`roles.rbac.authorization.k8s.io NAMESPACE/NAME`, as the audit log names an object."""
    resource = f"{target.resource}.{target.group}" if target.group else target.resource
    if target.subresource:
        resource = f"{resource}/{target.subresource}"
    where = "/".join(each for each in (target.namespace, target.name) if each)
    return f"{resource} {where}".rstrip()


def _selected_name(request: Request, verb: str) -> str:
    """The one name that a list or watch selects: a right to that object alone suffices.

    A selector with an escape in it is not looked into, so that what is judged is never narrower
    than what is selected.
    """
    if verb not in ("list", "watch"):
        return ""
    selector = request.parameter("fieldSelector")
    match = None if "\\" in selector else _ONE_NAME.search(selector)
    return match[1] if match else ""
