import asyncio

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.errors import Forbidden
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.kinds.bounded import bounded
from tidegate.kinds.tag_policy import TAG_POLICIES


def test_a_project_has_no_more_than_its_bound_and_changes_those_it_has() -> None:
    async def story() -> None:
        memory = MemoryStore()
        store = bounded(memory, TAG_POLICIES, 2)

        async def put(namespace: str, name: str) -> None:
            key = Key(TAG_POLICIES.key, namespace, name)
            await store.write(lambda tx: tx.put(key, name, lambda _: b"{}"))

        for name in ("a", "b", "a"):
            await put("shop", name)
        with pytest.raises(Forbidden, match="project shop has 2 of them"):
            await put("shop", "c")
        await put("prod", "c")

        def replace(tx: DocumentTransaction) -> list[str]:
            gone = Key(TAG_POLICIES.key, "shop", "a")
            assert tx.get(gone) is not None
            assert not tx.dependents("a")
            tx.delete(gone)
            tx.put(Key(TAG_POLICIES.key, "shop", "c"), "c", lambda _: b"{}")
            return [each.key.name for each in tx.list(TAG_POLICIES.key, "shop")]

        assert await store.write(replace) == ["b", "c"]

    asyncio.run(story())
