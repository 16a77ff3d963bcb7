"""Two pushes at once into a project that is missing: both go on, whoever makes it."""

import asyncio

from tests.authorizers import Rights
from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.auth.provisioning import Provisioning

ANN = User("ann", groups=("system:authenticated",))
PUSH = Attributes(
    "update", "imagestreams/layers", group="image.openshift.io", namespace="shop", name="web"
)
SHOP = Key("namespaces", "", "shop")


class Overtaken(MemoryStore):
    """Right after it is first looked for, another push makes the project."""

    async def get(self, key: Key) -> Document | None:
        found = await super().get(key)
        await _make(self)
        return found


class MadeMeanwhile(Rights):
    """Ann may request projects, and push once hers is made, which it is at her first question."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(("ann", "create", ""))
        self._store = store

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        allowed = await super().authorize(user, attributes)
        await _make(self._store)
        self._allowed.add(("ann", "update", "shop"))
        return allowed


async def _make(store: MemoryStore) -> None:
    def unit(tx: DocumentTransaction) -> None:
        if tx.get(SHOP) is None:
            tx.put(SHOP, "uid", lambda _: b"{}")

    await store.write(unit)


def _provisioning(store: MemoryStore, authorizer: Rights) -> Provisioning:
    async def provision(project: str, user: User) -> None:
        await _make(store)

    return Provisioning(store, authorizer, lambda _: True, provision)


def test_a_project_made_by_another_push_is_there_for_both() -> None:
    provisioning = _provisioning(Overtaken(), Rights(("ann", "create", "")))
    assert asyncio.run(provisioning.ensure(ANN, "shop"))


def test_the_right_is_asked_again_of_a_project_made_meanwhile() -> None:
    store = MemoryStore()
    assert asyncio.run(_provisioning(store, MadeMeanwhile(store)).authorize(ANN, PUSH))


def test_a_project_of_somebody_else_is_no_reason_to_push() -> None:
    store = MemoryStore()

    async def ask() -> bool:
        await _make(store)
        provisioning = _provisioning(store, Rights(("ann", "create", "")))
        return await provisioning.authorize(ANN, PUSH)

    assert not asyncio.run(ask())
