"""Finding the namespaces that lack a default binding or service account, and restoring them."""

from collections.abc import AsyncIterator, Mapping, Sequence

from tidegate.apimachinery.documents.bodies import is_terminating
from tidegate.apimachinery.store import Change, DocumentTransaction, Key, ObjectStore
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.auth.projects.provision import restore
from tidegate.auth.rbac.bootstrap import namespace_bindings
from tidegate.auth.rbac.resources import ROLE_BINDINGS
from tidegate.auth.serviceaccounts.kinds import DEFAULT_ACCOUNTS, SERVICE_ACCOUNTS
from tidegate.auth.serviceaccounts.tokens import Signer

_PAGE = 100
_AT_ONCE = 10
"""Namespaces that one unit restores: at most nine rows each."""

_DEFAULTS: Mapping[str, frozenset[str]] = {
    ROLE_BINDINGS.key: frozenset(each.metadata.name for each in namespace_bindings("x")),
    SERVICE_ACCOUNTS.key: frozenset(DEFAULT_ACCOUNTS),
}

WATCHED = tuple(_DEFAULTS)
"""The resources among which the defaults are."""


def loses_default(change: Change) -> bool:
    """Whether a change took a namespace one of its defaults."""
    return change.after is None and change.key.name in _DEFAULTS.get(change.key.resource, ())


async def lacking(store: ObjectStore) -> AsyncIterator[str]:
    """Every namespace that is to stay and lacks a default."""
    after: tuple[str, str] | None = None
    while True:
        listing = await store.list(NAMESPACES.key, after=after, limit=_PAGE)
        for document in listing.documents:
            name = document.key.name
            if not is_terminating(document.body) and await _lacks(store, name):
                yield name
        if not listing.more:
            return
        after = ("", listing.documents[-1].key.name)


async def _lacks(store: ObjectStore, namespace: str) -> bool:
    for resource, names in _DEFAULTS.items():
        for name in names:
            if await store.get(Key(resource, namespace, name)) is None:
                return True
    return False


async def restore_all(store: ObjectStore, namespaces: Sequence[str], signer: Signer) -> int:
    """Restore what namespaces lack; in how many something was missing."""
    restored = 0
    for start in range(0, len(namespaces), _AT_ONCE):
        few = namespaces[start : start + _AT_ONCE]

        def unit(tx: DocumentTransaction, few: Sequence[str] = few) -> int:
            return sum(restore(tx, each, signer) for each in few)

        restored += await store.write(unit)
    return restored
