"""The OAuth server's paths as one ASGI application; the rest of the folder decides.

/.well-known/oauth-authorization-server    what there is
/oauth/authorize                           log in, by challenge or by page, for a code
/oauth/token                               a token for a code, or for somebody else's token
/oauth/token/request, display, implicit    a token in the browser, and what to do with one
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlencode

from tidegate.apimachinery.errors import RequestTooLarge
from tidegate.apimachinery.http.request import Receive, Request, Scope, Send
from tidegate.apimachinery.http.response import Answer, json_answer, write
from tidegate.auth.credentials import Basic, parse_authorization
from tidegate.auth.errors import (
    AuthError,
    InvalidCredentials,
    InvalidTokenRequest,
    Throttled,
    TokenInvalid,
)
from tidegate.auth.oauth import csrf
from tidegate.auth.oauth.authorize import AuthorizeRequest, SentBack, one, read_authorize
from tidegate.auth.oauth.clients import (
    AUTHORIZE,
    BROWSER,
    DISPLAY_TOKEN,
    IMPLICIT_TOKEN,
    REQUEST_TOKEN,
    TOKEN,
)
from tidegate.auth.oauth.grant import Fields, InvalidClient, read_fields, read_form
from tidegate.auth.oauth.pages import Page, code_page, fault_page, login_page, token_page
from tidegate.auth.oauth.server import Granted, OAuthServer, metadata
from tidegate.auth.origin import Origins
from tidegate.metastore.errors import MetastoreError
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.request_id import REQUEST_ID
from tidegate.observability.timestamp import rfc3339
from tidegate.wire.errors import BodyStalled, ClientGone

T = TypeVar("T")

METADATA = "/.well-known/oauth-authorization-server"

_NO_STORE = (b"cache-control", b"no-store")
_CHALLENGE = (b"www-authenticate", b'Basic realm="openshift"')
_WARNING = (
    b"warning",
    b'199 tidegate "A non-empty X-CSRF-Token header is required to receive basic-auth challenges"',
)

_IMPLICIT_TEXT = b"""\
You were sent here with the answer to an authorization request, which is in the address: a code as
the parameter "code", or a token as "access_token" after the "#". Read it there; nothing else comes.
"""


class OAuthApplication:
    """Serves `PATHS`."""

    def __init__(
        self, server: OAuthServer, origins: Origins, audit: Audit, *, exchanges: bool = False
    ) -> None:
        self._server = server
        self._origins = origins
        self._audit = audit
        self._exchanges = exchanges
        self._endpoints: dict[tuple[str, str], Callable[[Request], Awaitable[Answer]]] = {
            ("GET", METADATA): self._metadata,
            ("GET", AUTHORIZE): self._authorize,
            ("POST", AUTHORIZE): self._log_in,
            ("POST", TOKEN): self._token,
            ("GET", REQUEST_TOKEN): self._request_token,
            ("GET", DISPLAY_TOKEN): self._offer_token,
            ("POST", DISPLAY_TOKEN): self._show_token,
            ("GET", IMPLICIT_TOKEN): self._implicit,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = self._endpoints.get((method, request.path))
        try:
            answer = await endpoint(request) if endpoint is not None else self._no_endpoint(request)
        except SentBack as error:
            answer = _redirect(error.location)
        except AuthError as error:
            answer = _refusal(error)
        except RequestTooLarge as error:
            answer = json_answer(413, {"error": "invalid_request", "error_description": str(error)})
        except MetastoreError:
            answer = json_answer(503, {"error": "temporarily_unavailable"})
            answer.headers.append((b"retry-after", b"1"))
        except BodyStalled:
            answer = json_answer(408, {"error": "invalid_request"})
        except ClientGone:
            return
        answer.headers.append(_NO_STORE)
        await write(answer, request.method, receive, send)

    async def _metadata(self, request: Request) -> Answer:
        origin = self._origins.origin(request.scope)
        return json_answer(200, metadata(origin, exchanges=self._exchanges))

    async def _authorize(self, request: Request) -> Answer:
        asked = self._read(request)
        if not asked.client.challenges:
            return self._login_page(request, asked)
        if not request.header(b"x-csrf-token"):
            # A browser that was sent here by another site must neither ask its user for a
            # password nor send one that it remembers.
            return Answer(401, b"send an X-CSRF-Token header", "text/plain", [_WARNING])
        header = request.header(b"authorization")
        if not header:
            return _challenge()
        credentials = parse_authorization(header)
        if not isinstance(credentials, Basic):
            raise InvalidCredentials("log in with a password")
        return await self._sent_on(request, asked, credentials)

    async def _log_in(self, request: Request) -> Answer:
        """The login page's form."""
        asked = self._read(request)
        if asked.client.challenges:
            raise InvalidTokenRequest("this client is challenged, not asked by a page")
        fields = await _form(request)
        if not self._is_ours(request, one(fields, "csrf")):
            return self._login_page(request, asked, "This page had expired. Please try again.", 403)
        credentials = Basic(one(fields, "username"), one(fields, "password"))
        try:
            return await self._sent_on(request, asked, credentials)
        except Throttled as error:
            answer = self._login_page(request, asked, "Too many attempts. Please wait.", 429)
            answer.headers.append((b"retry-after", str(error.retry_after).encode()))
            return answer
        except InvalidCredentials:
            return self._login_page(request, asked, "Invalid user name or password.", 403)

    async def _sent_on(
        self, request: Request, asked: AuthorizeRequest, credentials: Basic
    ) -> Answer:
        name, client = credentials.name, self._origins.client(request.scope)
        return _redirect(
            await self._audited(
                request,
                self._server.authorize(asked, name, credentials.password, client),
                lambda _: name,
            )
        )

    async def _token(self, request: Request) -> Answer:
        fields = await _form(request)
        granted = await self._audited(
            request, self._server.grant(fields, request.header(b"authorization")), _user_of
        )
        return json_answer(200, granted.answer)

    async def _request_token(self, request: Request) -> Answer:
        origin = self._origins.origin(request.scope)
        parameters = {
            "client_id": BROWSER.name,
            "redirect_uri": origin + DISPLAY_TOKEN,
            "response_type": "code",
        }
        return _redirect(f"{origin}{AUTHORIZE}?{urlencode(parameters)}")

    async def _offer_token(self, request: Request) -> Answer:
        fields = read_fields(request.scope["query_string"])
        if code := one(fields, "code"):
            return self._with_cookie(
                request, lambda secret: code_page(DISPLAY_TOKEN, code, secret), 200
            )
        fault = one(fields, "error_description") or "The address carries no code."
        return _html(fault_page(fault, REQUEST_TOKEN), 400)

    async def _show_token(self, request: Request) -> Answer:
        fields = await _form(request)
        if not self._is_ours(request, one(fields, "csrf")):
            return _html(fault_page("This page had expired.", REQUEST_TOKEN), 403)
        origin = self._origins.origin(request.scope)
        try:
            granted = await self._audited(
                request,
                self._server.redeem_shown(one(fields, "code"), origin + DISPLAY_TOKEN),
                _user_of,
            )
        except InvalidTokenRequest:
            return _html(
                fault_page("The code was used already, or is too old.", REQUEST_TOKEN), 400
            )
        return _html(token_page(granted.answer.access_token, origin, REQUEST_TOKEN), 200)

    async def _implicit(self, _request: Request) -> Answer:
        return Answer(200, _IMPLICIT_TEXT, "text/plain; charset=utf-8")

    def _read(self, request: Request) -> AuthorizeRequest:
        fields = read_fields(request.scope["query_string"])
        return read_authorize(fields, self._origins.origin(request.scope))

    def _login_page(
        self, request: Request, asked: AuthorizeRequest, fault: str = "", status: int = 200
    ) -> Answer:
        action = f"{AUTHORIZE}?{request.scope['query_string'].decode('ascii')}"
        return self._with_cookie(
            request, lambda secret: login_page(action, secret, asked.redirect_uri, fault), status
        )

    def _with_cookie(self, request: Request, page: Callable[[str], Page], status: int) -> Answer:
        """A page whose form carries the secret of the browser's cookie, which is set if need be."""
        tls = self._is_tls(request)
        secret = csrf.read_cookie(request.header(b"cookie"), tls=tls)
        answer = _html(page(secret or (made := csrf.new_secret())), status)
        if not secret:
            answer.headers.append(csrf.set_cookie(made, tls=tls))
        return answer

    def _is_ours(self, request: Request, field: str) -> bool:
        cookie = csrf.read_cookie(request.header(b"cookie"), tls=self._is_tls(request))
        return csrf.matches(cookie, field)

    def _is_tls(self, request: Request) -> bool:
        return self._origins.origin(request.scope).startswith("https:")

    async def _audited(
        self, request: Request, attempt: Awaitable[T], user_of: Callable[[T], str]
    ) -> T:
        """The outcome of an attempt to log in, which the audit log hears of either way."""
        started = time.time()
        try:
            outcome = await attempt
        except AuthError as error:
            self._record(request, started, getattr(error, "user", ""), _status(error), str(error))
            raise
        self._record(request, started, user_of(outcome), 200, "")
        return outcome

    def _record(
        self, request: Request, started: float, user: str, status: int, detail: str
    ) -> None:
        self._audit.record(
            AuditEvent(
                time=rfc3339(started),
                action="login",
                user=user,
                source=self._origins.client(request.scope),
                status=status,
                duration_ms=round((time.time() - started) * 1000, 3),
                request_id=REQUEST_ID.get(),
                user_agent=request.header(b"user-agent"),
                detail=detail,
            )
        )

    def _no_endpoint(self, request: Request) -> Answer:
        allowed = [method for method, path in self._endpoints if path == request.path]
        if not allowed:
            return Answer(404, b"not found", "text/plain")
        header = (b"allow", ", ".join(allowed).encode())
        return Answer(405, b"method not allowed", "text/plain", [header])


