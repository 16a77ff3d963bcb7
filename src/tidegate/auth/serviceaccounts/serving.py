"""Service accounts and Secrets, each joined to what serves it."""

from collections.abc import Callable

from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.secrets import SECRETS
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS
from tidegate.auth.serviceaccounts.storage import (
    SecretStorage,
    ServiceAccountStorage,
    TokenRequests,
)
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens

RESOURCES = (SECRETS, SERVICE_ACCOUNTS)
"""All resources of this part."""


def serve(
    store: ObjectStore, tokens: ServiceAccountTokens, clock: Callable[[], float]
) -> list[Served]:
    """What the API application serves of this part."""
    return [
        Served(SECRETS, SecretStorage(store, tokens, clock)),
        Served(
            SERVICE_ACCOUNTS,
            ServiceAccountStorage(store, tokens, clock),
            {"token": TokenRequests(store, tokens, clock)},
        ),
    ]
