"""Scopes of registry tokens: what a client asks for, and the grants that a token carries.

    scope   = resource *( " " resource )
    resource = type [ "(" class ")" ] ":" name ":" action *( "," action )

as in distribution's token scope documentation. A scope only narrows: the table `_RIGHTS` says which
rights an action stands for, and those are asked of the authorizer when a token is made, and again
at each request.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, Authorizer, User
from tidegate.auth.errors import InvalidScope
from tidegate.oci.errors import NameInvalid
from tidegate.oci.name import RepositoryName

SCOPE_LIMIT = 100
"""Resources that one request may ask for; clients ask for one and its mount sources."""

TEXT_LIMIT = 8192
"""Characters of scope that are read."""

_RESOURCE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?:(.+):([a-z*]+(?:,[a-z*]+)*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to take `actions` on one resource; as text, a scope that asks for just that."""

    type: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(sorted(self.actions))}"


@dataclass(frozen=True, slots=True)
class Right:
    """A right in the words of RBAC, on one repository's stream or on the whole cluster."""

    verb: str
    resource: str
    everywhere: bool = False

    def on(self, repository: RepositoryName | None) -> Attributes:
        if self.everywhere or repository is None:
            return Attributes(self.verb, self.resource)
        return Attributes(self.verb, self.resource, repository.project, repository.stream)


_RIGHTS: dict[tuple[str, str], tuple[Right, ...]] = {
    ("repository", "pull"): (Right("get", "imagestreams/layers"),),
    ("repository", "push"): (Right("update", "imagestreams/layers"),),
    ("repository", "delete"): (
        Right("delete", "imagestreamtags"),
        Right("delete", "images", everywhere=True),
        Right("get", "imagestreams/layers"),
    ),
    ("registry", "*"): (Right("list", "imagestreams", everywhere=True),),
}
"""Any right of a row suffices for a token to carry the action.

Whoever may pull is given `delete` too: which tags she may delete is asked at each request, since a
scope names none. The right to list everything is asked of nobody in particular alone: who logged in
may list, and is shown what she may pull.
"""

_ACTIONS = frozenset(action for kind, action in _RIGHTS if kind == "repository")

CATALOG = Grant("registry", "catalog", frozenset("*"))
"""What listing the repositories asks for."""


def repository_grant(repository: RepositoryName, *actions: str) -> Grant:
    """What a request on `repository` needs: some of pull, push and delete."""
    return Grant("repository", repository, frozenset(actions))


def parse_scopes(values: Iterable[str]) -> tuple[Grant, ...]:
    """What the `scope` parameters `values` ask for, one grant per resource.

    Text that no request here could ever need (another grammar, type, name or action) is passed
    over, as distribution's own token servers do: the client is told when it makes that request.
    `InvalidScope` is raised only beyond the bounds.
    """
    text = " ".join(values)
    resources = text.split()
    if len(text) > TEXT_LIMIT or len(resources) > SCOPE_LIMIT:
        raise InvalidScope(f"at most {SCOPE_LIMIT} scopes of {TEXT_LIMIT} characters together")
    asked: dict[tuple[str, str], frozenset[str]] = {}
    for resource in resources:
        grant = _parse_resource(resource)
        if grant is not None and grant.actions:
            key = (grant.type, grant.name)
            asked[key] = asked.get(key, frozenset()) | grant.actions
    return tuple(Grant(kind, name, actions) for (kind, name), actions in asked.items())


def covers(grants: Iterable[Grant], needed: Grant) -> bool:
    """Whether one of `grants` gives leave for all of `needed`."""
    return any(
        grant.name == needed.name and grant.type == needed.type and needed.actions <= grant.actions
        for grant in grants
    )


@lru_cache(maxsize=4096)  # asked at every request, and the same for each blob of an image
def rights(needed: Grant) -> tuple[Attributes, ...]:
    """What to ask the authorizer about `needed`, a grant of one action; any of them suffices."""
    (action,) = needed.actions
    repository = RepositoryName.parse(needed.name) if needed.type == "repository" else None
    return tuple(right.on(repository) for right in _RIGHTS[needed.type, action])


async def narrow(asked: Iterable[Grant], user: User, authorizer: Authorizer) -> tuple[Grant, ...]:
    """The part of `asked` that `user` has the right to now."""
    granted = []
    for grant in asked:
        singles = [Grant(grant.type, grant.name, frozenset((each,))) for each in grant.actions]
        actions = [each.actions for each in singles if await _may(user, each, authorizer)]
        if actions:
            granted.append(Grant(grant.type, grant.name, frozenset().union(*actions)))
    return tuple(granted)


def _parse_resource(text: str) -> Grant | None:
    match = _RESOURCE.fullmatch(text)
    if match is None:
        return None
    kind, name = match[1], match[2]
    actions = frozenset(match[3].split(","))
    if kind == "registry":
        return CATALOG if name == CATALOG.name and "*" in actions else None
    if kind != "repository":
        return None
    try:
        repository = RepositoryName.flattened(name)  # deeper where another registry is mirrored
    except NameInvalid:
        return None
    return Grant(kind, repository, _ACTIONS if "*" in actions else actions & _ACTIONS)


async def _may(user: User, single: Grant, authorizer: Authorizer) -> bool:
    if single == CATALOG and user.name != ANONYMOUS.name:
        return True
    for attributes in rights(single):
        if await authorizer.authorize(user, attributes):
            return True
    return False
