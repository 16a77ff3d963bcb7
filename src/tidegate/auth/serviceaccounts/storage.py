"""What serves service accounts, requests for their tokens, and the Secrets that hold tokens.

Keys are read before a unit of work and used inside it. Invariant: an account and its pull secret
are made together or not at all.
"""

from collections.abc import Callable

import msgspec

from tidegate.apimachinery.documents.bodies import header
from tidegate.apimachinery.errors import (
    BadRequest,
    Qualified,
    forbid,
    invalid_object,
    missing,
    modified,
    not_found,
)
from tidegate.apimachinery.meta import Object, OwnerReference
from tidegate.apimachinery.octets import encoded
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.secrets import (
    NAMESPACE_KEY,
    SECRETS,
    SERVICE_ACCOUNT_NAME,
    SERVICE_ACCOUNT_TOKEN,
    SERVICE_ACCOUNT_UID,
    TOKEN_KEY,
    Secret,
)
from tidegate.auth.serviceaccounts.kinds import (
    LONGEST,
    SERVICE_ACCOUNTS,
    USUAL,
    BoundObjectReference,
    ServiceAccount,
    TokenRequest,
    TokenRequestStatus,
    request_faults,
)
from tidegate.auth.serviceaccounts.pull_secrets import put_pull_secret
from tidegate.auth.serviceaccounts.signing_storage import SigningStorage
from tidegate.auth.serviceaccounts.tokens import Bound, ServiceAccountTokens, Signer
from tidegate.auth.stored import put
from tidegate.observability.timestamp import rfc3339_seconds

_TOKEN_REQUEST = Qualified("TokenRequest", "authentication.k8s.io")


class ServiceAccountStorage(SigningStorage[ServiceAccount]):
    """Service accounts as documents, each made with its pull secret."""

    def __init__(
        self, store: ObjectStore, tokens: ServiceAccountTokens, clock: Callable[[], float]
    ) -> None:
        super().__init__(SERVICE_ACCOUNTS, store, tokens, _give_pull_secret, clock)


def _give_pull_secret(tx: DocumentTransaction, account: ServiceAccount, signer: Signer) -> None:
    put_pull_secret(tx, account, signer)


class SecretStorage(SigningStorage[Secret]):
    """Secrets as documents; one of type service-account-token gets the token that it asks for."""

    def __init__(
        self, store: ObjectStore, tokens: ServiceAccountTokens, clock: Callable[[], float]
    ) -> None:
        super().__init__(SECRETS, store, tokens, _fill, clock)


def _fill(tx: DocumentTransaction, asked: Secret, signer: Signer) -> None:
    """Put the token into a Secret just made that is for one; it goes with its account."""
    if asked.type != SERVICE_ACCOUNT_TOKEN:
        return
    secret = msgspec.json.decode(msgspec.json.encode(asked), type=Secret)
    metadata = secret.metadata
    name = metadata.annotations[SERVICE_ACCOUNT_NAME]
    account = tx.get(Key(SERVICE_ACCOUNTS.key, metadata.namespace, name))
    wanted = metadata.annotations.get(SERVICE_ACCOUNT_UID)
    if account is None or _is_ending(account) or wanted not in (None, account.uid):
        fault = not_found(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]", name)
        raise invalid_object(SECRETS.qualified_kind, metadata.name, [fault])
    metadata.annotations[SERVICE_ACCOUNT_UID] = account.uid
    owner = OwnerReference(api_version="v1", kind=SERVICE_ACCOUNTS.kind, name=name, uid=account.uid)
    metadata.owner_references = [*metadata.owner_references, owner]
    minted = signer.sign(
        metadata.namespace,
        Bound(name, account.uid),
        (signer.issuer,),
        LONGEST,
        Bound(metadata.name, metadata.uid),
    )
    secret.data[TOKEN_KEY] = encoded(minted.token.encode())
    secret.data[NAMESPACE_KEY] = encoded(metadata.namespace.encode())
    put(tx, SECRETS, secret)


class TokenRequests:
    """`serviceaccounts/NAME/token`: makes tokens and keeps none."""

    def __init__(
        self, store: ObjectStore, tokens: ServiceAccountTokens, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`: the request with the token in its status."""
        if not isinstance(new, TokenRequest):
            raise TypeError("not a TokenRequest")
        if new.metadata.name not in ("", call.name):
            raise BadRequest(
                f"the name of the object ({new.metadata.name}) does not match the name on the URL "
                f"({call.name})"
            )
        if faults := request_faults(new):
            raise invalid_object(_TOKEN_REQUEST, call.name, faults)
        account = await self._store.get(Key(SERVICE_ACCOUNTS.key, call.namespace, call.name))
        if account is None:
            raise missing(SERVICE_ACCOUNTS.qualified, call.name)
        if _is_ending(account):
            raise forbid(SERVICE_ACCOUNTS.qualified, call.name, "it is being deleted")
        secret = None
        if new.spec.bound_object_ref is not None:
            secret = await self._bound(call.namespace, new.spec.bound_object_ref)
        signer = await self._tokens.signer(self._clock())
        new.spec.audiences = new.spec.audiences or [signer.issuer]
        new.spec.expiration_seconds = _lifetime(new.spec.expiration_seconds, call)
        minted = signer.sign(
            call.namespace,
            Bound(call.name, account.uid),
            new.spec.audiences,
            new.spec.expiration_seconds,
            secret,
        )
        new.metadata.name, new.metadata.namespace = call.name, call.namespace
        new.metadata.creation_timestamp = rfc3339_seconds(signer.now)
        new.status = TokenRequestStatus(
            token=minted.token, expiration_timestamp=rfc3339_seconds(minted.expires)
        )
        return msgspec.json.encode(new)

    async def _bound(self, namespace: str, reference: BoundObjectReference) -> Bound:
        """The Secret that a token is to be bound to."""
        group_version = reference.api_version or "v1"
        if (group_version, reference.kind) == ("v1", "Pod"):
            raise missing(Qualified("pods"), reference.name)  # there are none here
        if (group_version, reference.kind) != ("v1", SECRETS.kind):
            raise BadRequest(
                f"cannot bind token to object of type {_gvk(group_version)}, Kind={reference.kind}"
            )
        document = await self._store.get(Key(SECRETS.key, namespace, reference.name))
        if document is None or _is_ending(document):
            raise missing(SECRETS.qualified, reference.name)
        if reference.uid not in ("", document.uid):
            raise modified(
                SECRETS.qualified_kind,
                reference.name,
                f"the UID in the bound object reference ({reference.uid}) does not match the UID "
                "in record. The object might have been deleted and then recreated",
            )
        return Bound(reference.name, document.uid)


def _lifetime(wanted: int | None, call: Call) -> int:
    """The seconds that a token gets; a client who wanted more is told."""
    seconds = USUAL if wanted is None else wanted
    if seconds > LONGEST:
        call.warnings.append(
            f"requested expiration of {seconds} seconds shortened to {LONGEST} seconds"
        )
    return min(seconds, LONGEST)


def _gvk(group_version: str) -> str:
    """As Go prints a group and version: the core group is empty."""
    return group_version if "/" in group_version else f"/{group_version}"


def _is_ending(document: Document) -> bool:
    return bool(header(document.body).deletion_timestamp)
