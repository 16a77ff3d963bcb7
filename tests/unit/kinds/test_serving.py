import asyncio

import msgspec

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.http.endpoints import Endpoints
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.kinds.event import Event, EventSource
from tidegate.kinds.serving import RESOURCES, serve


def test_every_resource_is_served_with_all_its_verbs() -> None:
    served = serve(MemoryStore())
    assert [each.resource for each in served] == list(RESOURCES)
    Endpoints(served, lambda: 0.0)  # raises when a storage lacks a verb


def test_events_are_found_by_whom_they_are_from() -> None:
    async def story() -> list[str]:
        store = MemoryStore()
        namespace = b'{"metadata":{"name":"shop","uid":"1"}}'
        await store.write(
            lambda tx: tx.put(Key("namespaces", "", "shop"), "1", lambda _: namespace)
        )
        events = next(each.storage for each in serve(store) if each.resource.kind == "Event")
        call = Call(user=User("jane"), verb="create", namespace="shop")
        for name, component in (("a", "importer"), ("b", "pruner")):
            await events.create(
                call,
                Event(
                    metadata=ObjectMeta(name=name),
                    involved_object=ObjectReference(namespace="shop"),
                    source=EventSource(component=component),
                ),
            )
        selection = Selection(fields=(("source", "pruner", True),))
        page = await events.list(call, ListOptions(selection=selection))
        return [msgspec.json.decode(body)["metadata"]["name"] for body in page.bodies]

    assert asyncio.run(story()) == ["b"]
