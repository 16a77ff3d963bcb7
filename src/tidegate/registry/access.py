"""What each request needs, and what a refusal says (DESIGN of access: one `Authorizer` decides).

anonymous and refused        401, with realm, service and scope: log in
token of too narrow a scope  401 insufficient_scope: clients fetch a wider one
the identity lacks the right 403 DENIED, the same whether the name exists or not
"""

from collections.abc import Callable, Sequence

from tidegate.apimachinery.authorizer import Attributes, Judge
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
from tidegate.auth.origin import Origins
from tidegate.auth.scope import CATALOG, Grant, repository_grant, rights
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.registry.errors import Denied, TooManyRequests, Unauthorized
from tidegate.registry.request import Request
from tidegate.registry.routes import Endpoint

SERVICE = "tidegate"
"""`service` of the challenge and audience of the tokens: one registry, whatever its host names."""

TOKEN_PATH = "/openshift/token"  # noqa: S105  a path

READS = frozenset({"GET", "HEAD"})


def realm_of(origins: Origins, request: Request) -> str:
    """The URL of the token endpoint as this client reaches it."""
    return origins.origin(request.scope) + TOKEN_PATH


DELETE_IMAGES = Attributes("delete", "images")
"""The cluster-wide right that suffices for every delete (`system:image-pruner` has it)."""

READ_METRICS = Attributes("get", "registry/metrics")

SIGN = Attributes("create", "imagesignatures")

EVERYWHERE = Grant("registry", "everything", frozenset("*"))
"""What no token of the token endpoint carries."""

LIST_EVERYWHERE = Attributes("list", "imagestreams")


def delete_names(
    repository: RepositoryName, reference: Tag | Digest, tags: Sequence[Tag]
) -> tuple[str, ...]:
    """Names of the imagestreamtags that deleting `reference` takes away.

    A manifest goes with all its `tags`; one without any is asked about under `stream@digest`, the
    name that OpenShift gives to an image of a stream, which no rule for a single tag matches.
    """
    if isinstance(reference, Tag):
        return (f"{repository.stream}:{reference}",)
    names = tuple(f"{repository.stream}:{tag}" for tag in tags)
    return names or (f"{repository.stream}@{reference}",)


def needed_action(endpoint: Endpoint, method: str) -> str:
    """Which of pull, push and delete a request to a repository is."""
    if method in READS:
        return "push" if endpoint is Endpoint.UPLOAD else "pull"
    if method == "DELETE":
        return "push" if endpoint is Endpoint.UPLOAD else "delete"
    return "push"


class Access:
    """Who asks, and whether she may."""

    def __init__(self, authenticator: Authenticator, authorizer: Judge, origins: Origins) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._origins = origins

    def client(self, request: Request) -> str:
        """The address that the request came from."""
        return self._origins.client(request.scope)

    async def identify(self, request: Request) -> Identity:
        """Who asks; `Unauthorized` for credentials that prove nothing."""
        authorization = request.header(b"authorization")
        client = self._origins.client(request.scope)
        try:
            return await self._authenticator.authenticate(authorization, client)
        except Throttled as error:
            header = (b"retry-after", str(error.retry_after).encode())
            raise TooManyRequests(str(error), [header], error.user) from error
        except TokenInvalid as error:
            raise self._unauthorized(request, (), INVALID_TOKEN, str(error)) from error
        except InvalidCredentials as error:
            challenge = basic_challenge(realm_of(self._origins, request))
            raise Unauthorized(str(error), [_challenge(challenge)], error.user) from error

    async def require_login(self, request: Request, identity: Identity) -> None:
        """The ping: being somebody is enough."""
        await self._require(request, identity, None, ())

    async def require_catalog(self, request: Request, identity: Identity) -> None:
        """Listing repositories: for everybody who is somebody; her rights say what she sees."""
        anybody = (LIST_EVERYWHERE,) if identity.is_anonymous else ()
        await self._demand(request, identity, anybody, CATALOG, (CATALOG,))

    async def require(
        self, request: Request, identity: Identity, repository: RepositoryName, action: str
    ) -> None:
        """One action on one repository; raises what to answer when it may not be."""
        needed = repository_grant(repository, action)
        # Clients that push ask for both, as a push reads what is already there.
        wanted = repository_grant(repository, "pull", "push") if action == "push" else needed
        await self._require(request, identity, needed, (wanted,))

    async def require_create(
        self, request: Request, identity: Identity, repository: RepositoryName
    ) -> None:
        """A push that would make the repository: its pusher may create a stream of that name."""
        needed = repository_grant(repository, "push")
        create = Attributes("create", "imagestreams", repository.project)
        await self._demand(request, identity, (create,), needed, (needed,))

    async def require_delete(
        self,
        request: Request,
        identity: Identity,
        repository: RepositoryName,
        names: Sequence[str],
    ) -> None:
        """A delete that takes the tags `names` (or what `delete_names` says) with it.

        Each has to be hers to delete; whoever may delete images may delete anything.
        """
        needed = repository_grant(repository, "delete")
        for name in names:
            tag = Attributes("delete", "imagestreamtags", repository.project, name)
            await self._demand(request, identity, (tag, DELETE_IMAGES), needed, (needed,))

    async def prunes(self, identity: Identity) -> bool:
        """Whether she looks after all images of the registry, as `oc adm prune images` does."""
        return await self._authorizer.authorize(identity.user, DELETE_IMAGES)

    async def require_everywhere(
        self, request: Request, identity: Identity, right: Attributes
    ) -> None:
        """What concerns the whole registry: for who may, by a login's own token, not a scoped one.

        That is `DELETE_IMAGES` to prune a blob, whoever has it, and `READ_METRICS`.
        """
        await self._demand(request, identity, (right,), EVERYWHERE, (EVERYWHERE,))

    async def require_sign(
        self, request: Request, identity: Identity, repository: RepositoryName
    ) -> None:
        """Signing an image: for who may sign everywhere, as a signature is its image's everywhere.

        A scoped token has to be one for pushing to the repository, with which clients sign what
        they have just pushed.
        """
        needed = repository_grant(repository, "push")
        wanted = repository_grant(repository, "pull", "push")
        await self._demand(request, identity, (SIGN,), needed, (wanted,))

    async def shown_to(self, identity: Identity) -> Callable[[RepositoryName], bool]:
        """Which repositories are shown to her: those that she may pull from, as of now."""
        judge = await self._authorizer.judge(identity.user)
        return lambda repository: judge(rights(repository_grant(repository, "pull"))[0])

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
        await self._demand(request, identity, alternatives, needed, wanted)

    async def _demand(
        self,
        request: Request,
        identity: Identity,
        alternatives: tuple[Attributes, ...],
        needed: Grant | None,
        wanted: tuple[Grant, ...],
    ) -> None:
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
        value = bearer_challenge(realm_of(self._origins, request), SERVICE, wanted, error)
        return Unauthorized(message, [_challenge(value)])


def _challenge(value: str) -> tuple[bytes, bytes]:
    return (b"www-authenticate", value.encode("latin-1"))
