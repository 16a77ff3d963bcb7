"""The kinds of group user.openshift.io: how they are written, printed and checked.

Wire forms, names and texts are those of OpenShift's `user/v1`. One rule is wider: a Group may name
users with a colon, as those of OpenID Connect issuers and CI have.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.names import path_segment_faults
from tidegate.apimachinery.resource import STANDARD, Column, Resource, Strategy

GROUP, VERSION = "user.openshift.io", "v1"

LOCAL = "local"
"""The identity provider of users with a password here."""

SELF = "~"
"""The name under which everybody finds herself."""

RESERVED = "system:"
"""What Kubernetes' own users and groups begin with."""


class User(Object):
    """User is somebody who logs in.

    A User and an Identity are made with a local user; groups name users, by Group objects.
    """

    full_name: Annotated[str, doc("The user's full name.")] = ""
    identities: Annotated[list[str], doc("Names of the user's identities.")] = field(
        default_factory=list
    )
    groups: Annotated[list[str], doc("Deprecated: groups name their users, by Group objects.")] = (
        field(default_factory=list)
    )


class IdentityUser(Wire):
    """Names the user that an identity is of."""

    kind: Annotated[str, doc("Kind of the object.")] = ""
    name: Annotated[str, doc("Name of the user.")] = ""
    uid: Annotated[str, doc("UID of the user.")] = ""


class Identity(Object, kw_only=True):
    """Identity is how a user is known to an identity provider.

    Its name is PROVIDER:NAME. Several identities may be one user's.
    """

    provider_name: Annotated[str, doc("The identity provider.")]
    provider_user_name: Annotated[str, doc("The user's name at the provider.")]
    user: Annotated[IdentityUser, doc("The user; name and UID are set together.")] = field(
        default_factory=IdentityUser
    )
    extra: Annotated[dict[str, str], doc("What else the provider says.")] = field(
        default_factory=dict
    )


class Group(Object):
    """Group is a set of users, to whom roles may be bound together."""

    users: Annotated[list[str], doc("Names of the users in this group.")] = field(
        default_factory=list
    )


def user_name_fault(name: str) -> str | None:
    """Why a User or a Group cannot have this name."""
    if ":" in name:
        return 'may not contain ":"'
    return f'may not equal "{SELF}"' if name == SELF else None


def identity_name_fault(name: str) -> str | None:
    """Why an Identity cannot have this name."""
    form = "must be in the format <providerName>:<providerUserName>"
    provider, colon, user = name.partition(":")
    if not colon or ":" in user:
        return form
    if not provider:
        return f"{form} with a non-empty providerName"
    return None if user else f"{form} with a non-empty providerUserName"


def member_fault(name: str) -> str | None:
    """Why a Group cannot name this user."""
    if not name:
        return "must not be empty"
    if name.startswith(RESERVED):
        return f'may not start with "{RESERVED}"'
    if name == SELF:
        return f'may not equal "{SELF}"'
    faults = path_segment_faults(name)
    return faults[0] if faults else None


def _validate_user(new: User, _old: User | None) -> Sequence[FieldError]:
    faults = []
    for index, name in enumerate(new.identities):
        if fault := identity_name_fault(name):
            faults.append(invalid(f"identities[{index}]", name, fault))
    for index, name in enumerate(new.groups):
        if fault := user_name_fault(name):
            faults.append(invalid(f"groups[{index}]", name, fault))
    return faults


def _name_identity(new: Identity, old: Identity | None) -> None:
    """Name a new identity for its provider; `oc create identity` leaves that to the server."""
    if old is None and not new.metadata.name:
        new.metadata.name = f"{new.provider_name}:{new.provider_user_name}"


def _validate_identity(new: Identity, old: Identity | None) -> Sequence[FieldError]:
    faults = [
        required(path)
        for path, value in (
            ("providerName", new.provider_name),
            ("providerUserName", new.provider_user_name),
        )
        if not value
    ]
    expected = f"{new.provider_name}:{new.provider_user_name}"
    if not faults and new.metadata.name != expected:
        faults.append(
            invalid(
                "metadata.name", new.metadata.name, f"must be {expected}, of its provider's names"
            )
        )
    if new.user.name and not new.user.uid:
        faults.append(required("user.uid"))
    if new.user.uid and not new.user.name:
        faults.append(invalid("user.uid", new.user.uid, "may not be set if user.name is empty"))
    if old is not None and old.provider_name != new.provider_name:
        faults.append(invalid("providerName", new.provider_name, "may not change providerName"))
    if old is not None and old.provider_user_name != new.provider_user_name:
        faults.append(
            invalid("providerUserName", new.provider_user_name, "may not change providerUserName")
        )
    return faults


def _validate_group(new: Group, _old: Group | None) -> Sequence[FieldError]:
    return [
        invalid(f"users[{index}]", name, fault)
        for index, name in enumerate(new.users)
        if (fault := member_fault(name))
    ]


USERS = Resource(
    group=GROUP,
    version=VERSION,
    kind="User",
    plural="users",
    type=User,
    namespaced=False,
    verbs=STANDARD,
    columns=(
        Column("UID", lambda each, _: each.metadata.uid, "UID of the user."),
        Column("Full Name", lambda each, _: each.full_name, "The user's full name."),
        Column("Identities", lambda each, _: ", ".join(each.identities), "The user's identities."),
    ),
    age=False,
    strategy=Strategy(name_fault=user_name_fault, validate=_validate_user),
)

IDENTITIES = Resource(
    group=GROUP,
    version=VERSION,
    kind="Identity",
    plural="identities",
    type=Identity,
    namespaced=False,
    verbs=STANDARD,
    columns=(
        Column("IDP Name", lambda each, _: each.provider_name, "The identity provider."),
        Column(
            "IDP User Name", lambda each, _: each.provider_user_name, "The name at the provider."
        ),
        Column("User Name", lambda each, _: each.user.name, "Name of the user."),
        Column("User UID", lambda each, _: each.user.uid, "UID of the user."),
    ),
    age=False,
    fields={
        "providerName": lambda each: each.provider_name,
        "providerUserName": lambda each: each.provider_user_name,
        "user.name": lambda each: each.user.name,
        "user.uid": lambda each: each.user.uid,
    },
    strategy=Strategy(
        name_fault=identity_name_fault, prepare=_name_identity, validate=_validate_identity
    ),
)

GROUPS = Resource(
    group=GROUP,
    version=VERSION,
    kind="Group",
    plural="groups",
    type=Group,
    namespaced=False,
    verbs=STANDARD,
    columns=(Column("Users", lambda each, _: ", ".join(each.users), "Users in this group."),),
    age=False,
    strategy=Strategy(name_fault=user_name_fault, validate=_validate_group),
)
