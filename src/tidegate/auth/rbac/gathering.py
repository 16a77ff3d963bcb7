"""Aggregated ClusterRoles as they are stored: with the rules that they gather, for all to read.

`GatheringStore` stands before the store of ClusterRoles and ends each unit of work with
`store_gathered`, so that no reader sees roles and gathered rules that do not fit together. Answers
do not depend on it: the index gathers for itself.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tidegate.apimachinery.store import (
    Change,
    Document,
    DocumentTransaction,
    Key,
    Listing,
    ObjectStore,
    Subscription,
)
from tidegate.auth.rbac.aggregation import gathered
from tidegate.auth.rbac.resources import CLUSTER_ROLES
from tidegate.auth.stored import put, read

T = TypeVar("T")


def store_gathered(tx: DocumentTransaction) -> None:
    """Write the rules of every aggregated role whose stored ones are not those it gathers."""
    roles = {each.key.name: read(CLUSTER_ROLES, each) for each in tx.list(CLUSTER_ROLES.key)}
    for role in roles.values():
        if role.aggregation_rule is None:
            continue
        rules = gathered(role, roles)
        if rules != role.rules:
            role.rules = rules
            put(tx, CLUSTER_ROLES, role)


class GatheringStore:
    """An `ObjectStore` whose units leave aggregated roles with the rules they gather."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
        def gathering(tx: DocumentTransaction) -> T:
            result = unit(tx)
            store_gathered(tx)
            return result

        return await self._store.write(gathering)

    async def get(self, key: Key) -> Document | None:
        return await self._store.get(key)

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        return await self._store.list(resource, namespace, after=after, limit=limit, at=at)

    async def revision(self) -> int:
        return await self._store.revision()

    async def watch(self, resource: str, after: int) -> Subscription:
        return await self._store.watch(resource, after)

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        self._store.follow(resources, apply, reset)

    async def catch_up(self) -> int:
        return await self._store.catch_up()
