"""`/openshift/token`: where clients turn a login into a token; `auth/token_endpoint.py` decides."""

import time

from tidegate.auth.challenge import basic_challenge
from tidegate.auth.errors import (
    AuthError,
    HostInvalid,
    InvalidCredentials,
    InvalidTokenRequest,
    Throttled,
)
from tidegate.auth.origin import Origins
from tidegate.auth.token_endpoint import (
    REQUEST_LIMIT,
    TokenEndpoint,
    TokenRequest,
    read_token_form,
    read_token_query,
)
from tidegate.metastore.errors import OUTAGES
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.request_id import REQUEST_ID
from tidegate.observability.timestamp import rfc3339
from tidegate.registry.access import realm_of
from tidegate.registry.errors import answer, error_response
from tidegate.registry.request import Receive, Request, Scope, Send
from tidegate.registry.response import Response, json_response, write
from tidegate.wire.errors import BodyTooLarge, ClientGone

_NO_STORE = (b"cache-control", b"no-store")  # RFC 6749 section 5.1


class TokenService:
    """The token endpoint as an ASGI application."""

    def __init__(self, endpoint: TokenEndpoint, origins: Origins, audit: Audit) -> None:
        self._endpoint = endpoint
        self._origins = origins
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for a token."""
        started = time.time()
        request = Request(scope, receive)
        client = self._origins.client(request.scope)
        user = detail = ""
        try:
            realm = realm_of(self._origins, request)
            issued = await self._endpoint.issue(await _read(request), client)
            user = issued.user.name
            response = json_response(200, issued.answer, [_NO_STORE])
        except HostInvalid as error:
            response = error_response(400, "UNSUPPORTED", str(error))
        except AuthError as error:
            user, detail = getattr(error, "user", ""), str(error)
            response = _refusal(realm, error)
        except BodyTooLarge as error:
            response = error_response(413, "SIZE_INVALID", str(error))
        except OUTAGES as error:
            response, detail = _come_again(error), str(error)
        except ClientGone:
            return
        await write(response, scope, send)
        self._audit.record(
            AuditEvent(
                time=rfc3339(started),
                action="login",
                user=user,
                source=client,
                status=response.status,
                duration_ms=round((time.time() - started) * 1000, 3),
                request_id=REQUEST_ID.get(),
                user_agent=request.header(b"user-agent") or "",
                detail=detail,
            )
        )


def _come_again(error: Exception) -> Response:
    response = answer(error)
    if response is None:
        raise error
    response.headers.append((b"retry-after", b"1"))
    return response


def _refusal(realm: str, error: AuthError) -> Response:
    if isinstance(error, Throttled):
        wait = (b"retry-after", str(error.retry_after).encode())
        return error_response(429, "TOOMANYREQUESTS", str(error), [wait])
    if isinstance(error, InvalidCredentials):
        challenge = basic_challenge(realm).encode("latin-1")
        return error_response(401, "UNAUTHORIZED", str(error), [(b"www-authenticate", challenge)])
    code = error.code if isinstance(error, InvalidTokenRequest) else "invalid_request"
    # RFC 6749 section 5.2 beside the registry's own form: clients read one or the other.
    body = {
        "error": code,
        "error_description": str(error),
        "errors": [{"code": "UNSUPPORTED", "message": str(error), "detail": None}],
    }
    return json_response(400, body, [_NO_STORE])


async def _read(request: Request) -> TokenRequest:
    authorization = request.header(b"authorization")
    if request.method in ("GET", "HEAD"):
        return read_token_query(request.scope["query_string"], authorization)
    if request.method != "POST":
        raise InvalidTokenRequest("ask for a token with GET or POST")
    body = await request.body(REQUEST_LIMIT)
    return read_token_form(body, request.header(b"content-type") or "", authorization)
