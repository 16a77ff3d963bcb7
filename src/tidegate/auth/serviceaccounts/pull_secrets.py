"""Pull secrets: with each service account a Secret that holds a credential for this registry.

    ServiceAccount --annotation, imagePullSecrets, secrets--> Secret NAME-dockercfg-xxxxx
    Secret --ownerReferences--> ServiceAccount; its token is bound to both

The token is good for the registry alone, lives a week, and is renewed in place: the one before
stays good until it expires, since the Secret that it is bound to is the same. All of it works on a
unit of work; the signer was read before. Invariant: an account's annotation is ours, so what is
renewed is only ever what was made here.
"""

import uuid
from typing import Any

import msgspec

from tidegate.apimachinery.documents.bodies import decoded, is_terminating
from tidegate.apimachinery.meta import ObjectMeta, OwnerReference
from tidegate.apimachinery.octets import encoded
from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.auth.secrets import DOCKERCFG, DOCKERCFG_KEY, SECRETS, Secret, value_of
from tidegate.auth.serviceaccounts.kinds import (
    PULL_SECRET,
    SERVICE_ACCOUNTS,
    ServiceAccount,
    link_new_pull_secret,
)
from tidegate.auth.serviceaccounts.tokens import REGISTRY_AUDIENCE, Bound, Signer, lifetime_of
from tidegate.auth.stored import put, read
from tidegate.observability.timestamp import rfc3339_seconds

LIFETIME = 7 * 24 * 3600
"""Seconds that a pull secret's token lives."""

RENEWED_AT = 0.6
"""The part of its life after which it is renewed."""

BOUND_TO = "openshift.io/internal-registry-auth-token.service-account"
BINDING = "openshift.io/internal-registry-auth-token.binding"
"""Annotations of the Secret: whose token it holds, and that it is a bound one."""

_NAMESPACES = "namespaces"

_USER = "<token>"
"""What OpenShift writes for a user name: a registry that is sent a token ignores it."""

_EMAIL = "serviceaccount@example.org"
"""What OpenShift writes: the format has the field, and old clients want it."""


def put_pull_secret(tx: DocumentTransaction, account: ServiceAccount, signer: Signer) -> None:
    """Make the Secret that an account, complete with its uid, is linked with.

    Should there be another's under that name, it is left alone and `ensure_pull_secret` finds a
    free one.
    """
    metadata = account.metadata
    if tx.get(Key(SECRETS.key, metadata.namespace, metadata.annotations[PULL_SECRET])) is not None:
        return
    secret = Secret(
        type=DOCKERCFG,
        metadata=ObjectMeta(
            name=metadata.annotations[PULL_SECRET],
            namespace=metadata.namespace,
            uid=str(uuid.uuid4()),
            creation_timestamp=rfc3339_seconds(signer.now),
            annotations={BOUND_TO: metadata.name, BINDING: "bound"},
            owner_references=[
                OwnerReference(
                    api_version="v1",
                    kind=SERVICE_ACCOUNTS.kind,
                    name=metadata.name,
                    uid=metadata.uid,
                    controller=True,
                    block_owner_deletion=False,
                )
            ],
        ),
    )
    _renew(tx, secret, account, signer)


def ensure_pull_secret(tx: DocumentTransaction, namespace: str, name: str, signer: Signer) -> bool:
    """See that an account's pull secret is there and good for a while; whether it was written."""
    document = tx.get(Key(SERVICE_ACCOUNTS.key, namespace, name))
    if document is None:
        return False
    account = read(SERVICE_ACCOUNTS, document)
    if account.metadata.deletion_timestamp or _is_going(tx, namespace):
        return False
    place = linked_key(account)
    secret = renewable(account, tx.get(place) if place is not None else None)
    if secret is None:
        link_new_pull_secret(account)
        put(tx, SERVICE_ACCOUNTS, account)
        put_pull_secret(tx, account, signer)
        return True
    if not is_due(secret, signer):
        return False
    _renew(tx, secret, account, signer)
    return True


def _is_going(tx: DocumentTransaction, namespace: str) -> bool:
    document = tx.get(Key(_NAMESPACES, "", namespace))
    return document is None or is_terminating(document.body)


def linked_key(account: ServiceAccount) -> Key | None:
    """Where the pull secret is that an account names."""
    named = account.metadata.annotations.get(PULL_SECRET, "")
    return Key(SECRETS.key, account.metadata.namespace, named) if named else None


def renewable(account: ServiceAccount, document: Document | None) -> Secret | None:
    """The pull secret in a document, if it is this account's and may be written."""
    if document is None:
        return None
    secret = read(SECRETS, document)
    owners = {each.uid for each in secret.metadata.owner_references}
    if secret.type != DOCKERCFG or secret.immutable or account.metadata.uid not in owners:
        return None
    return None if secret.metadata.deletion_timestamp else secret


def account_of_body(secret: bytes) -> str:
    """The account that a stored Secret says it is of; "" when it is no pull secret."""
    annotations: dict[str, str] = decoded(secret)["metadata"].get("annotations", {})
    return annotations.get(BOUND_TO, "")


def is_due(secret: Secret, signer: Signer) -> bool:
    """Whether a pull secret has to be renewed: of age, or not what clients need now."""
    try:
        hosts = msgspec.json.decode(value_of(secret, DOCKERCFG_KEY) or b"", type=dict[str, Any])
        tokens = {str(each["password"]) for each in hosts.values()}
    except (msgspec.MsgspecError, LookupError, TypeError):
        return True
    if set(hosts) != set(signer.hosts):
        return True
    return any(not _is_young(token, signer) for token in tokens)


def _is_young(token: str, signer: Signer) -> bool:
    lifetime = lifetime_of(token)
    if lifetime is None or lifetime.kid not in signer.kids:
        return False
    return signer.now < lifetime.issued + RENEWED_AT * (lifetime.expires - lifetime.issued)


def _renew(
    tx: DocumentTransaction, secret: Secret, account: ServiceAccount, signer: Signer
) -> None:
    """Write a Secret with a new token in it."""
    minted = signer.sign(
        account.metadata.namespace,
        Bound(account.metadata.name, account.metadata.uid),
        (REGISTRY_AUDIENCE,),
        LIFETIME,
        Bound(secret.metadata.name, secret.metadata.uid),
    )
    entry = {
        "username": _USER,
        "password": minted.token,
        "email": _EMAIL,
        "auth": encoded(f"{_USER}:{minted.token}".encode()),
    }
    content = msgspec.json.encode(dict.fromkeys(signer.hosts, entry))
    secret.data = {**secret.data, DOCKERCFG_KEY: encoded(content)}
    put(tx, SECRETS, secret)
