"""ServiceAccount and TokenRequest: how they are written, printed and checked."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.documents.references import LocalObjectReference, ObjectReference
from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.names import generated_name
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource

PULL_SECRET = "openshift.io/internal-registry-pull-secret-ref"  # noqa: S105  an annotation
"""Annotation of a ServiceAccount: the Secret with which it pulls from this registry."""

BUILDER, DEFAULT, DEPLOYER = "builder", "default", "deployer"
DEFAULT_ACCOUNTS = (BUILDER, DEFAULT, DEPLOYER)
"""The service accounts of every namespace, as in OpenShift."""

SHORTEST, LONGEST, USUAL = 600, 31_536_000, 3600
"""Seconds that a requested token lives."""


class ServiceAccount(Object):
    """ServiceAccount is the identity of a program.

    Its user name is system:serviceaccount:NAMESPACE:NAME. Tokens for it are made by a
    TokenRequest.
    """

    secrets: Annotated[
        list[ObjectReference],
        doc("Secrets that programs with this account may use.", merge_key="name"),
    ] = field(default_factory=list)
    image_pull_secrets: Annotated[
        list[LocalObjectReference],
        doc("Secrets with which images are pulled for this account.", list_type="atomic"),
    ] = field(default_factory=list)
    automount_service_account_token: Annotated[
        bool | None, doc("Whether pods of this account get an API token mounted.")
    ] = None


class BoundObjectReference(Wire):
    """The object that a token is void without."""

    kind: Annotated[str, doc("Kind of the object: Secret.")] = ""
    api_version: Annotated[str, doc("API version of the object.")] = ""
    name: Annotated[str, doc("Name of the object.")] = ""
    uid: Annotated[str, doc("UID of the object; checked when it is given.")] = ""


class TokenRequestSpec(Wire):
    """What token is wanted."""

    audiences: Annotated[
        list[str],
        doc(
            "Who is to accept the token: nobody else does. Without any the API server does; "
            "tidegate is the registry alone.",
            list_type="atomic",
        ),
    ] = field(default_factory=list)
    expiration_seconds: Annotated[
        int | None,
        doc("How long it is to live, 600 seconds to a year; 3600 when it is not said."),
    ] = None
    bound_object_ref: Annotated[
        BoundObjectReference | None, doc("A Secret without which the token is void.")
    ] = None


class TokenRequestStatus(Wire, kw_only=True):
    """The token that was made."""

    token: Annotated[str, doc("The token, to be sent as a bearer token.")]
    expiration_timestamp: Annotated[Time, doc("When it ends.")]

    def __repr__(self) -> str:
        """When it ends; the token is for nobody's log."""
        return f"TokenRequestStatus(expiration_timestamp={self.expiration_timestamp!r})"


class TokenRequest(Object):
    """TokenRequest asks for a token of a service account."""

    spec: Annotated[TokenRequestSpec, doc("What token is wanted.")] = field(
        default_factory=TokenRequestSpec
    )
    status: Annotated[TokenRequestStatus | None, doc("The token; set by the server.")] = None


def link_new_pull_secret(account: ServiceAccount) -> None:
    """Name a pull secret that is to be made, in place of one that there may have been."""
    before = account.metadata.annotations.get(PULL_SECRET, "")
    name = generated_name(f"{account.metadata.name}-dockercfg-")
    account.secrets = [each for each in account.secrets if each.name != before]
    account.image_pull_secrets = [
        each for each in account.image_pull_secrets if each.name != before
    ]
    _link(account, name)


def _link(account: ServiceAccount, name: str) -> None:
    account.metadata.annotations = {**account.metadata.annotations, PULL_SECRET: name}
    if all(each.name != name for each in account.secrets):
        account.secrets = [*account.secrets, ObjectReference(name=name)]
    if all(each.name != name for each in account.image_pull_secrets):
        account.image_pull_secrets = [*account.image_pull_secrets, LocalObjectReference(name=name)]


def _prepare(new: ServiceAccount, old: ServiceAccount | None) -> None:
    """The pull secret is the server's to name: one that a client dropped is linked again."""
    if old is None:
        link_new_pull_secret(new)
        return
    before = old.metadata.annotations.get(PULL_SECRET, "")
    if before:
        _link(new, before)
    else:
        new.metadata.annotations = {
            key: text for key, text in new.metadata.annotations.items() if key != PULL_SECRET
        }


def request_faults(request: TokenRequest) -> Sequence[FieldError]:
    """What is wrong with a request, in Kubernetes' words."""
    seconds = request.spec.expiration_seconds
    if seconds is None:
        return ()
    path = "spec.expirationSeconds"
    if seconds < SHORTEST:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > 1 << 32:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return ()


SERVICE_ACCOUNTS = Resource(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    type=ServiceAccount,
    namespaced=True,
    short_names=("sa",),
    columns=(
        Column("Secrets", lambda each, _now: len(each.secrets), "How many Secrets it may use."),
    ),
    strategy=Strategy(prepare=_prepare),
    subresources={
        "token": Subresource(
            verbs=("create",),
            kind="TokenRequest",
            type=TokenRequest,
            group="authentication.k8s.io",
        )
    },
)
