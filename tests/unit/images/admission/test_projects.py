"""Annotations come from the stored project; a namespace that is none has no annotations."""

import asyncio
import json

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.images.admission.projects import stored_annotations


@pytest.mark.parametrize(
    ("metadata", "annotations"),
    [
        ({"name": "shop", "annotations": {"a": "b"}}, {"a": "b"}),
        ({"name": "shop", "annotations": None}, {}),
        ({"name": "shop"}, {}),
    ],
)
def test_a_projects_annotations_are_read(
    metadata: dict[str, object], annotations: dict[str, str]
) -> None:
    store = MemoryStore()
    document = json.dumps({"kind": "Namespace", "metadata": metadata, "spec": {}}).encode()

    def put(tx: DocumentTransaction) -> None:
        tx.put(Key("namespaces", "", "shop"), "uid", lambda _: document)

    async def read() -> None:
        await store.write(put)
        assert await stored_annotations(store)("shop") == annotations
        assert await stored_annotations(store)("nowhere") == {}

    asyncio.run(read())
