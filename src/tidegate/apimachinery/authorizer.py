"""The question "may this user do this?", in the words of Kubernetes RBAC.

Every operation of every surface, `/v2/` included, is asked through `Authorizer`, so that one
rights language answers for all of them. It knows no token and no HTTP: whoever asks has already
established who the user is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

IMAGE_GROUP = "image.openshift.io"
"""API group of the resources that the registry asks about."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks: a name and the groups that go with it, as in Kubernetes' UserInfo.

    `extra` is what else the authenticator knows, as pairs of key and values.
    """

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
"""Whoever shows no credentials (Kubernetes' names for that user and group)."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: a verb on a resource, or on a path that is no resource.

    An empty `namespace` asks about the whole cluster. A subresource is part of the resource's name,
    `imagestreams/layers`: OpenShift's registry has always sent it so, and rules are written so.
    With `path` set the question is about that path, and only `verb` (get, post, ...) counts.
    """

    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    group: str = IMAGE_GROUP
    path: str = ""


class Authorizer(Protocol):
    """Decides from what holds now; an answer is not kept by the caller."""

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        """Whether `user` may do what `attributes` say."""
        ...


class Judge(Authorizer, Protocol):
    """An authorizer that can also be asked about very much at once."""

    async def judge(self, user: User) -> Callable[[Attributes], bool]:
        """What answers many questions about one user, all of them as of now."""
        ...
