"""Group authentication.k8s.io: whose token is this, and who am I. Nothing is stored."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import field

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Call
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import Logins

GROUP, VERSION = "authentication.k8s.io", "v1"


class UserInfo(Wire):
    """Somebody, as an authenticator knows her."""

    username: Annotated[str, doc("Name that identifies the user among all.")] = ""
    uid: Annotated[str, doc("Identifies the user in time and space.")] = ""
    groups: Annotated[list[str], doc("Groups that the user is in.", list_type="atomic")] = field(
        default_factory=list
    )
    extra: Annotated[dict[str, list[str]], doc("What else the authenticator knows.")] = field(
        default_factory=dict
    )


class TokenReviewSpec(Wire):
    """What is asked: about which token, for whom."""

    token: Annotated[str, doc("The token.")] = ""
    audiences: Annotated[
        list[str],
        doc("Audiences one of which the token has to be for; none for the API's.",
            list_type="atomic"),
    ] = field(default_factory=list)  # fmt: skip


class TokenReviewStatus(Wire):
    """Who the token proves, if anybody."""

    authenticated: Annotated[bool, doc("Whether the token proves somebody.")] = False
    user: Annotated[UserInfo | None, doc("Whom it proves.")] = None
    audiences: Annotated[
        list[str], doc("Those of the audiences asked for that it is for.", list_type="atomic")
    ] = field(default_factory=list)
    error: Annotated[str, doc("Why it proves nobody.")] = ""


class TokenReview(Object, kw_only=True):
    """TokenReview asks whom a token proves; it is answered and not stored."""

    spec: Annotated[TokenReviewSpec, doc("What is asked.")] = field(default_factory=TokenReviewSpec)
    status: Annotated[TokenReviewStatus, doc("The answer, set by the server.")] = field(
        default_factory=TokenReviewStatus
    )


class SelfSubjectReviewStatus(Wire):
    """Who the caller is."""

    user_info: Annotated[UserInfo, doc("The caller.")] = field(default_factory=UserInfo)


class SelfSubjectReview(Object):
    """SelfSubjectReview tells the caller who she is; it is answered and not stored."""

    status: Annotated[SelfSubjectReviewStatus, doc("The answer, set by the server.")] = field(
        default_factory=SelfSubjectReviewStatus
    )


class TokenReviewStorage:
    """Answers TokenReviews; `clock` gives seconds since the epoch."""

    def __init__(self, logins: Logins, clock: Callable[[], float]) -> None:
        self._logins = logins
        self._clock = clock

    async def create(self, _call: Call, new: TokenReview) -> bytes:
        if not new.spec.token:
            raise BadRequest("token is required for TokenReview in authentication")
        new.status = await self._answer(new.spec)
        return msgspec.json.encode(new)

    async def _answer(self, asked: TokenReviewSpec) -> TokenReviewStatus:
        audiences = tuple(asked.audiences)
        try:
            login = await self._logins.authenticate(asked.token, self._clock(), audiences)
        except TokenInvalid as error:
            return TokenReviewStatus(error=str(error))
        common = [each for each in login.audiences if each in audiences]
        if audiences and not common:
            return TokenReviewStatus(error="token audiences are not those asked for")
        return TokenReviewStatus(authenticated=True, user=described(login.user), audiences=common)


class SelfSubjectReviewStorage:
    """Answers SelfSubjectReviews."""

    async def create(self, call: Call, new: SelfSubjectReview) -> bytes:
        new.status = SelfSubjectReviewStatus(user_info=described(call.user))
        return msgspec.json.encode(new)


def described(user: User) -> UserInfo:
    """A user on the wire."""
    return UserInfo(
        username=user.name,
        uid=user.uid,
        groups=list(user.groups),
        extra={key: list(values) for key, values in user.extra},
    )


TOKEN_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="TokenReview",
    plural="tokenreviews",
    type=TokenReview,
    namespaced=False,
    verbs=("create",),
)

SELF_SUBJECT_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SelfSubjectReview",
    plural="selfsubjectreviews",
    type=SelfSubjectReview,
    namespaced=False,
    verbs=("create",),
)
