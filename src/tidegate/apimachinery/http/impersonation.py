"""Acting as somebody else: the Impersonate-* headers, each of them a right of its own.

Invariants: whatever is taken from a header was granted to the real user by `impersonate` first; of
the real user nothing goes over to the one that is acted as.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, Authorizer, User
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.http.access import require
from tidegate.apimachinery.http.request import Request

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
AUTHENTICATION_GROUP = "authentication.k8s.io"

_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9][-a-z0-9]*):([a-z0-9][-a-z0-9.]*)")
_EXTRA = b"impersonate-extra-"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the headers ask for."""

    user: str
    groups: tuple[str, ...]
    uid: str
    extra: tuple[tuple[str, tuple[str, ...]], ...]


async def acting_user(request: Request, user: User, authorizer: Authorizer) -> User:
    """Whom the request acts as: the one in its headers, or `user` itself without any."""
    wanted = _wanted(request)
    if wanted is None:
        return user
    for asked in _questions(wanted):
        await require(authorizer, user, asked)
    return User(wanted.user, _groups(wanted), wanted.uid, wanted.extra)


def _wanted(request: Request) -> _Wanted | None:
    if not any(name.startswith(b"impersonate-") for name, _ in request.headers):
        return None
    wanted = _Wanted(
        request.header(b"impersonate-user"),
        tuple(request.header_values(b"impersonate-group")),
        request.header(b"impersonate-uid"),
        _extra(request),
    )
    if wanted.user:
        return wanted
    if wanted.groups or wanted.uid or wanted.extra:
        raise BadRequest("requested groups, uid or extra without impersonating a user")
    return None


def _extra(request: Request) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.startswith(_EXTRA):
            key = unquote(name[len(_EXTRA) :].decode("latin-1"))
            found.setdefault(key, []).append(value.decode("utf-8", "replace"))
    return tuple((key, tuple(values)) for key, values in found.items())


def _questions(wanted: _Wanted) -> Iterator[Attributes]:
    """What the real user has to be allowed, in Kubernetes' order."""
    account = _SERVICE_ACCOUNT.fullmatch(wanted.user)
    if account is not None:
        yield Attributes("impersonate", "serviceaccounts", account[1], account[2], group="")
    else:
        yield Attributes("impersonate", "users", name=wanted.user, group="")
    for group in wanted.groups:
        yield Attributes("impersonate", "groups", name=group, group="")
    for key, values in wanted.extra:
        for value in values:
            yield Attributes(
                "impersonate", f"userextras/{key}", name=value, group=AUTHENTICATION_GROUP
            )
    if wanted.uid:
        yield Attributes("impersonate", "uids", name=wanted.uid, group=AUTHENTICATION_GROUP)


def _groups(wanted: _Wanted) -> tuple[str, ...]:
    """The groups of the one acted as: those given, or a service account's; and who is known."""
    groups = list(wanted.groups)
    account = _SERVICE_ACCOUNT.fullmatch(wanted.user)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[1]}"]
    if wanted.user == ANONYMOUS.name:
        if UNAUTHENTICATED not in groups:
            groups.append(UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    return tuple(groups)
