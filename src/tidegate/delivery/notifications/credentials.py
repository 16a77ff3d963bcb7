"""The values of a Secret that a subscription sends, or signs with."""

from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.auth.secrets import SECRETS, value_of
from tidegate.auth.stored import read
from tidegate.delivery.notifications import signing
from tidegate.kinds.event_subscription import Subscription, secret_of

SECRET_KEY, AUTHORIZATION_KEY = "secret", "authorization"
_HEADER_LIMIT = 4096


class SecretMissing(Exception):
    """The Secret is not there, or cannot be used; the message does not tell it."""


async def values_of(store: ObjectStore, subscription: Subscription) -> dict[str, bytes]:
    """The values that are used, by their keys: one at least if a Secret is named."""
    named = subscription.spec.secret
    if not named:
        return {}
    namespace, name = secret_of(subscription)
    document = await store.get(Key(SECRETS.key, namespace, name))
    if document is None:
        raise SecretMissing(f"there is no Secret {named}")
    secret = read(SECRETS, document)
    found = {each: value_of(secret, each) for each in (SECRET_KEY, AUTHORIZATION_KEY)}
    values = {each: value for each, value in found.items() if value}
    if not values:
        raise SecretMissing(
            f"Secret {named} has neither a key {SECRET_KEY!r} nor {AUTHORIZATION_KEY!r}"
        )
    try:
        _check(values)
    except signing.SecretInvalid as error:
        raise SecretMissing(f"Secret {named}: {error}") from error
    return values


def _check(values: dict[str, bytes]) -> None:
    signing.headers(values.get(SECRET_KEY, b""), "", 0, b"")
    authorization = values.get(AUTHORIZATION_KEY, b"")
    if len(authorization) > _HEADER_LIMIT or not authorization.decode("latin-1").isprintable():
        raise signing.SecretInvalid(f"{AUTHORIZATION_KEY!r} is no value of a header")
