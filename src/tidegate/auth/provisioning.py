"""Pushing into a project that is not there yet: for who may request projects, it is made.

Whoever may request a project would be its administrator, so in a project that is missing she is
taken to have an administrator's rights on images; the first push then makes it in her name, in one
transaction, as a project request would. Nobody else learns from this whether a project exists.
"""

from collections.abc import Awaitable, Callable

from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, Judge, User
from tidegate.apimachinery.store import Key, ObjectStore

_REQUEST = Attributes("create", "projectrequests", group="project.openshift.io")

_RIGHTS = frozenset(
    {("get", "imagestreams/layers"), ("update", "imagestreams/layers"), ("create", "imagestreams")}
)
"""What a push asks of its project before and while it makes it."""

Provision = Callable[[str, User], Awaitable[None]]
"""Make a project in a user's name, or let be one that was made meanwhile."""


class Provisioning:
    """An `Authorizer` for the registry that also knows the projects which could be made.

    `requestable` says whether the name may be requested at all; without `provision` nothing is
    ever made, and this is the authorizer that it was given.
    """

    def __init__(
        self,
        store: ObjectStore,
        authorizer: Judge,
        requestable: Callable[[str], bool],
        provision: Provision | None,
    ) -> None:
        self._store = store
        self._authorizer = authorizer
        self._requestable = requestable
        self._provision = provision

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        if await self._authorizer.authorize(user, attributes):
            return True
        if (attributes.verb, attributes.resource) not in _RIGHTS or not attributes.namespace:
            return False
        if not await self._may_request(user, attributes.namespace):
            return False
        if not await self._exists(attributes.namespace):
            return True
        # a push of hers beside this one may have made it since the first answer
        return await self._authorizer.authorize(user, attributes)

    async def judge(self, user: User) -> Callable[[Attributes], bool]:
        """As the authorizer that this one was given: nothing is listed of what could be made."""
        return await self._authorizer.judge(user)

    async def ensure(self, user: User, project: str) -> bool:
        """Make the project if it is missing and `user` may; whether it is there now."""
        if await self._exists(project):
            return True
        if self._provision is None or not await self._may_request(user, project):
            return False
        await self._provision(project, user)
        return True

    async def _may_request(self, user: User, project: str) -> bool:
        """Whether she may have the project made, if it is missing."""
        if self._provision is None or user.name == ANONYMOUS.name:
            return False
        if not self._requestable(project):
            return False
        return await self._authorizer.authorize(user, _REQUEST)

    async def _exists(self, project: str) -> bool:
        return await self._store.get(Key("namespaces", "", project)) is not None
