"""Aggregated ClusterRoles as they are stored: with the rules that they gather, for all to read.

`gathering` stands before the store of ClusterRoles and ends each unit of work with
`store_gathered`, so that no reader sees roles and gathered rules that do not fit together. Answers
do not depend on it: the index gathers for itself.
"""

from collections.abc import Callable
from typing import TypeVar

from tidegate.apimachinery.documents.units import Accompanied
from tidegate.apimachinery.store import DocumentTransaction, ObjectStore
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


def gathering(store: ObjectStore) -> Accompanied:
    """The store, with units that leave aggregated roles with the rules they gather."""

    async def write(unit: Callable[[DocumentTransaction], T]) -> T:
        def and_gather(tx: DocumentTransaction) -> T:
            result = unit(tx)
            store_gathered(tx)
            return result

        return await store.write(and_gather)

    return Accompanied(store, write)
