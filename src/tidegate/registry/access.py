"""What each request needs, and what a refusal says (DESIGN of access: one `Authorizer` decides).

anonymous and refused        401, with realm, service and scope: log in
token of too narrow a scope  401 insufficient_scope: clients fetch a wider one
the identity lacks the right 403 DENIED, the same whether the name exists or not
"""

from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.auth.access import Decision, decide
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.challenge import (
    INSUFFICIENT_SCOPE,
    INVALID_TOKEN,
    basic_challenge,
    bearer_challenge,
)
from tidegate.auth.errors import InvalidCredentials, Throttled, TokenInvalid
from tidegate.auth.identity import Identity
from tidegate.auth.origin import client_address, public_origin
from tidegate.auth.scope import CATALOG, Grant, repository_grant, rights
from tidegate.oci.name import RepositoryName
from tidegate.registry.errors import Denied, TooManyRequests, Unauthorized
from tidegate.registry.request import Request
from tidegate.registry.routes import Endpoint

SERVICE = "tidegate"
"""`service` of the challenge and audience of the tokens: one registry, whatever its host names."""

TOKEN_PATH = "/openshift/token"  # noqa: S105  a path

_READS = frozenset({"GET", "HEAD"})


class Origins(NamedTuple):
    """What is believed about where requests come from and how their senders reach us."""

    public_url: str
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]

    def client(self, request: Request) -> str:
        """The address that the request came from."""
        return client_address(request.scope["headers"], _peer(request), self.trusted_proxies)

    def realm(self, request: Request) -> str:
        """The URL of the token endpoint as this client reaches it."""
        tls = request.scope.get("scheme") == "https"
        origin = public_origin(
            request.scope["headers"],
            _peer(request),
            self.public_url,
            self.trusted_proxies,
            tls=tls,
        )
        return origin + TOKEN_PATH


def needed_action(endpoint: Endpoint, method: str) -> str:
    """Which of pull, push and delete a request to a repository is."""
    if method in _READS:
        return "push" if endpoint is Endpoint.UPLOAD else "pull"
    if method == "DELETE":
        return "push" if endpoint is Endpoint.UPLOAD else "delete"
    return "push"


class Access:
    """Who asks, and whether she may."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, origins: Origins
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._origins = origins

    def client(self, request: Request) -> str:
        """The address that the request came from."""
        return self._origins.client(request)

    async def identify(self, request: Request) -> Identity:
        """Who asks; `Unauthorized` for credentials that prove nothing."""
        authorization = request.header(b"authorization")
        client = self._origins.client(request)
        try:
            return await self._authenticator.authenticate(authorization, client)
        except Throttled as error:
            header = (b"retry-after", str(error.retry_after).encode())
            raise TooManyRequests(str(error), [header]) from error
        except TokenInvalid as error:
            raise self._unauthorized(request, (), INVALID_TOKEN, str(error)) from error
        except InvalidCredentials as error:
            challenge = basic_challenge(self._origins.realm(request))
            raise Unauthorized(str(error), [_challenge(challenge)]) from error

    async def require_login(self, request: Request, identity: Identity) -> None:
        """The ping: being somebody is enough."""
        await self._require(request, identity, None, ())

    async def require_catalog(self, request: Request, identity: Identity) -> None:
        """Listing every repository."""
        await self._require(request, identity, CATALOG, (CATALOG,))

    async def require(
        self, request: Request, identity: Identity, repository: RepositoryName, action: str
    ) -> None:
        """One action on one repository; raises what to answer when it may not be."""
        needed = repository_grant(repository, action)
        # Clients that push ask for both, as a push reads what is already there.
        wanted = repository_grant(repository, "pull", "push") if action == "push" else needed
        await self._require(request, identity, needed, (wanted,))

    async def may_mount(
        self,
        request: Request,
        identity: Identity,
        source: RepositoryName,
        target: RepositoryName,
    ) -> bool:
        """Whether a blob of `source` may be mounted: whoever may pull it there may.

        A refusal is no error, so that nobody learns what other repositories hold. Where only the
        token is too narrow the client is told, and asks for one that covers both.
        """
        needed = repository_grant(source, "pull")
        decision = await decide(identity, rights(needed), needed, self._authorizer)
        if decision is Decision.INSUFFICIENT_SCOPE:
            wanted = (repository_grant(target, "pull", "push"), needed)
            raise self._unauthorized(request, wanted, INSUFFICIENT_SCOPE)
        return decision is Decision.ALLOWED

    async def _require(
        self,
        request: Request,
        identity: Identity,
        needed: Grant | None,
        wanted: tuple[Grant, ...],
    ) -> None:
        alternatives = rights(needed) if needed is not None else ()
        decision = await decide(identity, alternatives, needed, self._authorizer)
        if decision is Decision.UNAUTHENTICATED:
            raise self._unauthorized(request, wanted)
        if decision is Decision.INSUFFICIENT_SCOPE:
            raise self._unauthorized(request, wanted, INSUFFICIENT_SCOPE)
        if decision is Decision.DENIED:
            raise Denied

    def _unauthorized(
        self,
        request: Request,
        wanted: tuple[Grant, ...],
        error: str | None = None,
        message: str = "",
    ) -> Unauthorized:
        value = bearer_challenge(self._origins.realm(request), SERVICE, wanted, error)
        return Unauthorized(message, [_challenge(value)])


def _challenge(value: str) -> tuple[bytes, bytes]:
    return (b"www-authenticate", value.encode("latin-1"))


def _peer(request: Request) -> str:
    client = request.scope.get("client")
    return client[0] if client else ""