PATHS = frozenset({METADATA, AUTHORIZE, TOKEN, REQUEST_TOKEN, DISPLAY_TOKEN, IMPLICIT_TOKEN})
"""What the front hands to `OAuthApplication`."""


def _user_of(granted: Granted) -> str:
    return granted.user


def _html(page: Page, status: int) -> Answer:
    return Answer(status, page.html.encode(), "text/html; charset=utf-8", list(page.headers))


def _redirect(location: str) -> Answer:
    headers = [(b"location", location.encode("latin-1")), (b"referrer-policy", b"no-referrer")]
    return Answer(302, b"", "text/plain", headers)


def _challenge(text: str = "log in") -> Answer:
    return Answer(401, text.encode(), "text/plain", [_CHALLENGE])


def _status(error: AuthError) -> int:
    if isinstance(error, Throttled):
        return 429
    if isinstance(error, TokenInvalid):
        return 400  # RFC 8693 section 2.2.2: a subject token that does not hold
    return 401 if isinstance(error, (InvalidCredentials, InvalidClient)) else 400


def _refusal(error: AuthError) -> Answer:
    """RFC 6749 section 5.2, or a challenge; a wrong password is answered without a hint."""
    if isinstance(error, InvalidCredentials) and not isinstance(error, TokenInvalid):
        return _challenge(str(error))
    code = "invalid_request"
    if isinstance(error, InvalidTokenRequest):
        code = error.code
    elif isinstance(error, InvalidClient):
        code = "invalid_client"
    elif isinstance(error, Throttled):
        code = "temporarily_unavailable"
    answer = json_answer(_status(error), {"error": code, "error_description": str(error)})
    if isinstance(error, InvalidClient):
        answer.headers.append(_CHALLENGE)
    if isinstance(error, Throttled):
        answer.headers.append((b"retry-after", str(error.retry_after).encode()))
    return answer


async def _form(request: Request) -> Fields:
    return read_form(await request.body(), request.header(b"content-type"))
