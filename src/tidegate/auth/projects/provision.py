"""Making a project: its Namespace and all that every project has, in one unit of work.

`provision` is how every project comes to be: by a request, by a push, by the adoption of older
data. A Namespace that somebody creates herself is furnished in the same way. Invariant: whoever
sees the Namespace sees its bindings and service accounts.
"""

from dataclasses import dataclass

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.bodies import is_terminating
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.projects.kinds import (
    DESCRIPTION,
    DISPLAY_NAME,
    NAMESPACES,
    REQUESTER,
    SYSTEM_NAMESPACES,
    Namespace,
    prepare_namespace,
)
from tidegate.auth.rbac.bootstrap import cluster_role_ref, namespace_bindings, user
from tidegate.auth.rbac.kinds import RoleBinding, Subject
from tidegate.auth.rbac.resources import ROLE_BINDINGS
from tidegate.auth.serviceaccounts.kinds import (
    DEFAULT_ACCOUNTS,
    SERVICE_ACCOUNTS,
    ServiceAccount,
    link_new_pull_secret,
)
from tidegate.auth.serviceaccounts.pull_secrets import put_pull_secret
from tidegate.auth.serviceaccounts.tokens import Signer, account_of
from tidegate.auth.stored import put_new, read

ADMIN = "admin"
"""The ClusterRole, and the RoleBinding, of whoever a project was made for."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A project as it is now; `created` when it was made just now."""

    namespace: Namespace
    created: bool


def provision(
    tx: DocumentTransaction,
    name: str,
    requester: User | None,
    signer: Signer,
    *,
    display_name: str = "",
    description: str = "",
) -> Provisioned:
    """Make a project, with its requester for an administrator; one that there is stays as it is."""
    existing = tx.get(Key(NAMESPACES.key, "", name))
    if existing is not None:
        return Provisioned(read(NAMESPACES, existing), created=False)
    namespace = Namespace(metadata=ObjectMeta(name=name))
    if requester is not None:
        namespace.metadata.annotations = {
            DESCRIPTION: description,
            DISPLAY_NAME: display_name,
            REQUESTER: requester.name,
        }
    prepare_namespace(namespace, None)
    put_new(tx, NAMESPACES, namespace, signer.now)
    if requester is not None:
        put_new(tx, ROLE_BINDINGS, _admin_binding(name, requester), signer.now)
    furnish(tx, name, signer)
    return Provisioned(namespace, created=True)


def furnish(tx: DocumentTransaction, namespace: str, signer: Signer) -> bool:
    """See that a namespace has its default bindings and accounts; whether any was missing."""
    missing = False
    for binding in namespace_bindings(namespace):
        if tx.get(Key(ROLE_BINDINGS.key, namespace, binding.metadata.name)) is None:
            put_new(tx, ROLE_BINDINGS, binding, signer.now)
            missing = True
    for name in DEFAULT_ACCOUNTS:
        if tx.get(Key(SERVICE_ACCOUNTS.key, namespace, name)) is None:
            _put_account(tx, namespace, name, signer)
            missing = True
    return missing


def restore(tx: DocumentTransaction, namespace: str, signer: Signer) -> bool:
    """`furnish` a namespace that is there to stay; whether anything was missing."""
    document = tx.get(Key(NAMESPACES.key, "", namespace))
    if document is None or is_terminating(document.body):
        return False
    return furnish(tx, namespace, signer)


def ensure_system_namespaces(tx: DocumentTransaction, signer: Signer) -> None:
    """Make the namespaces that are always there."""
    for name in SYSTEM_NAMESPACES:
        provision(tx, name, None, signer)


def _put_account(tx: DocumentTransaction, namespace: str, name: str, signer: Signer) -> None:
    account = ServiceAccount(metadata=ObjectMeta(name=name, namespace=namespace))
    link_new_pull_secret(account)
    put_new(tx, SERVICE_ACCOUNTS, account, signer.now)
    put_pull_secret(tx, account, signer)


def _admin_binding(namespace: str, requester: User) -> RoleBinding:
    return RoleBinding(
        metadata=ObjectMeta(name=ADMIN, namespace=namespace),
        subjects=[_subject(requester.name)],
        role_ref=cluster_role_ref(ADMIN),
    )


def _subject(name: str) -> Subject:
    account = account_of(name)
    if account is None:
        return user(name)
    return Subject(kind="ServiceAccount", namespace=account[0], name=account[1])
