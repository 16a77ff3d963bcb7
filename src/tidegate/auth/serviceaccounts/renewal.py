"""Finding the service accounts whose pull secret is missing or due, and mending them.

It reads outside of units of work and writes inside them, a few accounts each, so that a pass over
all accounts holds nobody up. What a unit writes it decides anew, since somebody else may have been
there first.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from tidegate.apimachinery.store import DocumentTransaction, ObjectStore
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS, ServiceAccount
from tidegate.auth.serviceaccounts.pull_secrets import (
    ensure_pull_secret,
    is_due,
    linked_key,
    renewable,
)
from tidegate.auth.serviceaccounts.tokens import Signer
from tidegate.auth.stored import read

_PAGE = 100
_AT_ONCE = 30
"""Accounts that one unit mends: at most three rows each."""


class Account(NamedTuple):
    """Where a service account is."""

    namespace: str
    name: str


async def due_accounts(store: ObjectStore, signer: Signer) -> AsyncIterator[Account]:
    """Every account whose pull secret is missing or has to be renewed."""
    after: tuple[str, str] | None = None
    while True:
        listing = await store.list(SERVICE_ACCOUNTS.key, after=after, limit=_PAGE)
        for document in listing.documents:
            account = read(SERVICE_ACCOUNTS, document)
            if await _is_due(store, account, signer):
                yield Account(document.key.namespace, document.key.name)
        if not listing.more:
            return
        last = listing.documents[-1].key
        after = (last.namespace, last.name)


async def _is_due(store: ObjectStore, account: ServiceAccount, signer: Signer) -> bool:
    if account.metadata.deletion_timestamp:
        return False
    place = linked_key(account)
    secret = renewable(account, await store.get(place) if place is not None else None)
    return secret is None or is_due(secret, signer)


async def mend(store: ObjectStore, accounts: Sequence[Account], signer: Signer) -> int:
    """Make or renew the pull secrets of accounts that need it; how many did."""
    written = 0
    for start in range(0, len(accounts), _AT_ONCE):
        few = accounts[start : start + _AT_ONCE]

        def unit(tx: DocumentTransaction, few: Sequence[Account] = few) -> int:
            return sum(ensure_pull_secret(tx, *each, signer) for each in few)

        written += await store.write(unit)
    return written
